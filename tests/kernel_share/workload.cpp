#include "tests/kernel_share/workload.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <new>
#include <stdexcept>
#include <thread>
#include <utility>

#include <fmt/format.h>

namespace berth::fuse::test {
namespace {

Workload::Shared* totals = nullptr;
std::chrono::steady_clock::time_point last_call;

// Called after each system call.
void must(bool good, const char* what) {
  const auto now = std::chrono::steady_clock::now();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(now - std::exchange(last_call, now)).count();
  ++totals->calls;
  for (auto longest = totals->longest_ms.load(); took > longest && !totals->longest_ms.compare_exchange_weak(longest, took);) {
  }
  if (!good) throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

// The same where others may be let in first.
void waited(bool good, const char* what) {
  last_call = std::chrono::steady_clock::now();
  must(good, what);
}

// One process's own directory and its files that stay open all the time.
class Worker {
 public:
  Worker(const std::string& mount, int number, Workload::Shared* shared)
      : directory_(fmt::format("{}/worker{}", mount, number)), shared_(shared) {
    locked_.reset(open((mount + "/locked").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    flocked_.reset(open((mount + "/flocked").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    must(locked_ && flocked_, "open locks");
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
    exchange();
    locked();
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

  // Done twice it is undone.
  void exchange() {
    must(mkdir(path("x").c_str(), 0755) == 0, "mkdir to exchange");
    must(mknod(path("y").c_str(), S_IFREG | 0600, 0) == 0, "mknod to exchange");
    must(renameat2(AT_FDCWD, path("x").c_str(), AT_FDCWD, path("y").c_str(), RENAME_EXCHANGE) == 0, "exchange");
    must(unlink(path("x").c_str()) == 0, "unlink of what was exchanged");
    must(rmdir(path("y").c_str()) == 0, "rmdir of what was exchanged");
  }

  // All processes on all mounts want the same two locks: whoever has one has it alone.
  void locked() {
    struct flock whole{};
    whole.l_type = F_WRLCK;
    waited(fcntl(locked_.get(), F_SETLKW, &whole) == 0, "lock");
    hold_alone(shared_->posix_holder, "POSIX lock is not exclusive");
    whole.l_type = F_UNLCK;
    must(fcntl(locked_.get(), F_SETLK, &whole) == 0, "unlock");
    waited(flock(flocked_.get(), LOCK_EX) == 0, "flock");
    hold_alone(shared_->flock_holder, "flock is not exclusive");
    must(flock(flocked_.get(), LOCK_UN) == 0, "flock unlock");
  }
  static void hold_alone(std::atomic<int>& holder, const char* what) {
    int nobody = 0;
    must(holder.compare_exchange_strong(nobody, getpid()), what);
    std::this_thread::yield();
    int me = getpid();
    must(holder.compare_exchange_strong(me, 0), what);
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
  Workload::Shared* shared_;
  UniqueFd locked_;
  UniqueFd flocked_;
  UniqueFd blocks_;
  UniqueFd sequence_;
  std::size_t appended_ = 0;
};

[[noreturn]] void run(const std::string& mount, int process, Workload::Shared* shared, int progress) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  last_call = std::chrono::steady_clock::now();
  try {
    Worker worker(mount, process, shared);
    for (unsigned number = 1;; ++number) {
      last_call = std::chrono::steady_clock::now();
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

Workload::Workload(const std::vector<std::string>& mounts, int processes) {
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("mmap");
  totals = shared_ = new (memory) Shared{};
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) throw std::runtime_error("socketpair");
  progress_.reset(ends[0]);
  const UniqueFd other(ends[1]);
  for (int i = 0; i < processes; ++i) {
    const pid_t process = fork();
    if (process == 0) {
      progress_.reset();
      run(mounts[static_cast<std::size_t>(i) % mounts.size()], i, shared_, other.get());
    }
    processes_.push_back(process);
  }
}

Workload::~Workload() {
  stop();
  munmap(shared_, sizeof(Shared));
}

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
