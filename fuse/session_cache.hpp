// SessionCache: a mount's KernelCache by libfuse's notifications.
//
// It may outlive the session: notifications that come after end() go nowhere.
#pragma once

#include <atomic>
#include <span>
#include <string>

#include "fuse/grant.hpp"
#include "fuse/introductions.hpp"
#include "fuse/kernel_cache.hpp"

struct fuse_session;

namespace berth::fuse {

class SessionCache final : public KernelCache {
 public:
  SessionCache(const Grant& grant, Introductions& introductions, const std::atomic<bool>& gated)
      : grant_(grant), introductions_(introductions), gated_(gated) {}

  void begin(struct fuse_session* session) { session_ = session; }
  // No notification begins after this.
  void end_soon() { session_ = nullptr; }
  // Nor is one under way when it returns: the session and all that was given to the constructor may go.
  void end();
  bool busy() const { return calls_ != 0; }
  void set_epochs(bool epochs) { epochs_ = epochs; }

  bool drop_attributes(Ino ino) override;
  void drop_name(Ino directory, const std::string& name) override;
  void drop_data(Ino ino, off_t offset, off_t length) override;
  bool drops_all_names() const override { return epochs_; }
  bool prune(std::span<const Ino> inodes) override;
  bool slow() override;
  void access_changed() override;

 private:
  bool drop_every_name() override;
  template <class Notify>
  void tell(Notify&& notify);

  const Grant& grant_;
  Introductions& introductions_;
  const std::atomic<bool>& gated_;
  std::atomic<struct fuse_session*> session_ = nullptr;
  std::atomic<unsigned> calls_ = 0;
  std::atomic<bool> epochs_ = false;
  std::atomic<bool> prunes_ = true;  // until the kernel says no
};

}  // namespace berth::fuse
