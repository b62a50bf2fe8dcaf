#include "fuse/replica/copy_data.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace berth::fuse::replica {
namespace {

// Between two looks at Progress::stop.
constexpr std::size_t kStepBytes = 8UL << 20;
constexpr std::size_t kBufferBytes = 256UL << 10;

// Where data begins at or after `from`; `size` where none does. File systems that know no holes have data everywhere.
off_t next_data(int file, off_t from, off_t size) {
  const off_t found = ::lseek(file, from, SEEK_DATA);
  if (found >= 0) return std::min(found, size);
  return errno == ENXIO ? size : from;
}

off_t next_hole(int file, off_t from, off_t size) {
  const off_t found = ::lseek(file, from, SEEK_HOLE);
  return found > from ? std::min(found, size) : size;
}

bool refuses_to_copy(int error) {
  return error == EXDEV || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == EBADF || error == EPERM;
}

// How many bytes were copied by hand; 0 at the end of the source.
Result<std::size_t> copy_by_hand(int source, int target, off_t at, std::size_t count) {
  std::vector<char> buffer(std::min(count, kBufferBytes));
  const ssize_t got = ::pread(source, buffer.data(), buffer.size(), at);
  if (got < 0) return fail_errno(errno, "read");
  for (ssize_t done = 0; done < got;) {
    const ssize_t put = ::pwrite(target, buffer.data() + done, static_cast<std::size_t>(got - done), at + done);
    if (put < 0) return fail_errno(errno, "write");
    done += put;
  }
  return static_cast<std::size_t>(got);
}

class Copier {
 public:
  Copier(int source, int target, Progress& progress) : source_(source), target_(target), progress_(progress) {}

  // Up to `to`, or to where the source ends; where it got to.
  Result<off_t> copy(off_t from, off_t to) {
    off_t at = from;
    while (at < to && !progress_.stop) {
      const auto step = copy_step(at, std::min(kStepBytes, static_cast<std::size_t>(to - at)));
      if (!step) return fail(step.error());
      if (*step == 0) break;
      at += static_cast<off_t>(*step);
      progress_.bytes += *step;
    }
    return at;
  }

 private:
  Result<std::size_t> copy_step(off_t at, std::size_t count) {
    if (!by_hand_) {
      off_t in = at, out = at;
      const ssize_t copied = ::copy_file_range(source_, &in, target_, &out, count, 0);
      if (copied >= 0) return static_cast<std::size_t>(copied);
      if (!refuses_to_copy(errno)) return fail_errno(errno, "copy");
      by_hand_ = true;
    }
    return copy_by_hand(source_, target_, at, count);
  }

  const int source_, target_;
  Progress& progress_;
  bool by_hand_ = false;
};

}  // namespace

Result<> copy_data(int source, int target, off_t size, Progress& progress) {
  Copier copier(source, target, progress);
  off_t end = size;
  for (off_t at = next_data(source, 0, size); at < size; at = next_data(source, at, size)) {
    const off_t hole = next_hole(source, at, size);
    const auto reached = copier.copy(at, hole);
    if (!reached) return fail(reached.error());
    if (*reached < hole) {
      end = *reached;
      break;
    }
    at = hole;
  }
  // Also what ends in a hole gets its size.
  if (::ftruncate(target, end) != 0) return fail_errno(errno, "set the size");
  return {};
}

bool same_data(int a, int b, off_t size, const Progress& progress) {
  std::vector<char> of_a(kBufferBytes), of_b(kBufferBytes);
  off_t at = 0;
  while (at < size && !progress.stop) {
    at = std::min(next_data(a, at, size), next_data(b, at, size));
    const auto count = std::min(kBufferBytes, static_cast<std::size_t>(size - at));
    if (count == 0) break;
    const ssize_t got_a = ::pread(a, of_a.data(), count, at), got_b = ::pread(b, of_b.data(), count, at);
    if (got_a <= 0 || got_a != got_b || std::memcmp(of_a.data(), of_b.data(), static_cast<std::size_t>(got_a)) != 0) return false;
    at += got_a;
  }
  return at >= size;
}

}  // namespace berth::fuse::replica
