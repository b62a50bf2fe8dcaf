// Grant: what one mount may do and as whom; decided when it was made, its rights changed on the live mount.
//
// Rights live in the mount's shared memory, so that they outlive the daemon. Thread-safe.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

#include "fuse/identity.hpp"
#include "fuse/share.hpp"

namespace berth::fuse {

inline std::uint32_t encode_rights(Rights rights) {
  return (rights.write ? 1U : 0U) | (rights.root_access ? 2U : 0U) | (rights.mount ? 0U : 4U);
}
inline Rights decode_rights(std::uint32_t bits) {
  return {.mount = (bits & 4U) == 0, .write = (bits & 1U) != 0, .root_access = (bits & 2U) != 0};
}

// Of a directory of this mode: names cached below it can't be reached by who could not have looked them up.
constexpr bool everybody_may_search(mode_t mode) {
  constexpr mode_t kSearchable = S_IXUSR | S_IXGRP | S_IXOTH;
  return (mode & kSearchable) == kSearchable;
}

class Grant {
 public:
  // `rights` must outlive the grant.
  Grant(std::optional<PosixUser> identity, std::atomic<std::uint32_t>& rights)
      : identity_(std::move(identity)), rights_(rights) {}

  Rights rights() const { return decode_rights(rights_.load(std::memory_order_acquire)); }
  void set_rights(Rights rights) { rights_.store(encode_rights(rights), std::memory_order_release); }
  Identity identity_of(const Caller& caller) const { return effective_identity(caller, identity_, rights()); }

  // The mount's own identity replaces the caller's, so the kernel's check against the caller would be wrong.
  bool enforces_identity() const { return identity_.has_value(); }
  // Whether everybody who can reach a name through the kernel's cache could have looked it up. Not so where root is
  // squashed to another user by the daemon: the kernel lets root pass everywhere.
  bool names_cacheable() const { return identity_.has_value() || rights().root_access; }
  // Whether a directory can be searched is for the daemon alone to say, for some callers at least.
  bool decides_search() const { return identity_.has_value() || !rights().root_access; }

 private:
  std::optional<PosixUser> identity_;
  std::atomic<std::uint32_t>& rights_;
};

}  // namespace berth::fuse
