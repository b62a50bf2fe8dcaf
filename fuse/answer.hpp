// Answer<T>: what a file operation gives: a value or an errno for the kernel.
//
// The data path answers ENOENT all day long: an Error with its message would cost more than the operation.
#pragma once

#include <cerrno>
#include <expected>

namespace berth::fuse {

enum class Errno : int {};

template <class T = void>
using Answer = std::expected<T, Errno>;

inline std::unexpected<Errno> refuse(int errno_value) { return std::unexpected<Errno>(Errno{errno_value}); }
inline std::unexpected<Errno> refuse(Errno value) { return std::unexpected<Errno>(value); }
inline std::unexpected<Errno> refuse_last() { return refuse(errno); }
inline int number(Errno value) { return static_cast<int>(value); }

// For system calls that give -1 and errno.
inline Answer<> answer(int returned) {
  if (returned < 0) return refuse_last();
  return {};
}

}  // namespace berth::fuse
