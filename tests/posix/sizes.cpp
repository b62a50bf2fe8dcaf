// truncate, ftruncate, posix_fallocate and fallocate's modes.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>

#include <sys/resource.h>

#include "broker/base/unique_fd.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

constexpr off_t kEfsFileBytesMax = 52'673'613'135'872;

int by_path(const std::string& path, off_t size) { return error_of(truncate(path.c_str(), size)); }
int by_descriptor(const std::string& path, off_t size) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file ? error_of(ftruncate(file.get(), size)) : errno;
}

struct Way {
  const char* name;
  int (*change)(const std::string& path, off_t size);
};
constexpr std::array<Way, 2> kWays{{{"truncate", by_path}, {"ftruncate", by_descriptor}}};

void to_every_size(Run& run) {
  const std::string text(10000, 'x');
  for (const Way& way : kWays) {
    for (const off_t size : {0L, 1L, 4095L, 4096L, 4097L, 9999L, 10000L, 10001L, 1000000L}) {
      run.put_content("x", text, {0644, kOwner.uid, kOwner.gid});
      const auto before = run.look("x");
      run.let_time_pass();
      const std::string what = fmt::format("{} to {}", way.name, size);
      run.error(what, run.as(kOwner, [&] { return way.change(run.at("x"), size); }), 0);
      const auto after = run.look("x");
      run.same(what + ": size", after.st_size, size);
      run.times(what, before, after, "mc");
      std::string wanted = text;
      wanted.resize(static_cast<std::size_t>(size), '\0');
      run.is(what + ": content", run.content("x") == wanted);
    }
  }
}

void refused(Run& run) {
  for (const Type type : kTypes) run.put(fmt::format("t{}", static_cast<int>(type)), type, {0777, 0, 0});
  run.error("truncate of a directory", by_path(run.at("t1"), 0), EISDIR);
  run.error("truncate of a fifo", by_path(run.at("t2"), 0), EINVAL);
  run.error("truncate of a socket", by_path(run.at("t3"), 0), EINVAL);
  for (const Way& way : kWays) run.error(fmt::format("{} to a negative size", way.name), way.change(run.at("t0"), -1), EINVAL);
  const UniqueFd reading(open(run.at("t0").c_str(), O_RDONLY | O_CLOEXEC));
  run.fails("ftruncate of a descriptor for reading", ftruncate(reading.get(), 0), EINVAL);
  const UniqueFd directory(open(run.at("t1").c_str(), O_RDONLY | O_CLOEXEC));
  run.fails("ftruncate of a directory", ftruncate(directory.get(), 0), EINVAL);
  run.fails("ftruncate of a bad descriptor", ftruncate(-1, 0), EBADF);
}

// RLIMIT_FSIZE: SIGXFSZ and EFBIG.
void beyond_the_limit(Run& run) {
  run.put_content("x", "text", {0666, kOwner.uid, kOwner.gid});
  struct rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small{8192, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  for (const Way& way : kWays) {
    run.error(fmt::format("{} to RLIMIT_FSIZE", way.name), way.change(run.at("x"), 8192), 0);
    run.error(fmt::format("{} beyond RLIMIT_FSIZE", way.name), way.change(run.at("x"), 8193), EFBIG);
  }
  const UniqueFd file(open(run.at("x").c_str(), O_RDWR | O_CLOEXEC));
  run.same("write up to RLIMIT_FSIZE", pwrite(file.get(), "abcd", 4, 8190), 2);
  run.fails("write beyond RLIMIT_FSIZE", pwrite(file.get(), "abcd", 4, 8192), EFBIG);
  run.fails("fallocate beyond RLIMIT_FSIZE", fallocate(file.get(), 0, 0, 10000), EFBIG);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
}

void allocation(Run& run) {
  for (const auto& [offset, length] : {std::pair{0L, 1L}, {0L, 4096L}, {100L, 5000L}, {20000L, 1L}, {5L, 10L}}) {
    run.put_content("x", "some text", {0644, kOwner.uid, kOwner.gid});
    const auto before = run.look("x");
    run.let_time_pass();
    const UniqueFd file(open(run.at("x").c_str(), O_RDWR | O_CLOEXEC));
    const std::string what = fmt::format("posix_fallocate {} {}", offset, length);
    run.error(what, posix_fallocate(file.get(), offset, length), 0);
    const auto after = run.look("x");
    run.same(what + ": size", after.st_size, std::max(9L, offset + length));
    run.times(what, before, after, "mc");
    run.is(what + ": content", run.content("x").starts_with("some text"));
    run.is(what + ": blocks", after.st_blocks * 512 >= length);
  }
  const UniqueFd file(open(run.at("x").c_str(), O_RDWR | O_CLOEXEC));
  const UniqueFd reading(open(run.at("x").c_str(), O_RDONLY | O_CLOEXEC));
  run.error("posix_fallocate of nothing", posix_fallocate(file.get(), 0, 0), EINVAL);
  run.error("posix_fallocate at a negative offset", posix_fallocate(file.get(), -1, 1), EINVAL);
  run.error("posix_fallocate of a negative length", posix_fallocate(file.get(), 0, -1), EINVAL);
  run.error("posix_fallocate of a descriptor for reading", posix_fallocate(reading.get(), 0, 1), EBADF);
  run.error("posix_fallocate beyond all", posix_fallocate(file.get(), 0x7fffffffffffffff, 1), EFBIG);
  run.put("p", Type::fifo, {0666, 0, 0});
  const UniqueFd fifo(open(run.at("p").c_str(), O_RDWR | O_CLOEXEC));
  run.error("posix_fallocate of a fifo", posix_fallocate(fifo.get(), 0, 1), ESPIPE);
}

struct Mode {
  const char* name;
  int mode;
  off_t size;   // afterwards
  bool zeroes;  // the range reads as zeroes
};

// Of a file of 16 blocks of letters, blocks 4 to 8.
void allocation_modes(Run& run) {
  constexpr off_t kBlock = 4096;
  const std::string text(16 * kBlock, 'x');
  run.put_content("x", text, {0644, kOwner.uid, kOwner.gid});
  for (const Mode& m : {Mode{"FALLOC_FL_KEEP_SIZE", FALLOC_FL_KEEP_SIZE, 16, false},
                        Mode{"FALLOC_FL_PUNCH_HOLE", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 16, true},
                        Mode{"FALLOC_FL_ZERO_RANGE", FALLOC_FL_ZERO_RANGE, 16, true}}) {
    run.put_content("x", text, {0644, kOwner.uid, kOwner.gid});
    const auto before = run.look("x");
    run.let_time_pass();
    const UniqueFd file(open(run.at("x").c_str(), O_RDWR | O_CLOEXEC));
    const int got = error_of(fallocate(file.get(), m.mode, 4 * kBlock, 4 * kBlock));
    if (got == EOPNOTSUPP) continue;  // not every backing file system has it
    run.error(m.name, got, 0);
    const auto after = run.look("x");
    run.same(fmt::format("{}: size", m.name), after.st_size, m.size * kBlock);
    if (m.zeroes) run.times(m.name, before, after, "mc");
    std::string wanted = text;
    if (m.zeroes) wanted.replace(4 * kBlock, 4 * kBlock, 4 * kBlock, '\0');
    run.is(fmt::format("{}: content", m.name), run.content("x") == wanted);
  }
  const UniqueFd file(open(run.at("x").c_str(), O_RDWR | O_CLOEXEC));
  run.works("KEEP_SIZE beyond the end", fallocate(file.get(), FALLOC_FL_KEEP_SIZE, 20 * kBlock, kBlock));
  run.same("KEEP_SIZE beyond the end: size", run.look("x").st_size, 16 * kBlock);
  run.fails("PUNCH_HOLE without KEEP_SIZE", fallocate(file.get(), FALLOC_FL_PUNCH_HOLE, 0, kBlock), EOPNOTSUPP);
}

// A file that can be so large has a backing file system that keeps it: else the answer is the same, only sooner.
void of_efs(Run& run) {
  if (!run.shared()) return;
  run.put_content("x", "text", {0666, kOwner.uid, kOwner.gid});
  for (const Way& way : kWays)
    run.error(fmt::format("{} to more than EFS's largest file", way.name), way.change(run.at("x"), kEfsFileBytesMax + 1), EFBIG);
  const UniqueFd file(open(run.at("x").c_str(), O_RDWR | O_CLOEXEC));
  run.fails("fallocate to more than EFS's largest file", fallocate(file.get(), 0, kEfsFileBytesMax, 1), EFBIG);
  run.same("its size stays", run.look("x").st_size, 4);
}

}  // namespace

std::vector<Scenario> size_scenarios() {
  return {{"TruncateToEverySize", to_every_size},      {"TruncateRefused", refused},
          {"SizeLimitOfTheProcess", beyond_the_limit}, {"Allocation", allocation},
          {"AllocationModes", allocation_modes},       {"LargestFileOfEfs", of_efs}};
}

}  // namespace berth::posix
