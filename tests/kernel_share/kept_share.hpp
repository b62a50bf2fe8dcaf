// KeptShare: a share whose daemon can be killed and comes back: the test plays the keeper, with a process that shares its
// descriptor table with the daemon (CLONE_FILES), and memory.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "broker/base/survival.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/share.hpp"
#include "tests/kernel_share/served_share.hpp"

namespace berth::test {
class SharedSurvival;
}

namespace berth::fuse::test {

// How data and requests go, as a parameter of tests: kernels before 6.9 have neither passthrough nor resending.
struct Way {
  const char* name;
  bool passthrough;
  bool resend;
  Share::Options options() const { return {.passthrough = passthrough, .resend = resend}; }
};
inline constexpr std::array<Way, 3> kWays{
    {{"Passthrough", true, true}, {"ThroughTheDaemon", false, true}, {"WithoutResending", false, false}}};
inline std::string name_of_way(const testing::TestParamInfo<Way>& instance) { return instance.param.name; }
inline std::ostream& operator<<(std::ostream& out, const Way& way) { return out << way.name; }

class KeptShare {
 public:
  KeptShare(std::vector<Place> places, Share::Options options);
  ~KeptShare();
  KeptShare(const KeptShare&) = delete;
  KeptShare& operator=(const KeptShare&) = delete;

  // "mounted", or what went wrong.
  const std::string& first() const { return first_; }
  // Kills the daemon; what the next one says when it serves: "recovered <number of mounts>".
  std::string kill_daemon();
  // The same, but it dies of a fault of its own.
  std::string crash_daemon();
  // The same, but the next one dies too, at this step of its taking over (a use of Survival, from 1 on), and the one after it
  // serves. False where it took over in fewer steps.
  bool kill_two(int step);

  // The next request of this operation (FUSE's number) that comes to `moment` does this, once.
  enum class Trap : std::uint32_t {
    none,
    die,   // the daemon dies; hear() then gives what the next one says
    stop,  // the request stays there; hear() gives "stopped"; kill_daemon() goes on
    fail,  // with `error`, where the moment can
  };
  void set_trap(Trap trap, Moment moment, std::uint32_t opcode, int error = 0);
  bool trap_is_set() const;
  // What the daemon holds for its mounts: descriptors kept, and inodes known to kernels.
  struct Holdings {
    std::size_t descriptors = 0;
    std::size_t inodes = 0;
    bool operator==(const Holdings&) const = default;
  };
  Holdings holdings();
  // Lock requests that wait in the daemon.
  std::size_t locks_waited_for();
  // RLIMIT_NOFILE of the running daemon.
  void limit_descriptors(std::size_t limit);
  // No new region of memory for the daemon and its successors.
  void deny_memory(bool denied);
  std::string hear();

 private:
  [[noreturn]] void keep(int control);
  [[noreturn]] void serve(berth::test::SharedSurvival& survival, int control);
  static ssize_t wait_for_end(pid_t daemon, int control);
  std::string start(Share& share, const Survival& survival);

  std::vector<Place> places_;
  Share::Options options_;
  UniqueFd control_;
  pid_t keeper_ = -1;
  std::string first_;
};

}  // namespace berth::fuse::test
