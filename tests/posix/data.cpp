// Bytes: seeking, holes, copies, mappings, appends; written through one mount and read through the other.
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "broker/base/unique_fd.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

std::string read_at(int fd, std::size_t size, off_t offset) {
  std::string text(size, '\0');
  const ssize_t got = pread(fd, text.data(), size, offset);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return text;
}

void written_and_read(Run& run) {
  run.put("x", Type::file, {0666, 0, 0});
  const UniqueFd one(open(run.at("x").c_str(), O_RDWR | O_CLOEXEC));
  const UniqueFd two(open(run.seen("x").c_str(), O_RDWR | O_CLOEXEC));
  off_t size = 0;
  for (const std::size_t bytes :
       {std::size_t{1}, std::size_t{100}, std::size_t{4095}, std::size_t{4097}, std::size_t{65536}, std::size_t{300000}}) {
    const std::string text(bytes, static_cast<char>('a' + bytes % 26));
    run.same(fmt::format("pwrite of {}", bytes), pwrite(one.get(), text.data(), bytes, size), static_cast<ssize_t>(bytes));
    run.is(fmt::format("pread of {} through the other descriptor", bytes), read_at(two.get(), bytes, size) == text);
    size += static_cast<off_t>(bytes);
    struct stat found{};
    run.works("fstat", fstat(two.get(), &found));
    run.same(fmt::format("size after {}", bytes), found.st_size, size);
    run.same(fmt::format("size by path after {}", bytes), run.look("x").st_size, size);
    run.same("pread at the end", read_at(two.get(), 10, size), "");
    run.same("lseek to the end through the other descriptor", lseek(two.get(), 0, SEEK_END), size);
  }
  run.same("pwrite through the other descriptor", pwrite(two.get(), "ZZ", 2, 0), 2);
  run.same("pread of it", read_at(one.get(), 2, 0), "ZZ");
  run.works("ftruncate", ftruncate(two.get(), 1));
  run.same("pread after it", read_at(one.get(), 10, 0), "Z");
  run.works("ftruncate to more", ftruncate(one.get(), 3));
  run.same("pread of zeroes", read_at(two.get(), 10, 0), std::string("Z\0\0", 3));
}

void appended(Run& run) {
  run.put("x", Type::file, {0666, 0, 0});
  const UniqueFd one(open(run.at("x").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  const UniqueFd two(open(run.seen("x").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  std::string wanted;
  for (int i = 0; i < 20; ++i) {
    const std::string text = fmt::format("{};", i);
    run.same("append", write((i % 2 == 0 ? one : two).get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    wanted += text;
  }
  run.same("what was appended by turns", run.content("x"), wanted);
  run.same("the position after an append", lseek(two.get(), 0, SEEK_CUR), static_cast<off_t>(wanted.size()));
}

void mapped(Run& run) {
  run.put_content("x", std::string(10000, 'x'), {0666, 0, 0});
  const UniqueFd one(open(run.at("x").c_str(), O_RDWR | O_CLOEXEC));
  const UniqueFd two(open(run.seen("x").c_str(), O_RDWR | O_CLOEXEC));
  auto* mine = static_cast<char*>(mmap(nullptr, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, one.get(), 0));
  auto* theirs = static_cast<char*>(mmap(nullptr, 10000, PROT_READ, MAP_SHARED, two.get(), 0));
  auto* own = static_cast<char*>(mmap(nullptr, 10000, PROT_READ | PROT_WRITE, MAP_PRIVATE, one.get(), 0));
  run.is("mmap", mine != MAP_FAILED && theirs != MAP_FAILED && own != MAP_FAILED);
  mine[5000] = 'y';
  own[1] = 'p';
  run.same("a store, by the other mapping", std::string(1, theirs[5000]), "y");
  run.same("a store, by pread of the other descriptor", read_at(two.get(), 1, 5000), "y");
  run.same("a private store, by pread", read_at(two.get(), 1, 1), "x");
  run.same("pwrite", pwrite(two.get(), "z", 1, 7000), 1);
  run.same("a write, by the mapping", std::string(1, mine[7000]), "z");
  run.works("msync", msync(mine, 10000, MS_SYNC));
  run.same("after msync, by pread", read_at(two.get(), 1, 5000), "y");
  run.works("munmap", munmap(mine, 10000));
  munmap(theirs, 10000);
  munmap(own, 10000);
  const UniqueFd reading(open(run.at("x").c_str(), O_RDONLY | O_CLOEXEC));
  run.fails("a shared writable mapping of a descriptor for reading",
            mmap(nullptr, 4096, PROT_WRITE, MAP_SHARED, reading.get(), 0) == MAP_FAILED ? -1 : 0, EACCES);
}

void holes(Run& run) {
  constexpr off_t kBlock = 65536;
  run.put("x", Type::file, {0666, 0, 0});
  const UniqueFd file(open(run.at("x").c_str(), O_RDWR | O_CLOEXEC));
  const UniqueFd other(open(run.seen("x").c_str(), O_RDWR | O_CLOEXEC));
  const std::string text(kBlock, 'x');
  run.same("data", pwrite(file.get(), text.data(), text.size(), 2 * kBlock), kBlock);
  run.works("ftruncate", ftruncate(file.get(), 5 * kBlock));
  fsync(file.get());
  for (const int fd : {file.get(), other.get()}) {
    run.same("SEEK_DATA from the start", lseek(fd, 0, SEEK_DATA), 2 * kBlock);
    run.same("SEEK_DATA in the data", lseek(fd, 2 * kBlock + 5, SEEK_DATA), 2 * kBlock + 5);
    run.same("SEEK_HOLE from the start", lseek(fd, 0, SEEK_HOLE), 0);
    run.same("SEEK_HOLE in the data", lseek(fd, 2 * kBlock, SEEK_HOLE), 3 * kBlock);
    run.fails("SEEK_DATA in the last hole", lseek(fd, 4 * kBlock, SEEK_DATA), ENXIO);
    run.fails("SEEK_HOLE beyond the end", lseek(fd, 6 * kBlock, SEEK_HOLE), ENXIO);
    run.fails("SEEK_DATA at a negative offset", lseek(fd, -1, SEEK_DATA), ENXIO);
    run.same("SEEK_SET", lseek(fd, 7, SEEK_SET), 7);
    run.same("SEEK_CUR", lseek(fd, 5, SEEK_CUR), 12);
    run.same("SEEK_END", lseek(fd, -5, SEEK_END), 5 * kBlock - 5);
    run.fails("SEEK_SET to a negative offset", lseek(fd, -1, SEEK_SET), EINVAL);
    run.fails("SEEK_CUR to a negative offset", lseek(fd, -10 * kBlock, SEEK_CUR), EINVAL);
    run.fails("an unknown whence", lseek(fd, 0, 99), EINVAL);
  }
}

void copied(Run& run) {
  run.put_content("x", "0123456789", {0666, 0, 0});
  run.put("y", Type::file, {0666, 0, 0});
  const UniqueFd from(open(run.at("x").c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd to(open(run.at("y").c_str(), O_RDWR | O_CLOEXEC));
  const auto before = run.look("y");
  run.let_time_pass();
  loff_t in = 2;
  loff_t out = 1;
  run.same("copy_file_range", copy_file_range(from.get(), &in, to.get(), &out, 5, 0), 5);
  run.same("the position in the source", in, 7);
  run.same("the position in the target", out, 6);
  run.same("the copy", run.content("y"), std::string("\0", 1) + "23456");
  run.times("copy_file_range", before, run.look("y"), "mc");
  run.same("copy_file_range to the end", copy_file_range(from.get(), nullptr, to.get(), nullptr, 100, 0), 10);
  run.same("copy_file_range at the end", copy_file_range(from.get(), nullptr, to.get(), nullptr, 100, 0), 0);
  run.same("the copy of all", run.content("y"), "0123456789");
  run.fails("copy_file_range with flags", copy_file_range(from.get(), nullptr, to.get(), nullptr, 1, 1), EINVAL);
  run.fails("copy_file_range to a descriptor for reading", copy_file_range(to.get(), nullptr, from.get(), nullptr, 1, 0), EBADF);
  const UniqueFd appending(open(run.at("y").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  in = 0;
  run.fails("copy_file_range to a descriptor that appends", copy_file_range(from.get(), &in, appending.get(), nullptr, 1, 0),
            EBADF);
  in = 0;
  out = 1;
  run.fails("copy_file_range within overlapping ranges", copy_file_range(to.get(), &in, to.get(), &out, 5, 0), EINVAL);
  const UniqueFd directory(open(run.at("").c_str(), O_RDONLY | O_CLOEXEC));
  run.fails("copy_file_range of a directory", copy_file_range(directory.get(), nullptr, to.get(), nullptr, 1, 0), EISDIR);
  // What another mount has appended meanwhile is copied too.
  const UniqueFd theirs(open(run.seen("x").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  run.same("an append through the other mount", write(theirs.get(), "more", 4), 4);
  in = 0;
  out = 0;
  run.same("copy_file_range after an append through the other mount", copy_file_range(from.get(), &in, to.get(), &out, 100, 0),
           14);
  run.same("the copy after it", run.content("y"), "0123456789more");
}

void vectors_and_flags(Run& run) {
  run.put("x", Type::file, {0666, 0, 0});
  const UniqueFd file(open(run.at("x").c_str(), O_RDWR | O_CLOEXEC));
  std::string one = "ab";
  std::string two = "cde";
  const std::array<struct iovec, 2> parts{iovec{one.data(), 2}, iovec{two.data(), 3}};
  run.same("writev", writev(file.get(), parts.data(), 2), 5);
  run.same("its content", run.content("x"), "abcde");
  run.same("pwritev2 RWF_APPEND", pwritev2(file.get(), parts.data(), 1, 0, RWF_APPEND), 2);
  run.same("the content after it", run.content("x"), "abcdeab");
  run.same("pwritev2 RWF_DSYNC", pwritev2(file.get(), parts.data(), 1, 0, RWF_DSYNC), 2);
  run.works("posix_fadvise", posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED));
  run.works("readahead", readahead(file.get(), 0, 4096));
  run.works("fdatasync", fdatasync(file.get()));
  run.works("sync_file_range", sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WRITE));
  run.works("syncfs", syncfs(file.get()));
  int waiting = -1;
  lseek(file.get(), 3, SEEK_SET);
  run.works("ioctl FIONREAD", ioctl(file.get(), FIONREAD, &waiting));
  run.same("bytes to read", waiting, 4);
  struct pollfd ready{file.get(), POLLIN | POLLOUT | POLLPRI, 0};
  run.same("poll of a file", poll(&ready, 1, 0), 1);
  run.same("what it is ready for", static_cast<int>(ready.revents), POLLIN | POLLOUT);
}

void direct(Run& run) {
  run.put_content("x", std::string(8192, 'x'), {0666, 0, 0});
  const UniqueFd file(open(run.at("x").c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
  if (!file) return;  // not every backing file system has it
  void* memory = nullptr;
  if (posix_memalign(&memory, 4096, 4096) != 0) return;
  auto* bytes = static_cast<char*>(memory);
  run.same("pread O_DIRECT", pread(file.get(), bytes, 4096, 0), 4096);
  run.same("its bytes", std::string(1, bytes[4095]), "x");
  bytes[0] = 'd';
  run.same("pwrite O_DIRECT", pwrite(file.get(), bytes, 4096, 4096), 4096);
  run.is("what was written", run.content("x") == std::string(4096, 'x') + "d" + std::string(4095, 'x'));
  free(memory);
}

}  // namespace

std::vector<Scenario> data_scenarios() {
  return {
      {"WrittenAndRead", written_and_read},   {"Appended", appended}, {"Mapped", mapped}, {"Holes", holes}, {"Copied", copied},
      {"VectorsAndFlags", vectors_and_flags}, {"Direct", direct}};
}

}  // namespace berth::posix
