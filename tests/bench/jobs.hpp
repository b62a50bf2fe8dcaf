// Jobs: the same work in some processes at once, as fio does it: begun together, measured from the beginning to the last end.
#pragma once

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <new>

namespace berth::bench {

inline constexpr unsigned kJobsMax = 64;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

class Jobs {
 public:
  explicit Jobs(unsigned count) : count_(std::clamp(count, 1U, kJobsMax)) {
    void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail("mmap");
    shared_ = new (memory) Shared{};
    pthread_barrierattr_t attributes;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&shared_->begin, &attributes, count_);
  }
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;
  ~Jobs() { munmap(shared_, sizeof(Shared)); }

  unsigned count() const { return count_; }

  // `work` is given the job's number and returns how many operations it has done. Operations a second, of all jobs.
  double rate(const std::function<std::uint64_t(unsigned)>& work) {
    std::fflush(nullptr);
    std::array<pid_t, kJobsMax> children{};
    for (unsigned job = 0; job < count_; ++job) {
      children[job] = fork();
      if (children[job] == 0) run(job, work);
      if (children[job] < 0) fail("fork");
    }
    std::uint64_t operations = 0;
    Clock::time_point begun = Clock::time_point::max();
    Clock::time_point ended = Clock::time_point::min();
    for (unsigned job = 0; job < count_; ++job) {
      int status = 0;
      if (waitpid(children[job], &status, 0) != children[job] || status != 0) std::exit(1);  // it has said why
      operations += shared_->done[job].operations;
      begun = std::min(begun, shared_->done[job].begun);
      ended = std::max(ended, shared_->done[job].ended);
    }
    return static_cast<double>(operations) / Seconds(ended - begun).count();
  }

  [[noreturn]] static void fail(const char* what) {
    std::perror(what);
    _exit(1);
  }

 private:
  struct Done {
    std::uint64_t operations;
    Clock::time_point begun, ended;
  };
  struct Shared {
    pthread_barrier_t begin;
    std::array<Done, kJobsMax> done;
  };

  [[noreturn]] void run(unsigned job, const std::function<std::uint64_t(unsigned)>& work) {
    pthread_barrier_wait(&shared_->begin);
    Done& done = shared_->done[job];
    done.begun = Clock::now();
    done.operations = work(job);
    done.ended = Clock::now();
    _exit(0);
  }

  const unsigned count_;
  Shared* shared_;
};

}  // namespace berth::bench
