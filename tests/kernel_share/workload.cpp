#include "tests/kernel_share/workload.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>

namespace berth::fuse::test {
namespace {

void must(bool good, const char* what) {
  if (!good) throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

// One process's own directory and its files that stay open all the time.
class Worker {
 public:
  explicit Worker(std::string directory) : directory_(std::move(directory)) {
    must(mkdir(directory_.c_str(), 0755) == 0, "mkdir of the worker");
    blocks_.reset(open(path("blocks").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    must(static_cast<bool>(blocks_), "open blocks");
    sequence_.reset(open(path("sequence").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    must(static_cast<bool>(sequence_), "open sequence");
  }

  void round(unsigned number) {
    for (unsigned i = 0; i < 8; ++i) write_block(number, i);
    append(number);
    directories();
    names();
    nameless(number);
  }

 private:
  std::string path(const char* name) const { return directory_ + "/" + name; }

  void write_block(unsigned number, unsigned block) {
    std::array<unsigned, 256> wrote{};
    wrote.fill(number * 31 + block);
    must(pwrite(blocks_.get(), wrote.data(), sizeof(wrote), block * 1024) == 1024, "pwrite");
    std::array<unsigned, 256> got{};
    must(pread(blocks_.get(), got.data(), sizeof(got), block * 1024) == 1024, "pread");
    must(got == wrote, "what was written is not what is read");
  }

  // A write that is done twice shows in the length.
  void append(unsigned number) {
    must(write(sequence_.get(), &number, sizeof(number)) == sizeof(number), "append");
    struct stat attributes{};
    must(fstat(sequence_.get(), &attributes) == 0, "fstat");
    ++appended_;
    if (attributes.st_size != static_cast<off_t>(appended_ * sizeof(number))) {
      throw std::runtime_error(fmt::format("appended {} times, size {}", appended_, attributes.st_size));
    }
  }

  void directories() {
    must(mkdir(path("d").c_str(), 0755) == 0, "mkdir");
    must(mkdir(path("d").c_str(), 0755) != 0 && errno == EEXIST, "mkdir of what exists");
    must(mkdir(path("d/e").c_str(), 0755) == 0, "mkdir below");
    must(rename(path("d/e").c_str(), path("f").c_str()) == 0, "rename directory");
    must(rmdir(path("f").c_str()) == 0, "rmdir");
    must(rmdir(path("f").c_str()) != 0 && errno == ENOENT, "rmdir of what is gone");
    must(rmdir(path("d").c_str()) == 0, "rmdir parent");
  }

  void names() {
    const int fd = open(path("n").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    must(fd >= 0, "create");
    must(close(fd) == 0, "close");
    must(link(path("n").c_str(), path("m").c_str()) == 0, "link");
    must(symlink("m", path("s").c_str()) == 0, "symlink");
    must(rename(path("n").c_str(), path("o").c_str()) == 0, "rename");
    must(count_names() == 5, "number of names");
    must(unlink(path("s").c_str()) == 0, "unlink symlink");
    must(unlink(path("o").c_str()) == 0, "unlink");
    must(unlink(path("m").c_str()) == 0, "unlink the last");
    must(unlink(path("m").c_str()) != 0 && errno == ENOENT, "unlink of what is gone");
  }

  int count_names() const {
    DIR* stream = opendir(directory_.c_str());
    must(stream != nullptr, "opendir");
    int count = 0;
    while (const dirent* entry = readdir(stream)) count += entry->d_name[0] == '.' ? 0 : 1;
    closedir(stream);
    return count;
  }

  void nameless(unsigned number) {
    const UniqueFd file(open(path("u").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    must(static_cast<bool>(file), "create to unlink");
    must(unlink(path("u").c_str()) == 0, "unlink while open");
    must(pwrite(file.get(), &number, sizeof(number), 0) == sizeof(number), "pwrite to unlinked");
    unsigned got = 0;
    must(pread(file.get(), &got, sizeof(got), 0) == sizeof(got) && got == number, "pread of unlinked");
  }

  std::string directory_;
  UniqueFd blocks_;
  UniqueFd sequence_;
  std::size_t appended_ = 0;
};

[[noreturn]] void run(const std::string& directory, int progress) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  try {
    Worker worker(directory);
    for (unsigned number = 1;; ++number) {
      worker.round(number);
      if (send(progress, ".", 1, MSG_NOSIGNAL) != 1) _exit(0);
    }
  } catch (const std::exception& failure) {
    const std::string text = std::string("!") + failure.what();
    send(progress, text.data(), text.size(), MSG_NOSIGNAL);
  }
  _exit(1);
}

}  // namespace

Workload::Workload(const std::string& directory, int processes) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) throw std::runtime_error("socketpair");
  progress_.reset(ends[0]);
  const UniqueFd other(ends[1]);
  for (int i = 0; i < processes; ++i) {
    const pid_t process = fork();
    if (process == 0) {
      progress_.reset();
      run(fmt::format("{}/worker{}", directory, i), other.get());
    }
    processes_.push_back(process);
  }
}

Workload::~Workload() { stop(); }

bool Workload::wait_for_rounds(int rounds) {
  std::array<char, 256> buffer{};
  for (int i = 0; i < rounds; ++i) {
    const ssize_t size = recv(progress_.get(), buffer.data(), buffer.size(), 0);
    if (size > 0 && buffer[0] == '.') continue;
    failure_ = size <= 0 ? "all processes ended" : std::string(buffer.data() + 1, static_cast<std::size_t>(size) - 1);
    return false;
  }
  return true;
}

std::string Workload::stop() {
  for (const pid_t process : processes_) kill(process, SIGKILL);
  for (const pid_t process : processes_) waitpid(process, nullptr, 0);
  processes_.clear();
  return failure_;
}

}  // namespace berth::fuse::test
