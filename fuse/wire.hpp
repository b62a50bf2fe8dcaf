// The little of the FUSE wire that Berth reads itself; libfuse does the rest. From <linux/fuse.h>, which Debian's kernel
// headers have in too old a version.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace berth::fuse {

inline constexpr std::uint32_t kOpForget = 2;
inline constexpr std::uint32_t kOpInit = 26;
inline constexpr std::uint32_t kOpInterrupt = 36;
inline constexpr std::uint32_t kOpBatchForget = 42;

inline constexpr std::int32_t kNotifyResend = 7;
inline constexpr std::uint64_t kResentBit = std::uint64_t{1} << 63U;
inline constexpr unsigned long kBackingClose = 0x4004e502;  // FUSE_DEV_IOC_BACKING_CLOSE: _IOW(229, 2, uint32_t)

struct RequestHead {  // fuse_in_header
  std::uint32_t size;
  std::uint32_t opcode;
  std::uint64_t unique;
  std::uint64_t nodeid;
  std::array<std::uint32_t, 4> caller;

  bool resent() const { return (unique & kResentBit) != 0; }
  std::uint64_t name() const { return unique & ~kResentBit; }
  // The kernel keeps no copy of it.
  bool comes_once() const { return opcode == kOpForget || opcode == kOpBatchForget || opcode == kOpInterrupt; }
};

struct ForgetOne {  // fuse_forget_one
  std::uint64_t nodeid;
  std::uint64_t lookups;
};

struct ReplyHead {  // fuse_out_header
  std::uint32_t size;
  std::int32_t error;
  std::uint64_t unique;
};

// Zeroes where the bytes end before.
template <class T>
T read_as(std::span<const std::byte> bytes, std::size_t at = 0) {
  T value{};
  if (at + sizeof(T) <= bytes.size()) std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

}  // namespace berth::fuse
