// BriefMutex: for what is held for less time than a thread takes to fall asleep and be woken again. Who finds it taken looks on
// for a moment before it sleeps, which std::mutex does not. Not over system calls.
#pragma once

#include <pthread.h>

namespace berth::fuse {

class BriefMutex {
 public:
  BriefMutex() = default;
  BriefMutex(const BriefMutex&) = delete;
  BriefMutex& operator=(const BriefMutex&) = delete;

  void lock() { pthread_mutex_lock(&mutex_); }
  bool try_lock() { return pthread_mutex_trylock(&mutex_) == 0; }
  void unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_ = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
};

}  // namespace berth::fuse
