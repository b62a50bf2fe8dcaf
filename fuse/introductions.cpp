#include "fuse/introductions.hpp"

#include <ctime>

namespace berth::fuse {
namespace {

// Milliseconds, never 0. Goes on over a death of the daemon.
std::uint32_t now() {
  struct timespec time{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return static_cast<std::uint32_t>(time.tv_sec * 1000 + time.tv_nsec / 1'000'000) | 1U;
}

// A kernel takes an answer in without waiting for anything but a processor.
constexpr std::uint32_t kLongestMilliseconds = 2000;

}  // namespace

bool Introductions::answer(Ino ino) const {
  if (InodeRecord* record = inodes_.record(ino)) record->answered.store(now(), std::memory_order_seq_cst);
  return unknown_.load(std::memory_order_seq_cst) == begun_;
}

bool Introductions::unknown(Ino ino) {
  unknown_.fetch_add(1, std::memory_order_seq_cst);
  const std::uint32_t answered = inodes_.answered(ino);
  return answered != 0 && now() - answered < kLongestMilliseconds;
}

}  // namespace berth::fuse
