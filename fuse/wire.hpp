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

inline constexpr std::uint32_t kOpNotifyReply = 41;

inline constexpr std::int32_t kNotifyRetrieve = 5;
inline constexpr std::int32_t kNotifyResend = 7;
inline constexpr std::int32_t kNotifyPrune = 9;
inline constexpr std::uint64_t kResentBit = std::uint64_t{1} << 63U;
inline constexpr std::uint64_t kInterruptBit = 1;           // FUSE_INT_REQ_BIT: the INTERRUPT of the request with this name
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

struct EntryHead {  // fuse_entry_out, up to the attributes
  std::uint64_t nodeid;
  std::uint64_t generation;
  std::uint64_t name_seconds;  // for how long the kernel may remember it
  std::uint64_t attributes_seconds;
  std::uint32_t name_nanoseconds;
  std::uint32_t attributes_nanoseconds;
};

struct NotifyRetrieve {  // fuse_out_header, fuse_notify_retrieve_out
  ReplyHead head;
  std::uint64_t unique;  // of the request that brings it
  std::uint64_t nodeid;
  std::uint64_t offset;
  std::uint32_t size;
  std::uint32_t padding;
};

struct NotifyPrune {  // fuse_out_header, fuse_notify_prune_out; the nodeids follow
  ReplyHead head;
  std::uint32_t count;
  std::uint32_t padding;
  std::uint64_t spare;
};

// The second word of flags in fuse_init_in (after its head) and in fuse_init_out.
inline constexpr std::size_t kInitFlags2At = sizeof(RequestHead) + 16;
inline constexpr std::size_t kInitReplyFlags2At = 32;
inline constexpr std::uint32_t kInitOverRing = 1U << (41U - 32U);  // FUSE_OVER_IO_URING

// FUSE over io_uring (Documentation/filesystems/fuse/fuse-io-uring.rst).
inline constexpr std::uint32_t kRingRegister = 1;        // FUSE_IO_URING_CMD_REGISTER
inline constexpr std::uint32_t kRingCommitAndFetch = 2;  // FUSE_IO_URING_CMD_COMMIT_AND_FETCH

struct RingHead {                       // fuse_uring_req_header
  std::array<std::byte, 128> in_out;    // RequestHead, and ReplyHead
  std::array<std::byte, 128> argument;  // the first one, where it has a size of its own
  std::uint64_t flags;
  std::uint64_t commit;        // names the request when it is answered
  std::uint32_t payload_size;  // of the other arguments; of the answer without its head
  std::uint32_t padding;
  std::uint64_t reserved;
};
static_assert(sizeof(RingHead) == 288);

struct RingCommand {  // fuse_uring_cmd_req: in the submission entry
  std::uint64_t flags;
  std::uint64_t commit;
  std::uint16_t queue;
  std::array<std::uint8_t, 6> padding;
};

// Zeroes where the bytes end before.
template <class T>
T read_as(std::span<const std::byte> bytes, std::size_t at = 0) {
  T value{};
  if (at + sizeof(T) <= bytes.size()) std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

}  // namespace berth::fuse
