// HeldRequests: a server's requests of one kind wait until the test lets them go.
//
// Made before the server is, which inherits it; one at a time.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include <gtest/gtest.h>

#include "fuse/share.hpp"

namespace berth::fuse::test {

class HeldRequests {
 public:
  HeldRequests(Moment moment, std::uint32_t opcode) : moment_(moment), opcode_(opcode) {
    EXPECT_EQ(pipe2(held_.data(), O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(go_.data(), O_CLOEXEC), 0);
    current_ = this;
  }
  HeldRequests(const HeldRequests&) = delete;
  HeldRequests& operator=(const HeldRequests&) = delete;
  ~HeldRequests() {
    current_ = nullptr;
    for (const int fd : {held_[0], held_[1], go_[0], go_[1]}) close(fd);
  }

  // For Share::Options::fault.
  static int hold(Moment moment, std::uint32_t opcode) {
    if (moment != current_->moment_ || opcode != current_->opcode_) return 0;
    char byte = 0;
    return write(current_->held_[1], "h", 1) == 1 && read(current_->go_[0], &byte, 1) == 1 ? 0 : EIO;
  }
  // Waits until one more is held.
  void await_one() const {
    char byte = 0;
    EXPECT_EQ(read(held_[0], &byte, 1), 1);
  }
  void let_one_go() const { EXPECT_EQ(write(go_[1], "g", 1), 1); }
  // The next few are not held.
  void let_pass() const { EXPECT_EQ(write(go_[1], std::array<char, 64>{}.data(), 64), 64); }
  // From now on they are again.
  void hold_again() const {
    for (const int end : {go_[0], held_[0]}) {
      std::array<char, 256> bytes{};
      struct pollfd waiting{end, POLLIN, 0};
      if (poll(&waiting, 1, 0) != 1) continue;
      EXPECT_GT(read(end, bytes.data(), bytes.size()), 0);
    }
  }

 private:
  static inline const HeldRequests* current_ = nullptr;
  const Moment moment_;
  const std::uint32_t opcode_;
  std::array<int, 2> held_{};  // a byte from each that is
  std::array<int, 2> go_{};    // and one to each that may go on
};

}  // namespace berth::fuse::test
