// Standby: lets a worker that is about to wait for something have another one look for requests meanwhile.
#pragma once

namespace berth::fuse {

class Standby {
 public:
  // Call before what may take long. Does nothing on threads that serve no requests.
  static void about_to_wait() {
    if (current_ != nullptr) current_->call();
  }
  Standby(const Standby&) = delete;
  Standby& operator=(const Standby&) = delete;
  virtual ~Standby() { current_ = nullptr; }

 protected:
  Standby() { current_ = this; }
  virtual void call() = 0;

 private:
  static inline thread_local Standby* current_ = nullptr;
};

}  // namespace berth::fuse
