// KernelCache: what one mount's kernel has cached, as something that can be told to forget. Mount's is libfuse's
// notifications; tests have their own. Thread-safe.
#pragma once

#include <string>

#include "fuse/layout.hpp"

namespace berth::fuse {

class KernelCache {
 public:
  virtual ~KernelCache() = default;

  // Never waits for anything.
  virtual void drop_attributes(Ino ino) = 0;
  // Waits until no request of this mount holds the directory (the kernel takes its lock): for the Notifier only.
  virtual void drop_name(Ino directory, const std::string& name) = 0;
  // Every name, without waiting. False where the kernel can't (before 6.16).
  virtual bool drop_all_names() = 0;
  virtual bool drops_all_names() const = 0;
  // Whether the mount's requests may be held back, and a name then keeps whoever drops it waiting.
  virtual bool slow() { return false; }
  // Who may search a directory has changed: drops the names that were cached under the old rule, if the kernel does not
  // check it itself.
  virtual void access_changed() = 0;
};

}  // namespace berth::fuse
