// What the kernel puts in order, told to ThreadSanitizer, which can't see it: a request comes after all that was done before the
// answers that its sender has seen, whichever threads do either. In other builds there is nothing here.
#pragma once

#include "broker/base/thread_sanitizer.hpp"

#if BERTH_THREAD_SANITIZER
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace berth::fuse {

#if BERTH_THREAD_SANITIZER
// All answers must pass Mount::send().
inline char the_kernel;
inline void will_answer() { __tsan_release(&the_kernel); }
inline void has_come() { __tsan_acquire(&the_kernel); }
#else
inline void will_answer() {}
inline void has_come() {}
#endif

}  // namespace berth::fuse
