#include "tests/parity/data_stress.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>

namespace berth::parity {
namespace {

class Mapping {
 public:
  Mapping(int fd, std::size_t size, int protection) : size_(size), at_(mmap(nullptr, size, protection, MAP_SHARED, fd, 0)) {}
  ~Mapping() {
    if (ok()) munmap(at_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  bool ok() const { return at_ != MAP_FAILED; }
  char* bytes() const { return static_cast<char*>(at_); }

 private:
  std::size_t size_;
  void* at_;
};

std::size_t first_difference(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

}  // namespace

DataStress::DataStress(const std::vector<std::string>& paths, std::uint64_t seed, bool maps)
    : paths_(paths), random_(seed), maps_(maps) {
  for (const std::string& path : paths_) {
    files_.emplace_back(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    must(static_cast<bool>(files_.back()), "open");
  }
}

void DataStress::note(const std::string& operation) { last_[notes_++ % last_.size()] = operation; }

void DataStress::must(bool ok, const std::string& what) const {
  if (ok) return;
  std::string text = fmt::format("{}: {}; last:", what, std::strerror(errno));
  for (std::size_t i = 0; i < last_.size(); ++i) text += "\n  " + last_[(notes_ + i) % last_.size()];
  throw std::runtime_error(text);
}

DataStress::Range DataStress::range(std::size_t limit) {
  if (limit == 0) return {0, 0};
  const std::size_t from = random_() % limit;
  return {from, random_() % std::min<std::size_t>(limit - from, 65536) + 1};
}

std::string DataStress::fresh(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; i += 8) {
    const std::uint64_t word = random_();
    std::memcpy(bytes.data() + i, &word, std::min<std::size_t>(8, size - i));
  }
  return bytes;
}

void DataStress::put(std::size_t at, const std::string& bytes) {
  if (expected_.size() < at + bytes.size()) expected_.resize(at + bytes.size(), '\0');
  bytes.copy(expected_.data() + at, bytes.size());
}

void DataStress::step() {
  switch (random_() % (maps_ ? 14 : 10)) {
    case 0:
    case 1: write(); break;
    case 2: append(); break;
    case 3:
    case 4: read(); break;
    case 5: truncate(); break;
    case 6: punch(); break;
    case 7: copy(); break;
    case 8: reopen(); break;
    case 9: sync(); break;
    case 10:
    case 11: map_and_write(); break;
    default: map_and_read(); break;
  }
  check_size();
}

void DataStress::write() {
  const Range r = range(kSizeMax);
  const std::string bytes = fresh(r.size);
  note(fmt::format("write {} at {}", r.size, r.from));
  const ssize_t size = pwrite(file(), bytes.data(), r.size, static_cast<off_t>(r.from));
  must(size == static_cast<ssize_t>(r.size), fmt::format("write gave {} of {} bytes", size, r.size));
  put(r.from, bytes);
}

void DataStress::append() {
  if (expected_.size() > kSizeMax) return;
  const std::string bytes = fresh(random_() % 5000 + 1);
  note(fmt::format("append {}", bytes.size()));
  const UniqueFd end(open(paths_[random_() % paths_.size()].c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  must(::write(end.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "append");
  put(expected_.size(), bytes);
}

void DataStress::read() {
  const Range r = range(expected_.size() + 5000);
  note(fmt::format("read {} at {}", r.size, r.from));
  std::string bytes(r.size, '\0');
  const ssize_t size = pread(file(), bytes.data(), r.size, static_cast<off_t>(r.from));
  const std::size_t there = r.from >= expected_.size() ? 0 : std::min(r.size, expected_.size() - r.from);
  must(size == static_cast<ssize_t>(there), fmt::format("read gave {} of {} bytes", size, there));
  bytes.resize(there);
  const auto wanted = std::string_view{expected_}.substr(std::min(r.from, expected_.size()), there);
  must(bytes == wanted, fmt::format("other byte at {}", r.from + first_difference(wanted, bytes)));
}

void DataStress::truncate() {
  const std::size_t size = random_() % kSizeMax;
  note(fmt::format("truncate to {} from {}", size, expected_.size()));
  must(ftruncate(file(), static_cast<off_t>(size)) == 0, "truncate");
  expected_.resize(size, '\0');
}

void DataStress::punch() {
  const Range r = range(expected_.size());
  if (r.size == 0) return;
  note(fmt::format("punch {} at {}", r.size, r.from));
  constexpr int kMode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  const int punched = fallocate(file(), kMode, static_cast<off_t>(r.from), static_cast<off_t>(r.size));
  if (punched != 0 && errno == EOPNOTSUPP) return;
  must(punched == 0, "punch");
  const std::size_t there = std::min(r.size, expected_.size() - r.from);
  std::fill_n(expected_.begin() + static_cast<std::ptrdiff_t>(r.from), there, '\0');
}

void DataStress::copy() {
  const Range r = range(expected_.size());
  if (r.size == 0) return;
  loff_t in = static_cast<loff_t>(r.from);
  loff_t out = static_cast<loff_t>(r.from + r.size + random_() % 20'000);
  if (static_cast<std::size_t>(out) > kSizeMax) return;
  const auto to = static_cast<std::size_t>(out);
  note(fmt::format("copy {} from {} to {}", r.size, r.from, out));
  const int both = file();
  const ssize_t size = copy_file_range(both, &in, both, &out, r.size, 0);
  must(size >= 0, "copy");
  put(to, expected_.substr(r.from, static_cast<std::size_t>(size)));
}

void DataStress::map_and_write() {
  const Range r = range(expected_.size());
  if (r.size == 0) return;
  const std::size_t size = std::min(r.size, expected_.size() - r.from);
  note(fmt::format("map and write {} at {}", size, r.from));
  const Mapping mapping(file(), expected_.size(), PROT_READ | PROT_WRITE);
  must(mapping.ok(), "mmap");
  const std::string bytes = fresh(size);
  bytes.copy(mapping.bytes() + r.from, size);
  put(r.from, bytes);
  if (random_() % 2 == 0) must(msync(mapping.bytes(), expected_.size(), MS_SYNC) == 0, "msync");
}

void DataStress::map_and_read() {
  if (expected_.empty()) return;
  note("map and read");
  const Mapping mapping(file(), expected_.size(), PROT_READ);
  must(mapping.ok(), "mmap");
  const std::string_view bytes{mapping.bytes(), expected_.size()};
  must(bytes == expected_, fmt::format("other mapped byte at {}", first_difference(expected_, bytes)));
}

void DataStress::reopen() {
  const std::size_t which = random_() % files_.size();
  const bool empties = random_() % 8 == 0;
  note(empties ? "open with O_TRUNC" : "reopen");
  files_[which].reset(open(paths_[which].c_str(), O_RDWR | O_CLOEXEC | (empties ? O_TRUNC : 0)));
  must(static_cast<bool>(files_[which]), "open");
  if (empties) expected_.clear();
}

void DataStress::sync() {
  note("fsync");
  must(fsync(file()) == 0, "fsync");
}

void DataStress::check_size() const {
  for (const UniqueFd& file : files_) {
    struct stat attributes{};
    must(fstat(file.get(), &attributes) == 0, "fstat");
    must(static_cast<std::size_t>(attributes.st_size) == expected_.size(),
         fmt::format("size is {}, should be {}", attributes.st_size, expected_.size()));
  }
}

}  // namespace berth::parity
