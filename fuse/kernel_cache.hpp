// KernelCache: what one mount's kernel has cached, as something that can be told to forget. Mount's is libfuse's
// notifications; tests have their own. Thread-safe.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>

#include "fuse/layout.hpp"
#include "fuse/name_epochs.hpp"

namespace berth::fuse {

class KernelCache {
 public:
  virtual ~KernelCache() = default;

  // Never waits for anything. False where the kernel may just be taking the inode in, and is to be told again.
  virtual bool drop_attributes(Ino ino) = 0;
  // Waits until no request of this mount holds the directory (the kernel takes its lock): for the Notifier only.
  virtual void drop_name(Ino directory, const std::string& name) = 0;
  // Pages of the file, to its end where `length` is 0. Waits for the requests that fill them: for the Notifier only.
  virtual void drop_data(Ino ino, off_t offset, off_t length) = 0;
  // Every name, without waiting; those of a list that is being taken in may come after it. False where the kernel can't (before
  // 6.16).
  bool drop_all_names() {
    const NameEpochs::Epoch next = names_.begin_next();
    if (!drop_every_name()) return false;
    names_.has_begun(next);
    return true;
  }
  virtual bool drops_all_names() const = 0;
  // Forgets those of the inodes that nothing uses, whatever their names are, without waiting. False where the kernel can't
  // (before 6.18).
  virtual bool prune(std::span<const Ino> inodes) = 0;
  // Whether the mount's requests may be held back, and a name then keeps whoever drops it waiting.
  virtual bool slow() { return false; }
  // Who may search a directory has changed: drops the names that were cached under the old rule, if the kernel does not
  // check it itself.
  virtual void access_changed() = 0;

  NameEpochs& names() { return names_; }

 private:
  virtual bool drop_every_name() = 0;

  NameEpochs names_;
};

}  // namespace berth::fuse
