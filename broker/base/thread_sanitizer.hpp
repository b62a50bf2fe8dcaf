// Whether this is compiled with ThreadSanitizer: for what it can't see, and for what it changes itself.
#pragma once

#if defined(__SANITIZE_THREAD__)
#define BERTH_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BERTH_THREAD_SANITIZER 1
#endif
#endif
#ifndef BERTH_THREAD_SANITIZER
#define BERTH_THREAD_SANITIZER 0
#endif

namespace berth {

inline constexpr bool kThreadSanitizer = BERTH_THREAD_SANITIZER != 0;

}  // namespace berth
