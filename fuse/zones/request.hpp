// Request: what a raw FUSE request is to the network and to the meters. Reads the kernel's words and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace berth::fuse::zones {

struct Request {
  enum class Kind {
    local,      // never crosses the network: it lets go of something, or is the kernel's own
    interrupt,  // of the request `interrupted`
    read,
    write,
    copy,  // inside the file system, by a call that NFS 4.1 has not got
    metadata,
  };
  Kind kind = Kind::local;
  std::uint64_t unique = 0;  // as it came, with the mark of a resent request
  std::uint64_t interrupted = 0;
  std::uint32_t pid = 0;    // the thread that asks
  std::uint64_t bytes = 0;  // of read and write
  bool changes = false;     // the file system
};

Request read_request(std::span<const std::byte> message);

// The number of a request, however often it is sent.
constexpr std::uint64_t number_of(std::uint64_t unique) { return unique & ~(std::uint64_t{1} << 63U); }

}  // namespace berth::fuse::zones
