// Revocation: what a mount's rights answer before any operation is looked at, and how files that are open lose them.
//
// Without the right to mount every request is EACCES, but for those that only let go. A file open in passthrough is read and
// written by the kernel, which asks nobody; but an inode whose attributes turn out to be impossible is bad for the kernel from
// then on: reads and writes of it are EIO, and the next lookup of its name makes a new one. So a helper process asks for
// the attributes of such a file through the mount, and only the helper gets the impossible answer. Mappings stay as they are.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "broker/base/error.hpp"
#include "fuse/grant.hpp"
#include "fuse/layout.hpp"

namespace berth::fuse {

class Revocation {
 public:
  explicit Revocation(const Grant& grant) : grant_(grant) {}

  struct Reply {
    static constexpr std::size_t kBytesMax = 104;
    int error = 0;
    std::size_t zeroes = 0;  // bytes of the answer
  };
  // Where it has a value the request goes no further.
  std::optional<Reply> answer(std::span<const std::byte> request);

  struct Inode {
    Ino ino = 0;
    std::uint32_t revision = 0;  // what is known to the kernel by a smaller generation is given up
  };
  // The kernel gives these inodes up. `mount` is a descriptor of the mount itself. Waits for workers: not for one of them.
  Result<> give_up(int mount, const std::vector<Inode>& inodes);

 private:
  bool given_up(Ino ino);

  const Grant& grant_;
  std::mutex one_helper_;
  std::atomic<pid_t> helper_ = 0;
  std::mutex mutex_;         // of inodes_
  std::vector<Ino> inodes_;  // that the helper asks for, sorted
};

}  // namespace berth::fuse
