// The same random operations as in parity_test.cpp, while the daemon is killed all the time: whatever an operation was
// interrupted at, it is carried out once and answered as on a native directory.
//
// BERTH_PARITY_SEEDS, BERTH_PARITY_SEED and BERTH_PARITY_STEPS as there. What the kills hit differs from run to run, so a
// difference is not made shorter.
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/kernel_share/kept_share.hpp"
#include "tests/kernel_share/served_share.hpp"
#include "tests/parity/attributes.hpp"
#include "tests/parity/duel.hpp"
#include "tests/parity/setting.hpp"
#include "tests/support/requirements.hpp"

namespace berth::parity {
namespace {

using fuse::test::KeptShare;
using fuse::test::Place;

// Kills the share's daemon, each as soon as it serves.
class Killer {
 public:
  explicit Killer(KeptShare& share) : thread_([this, &share] { run(share); }) {}
  // How often it did; fails the test where a daemon did not take up both mounts.
  unsigned stop() {
    stopping_ = true;
    thread_.join();
    EXPECT_EQ(last_, "recovered 2") << "after " << kills_ << " kills";
    return kills_;
  }

 private:
  void run(KeptShare& share) {
    while (!stopping_ && last_ == "recovered 2") {
      last_ = share.kill_daemon();
      ++kills_;
    }
  }

  std::atomic<bool> stopping_ = false;
  std::string last_ = "recovered 2";
  unsigned kills_ = 0;
  std::jthread thread_;
};

class ParityThroughKills : public testing::TestWithParam<fuse::test::Way> {
 protected:
  void SetUp() override {
    BERTH_NEEDS(fuse::test::why_no_mounts().empty(), fuse::test::why_no_mounts());
    ASSERT_EQ(::mkdir((temporary_ / "backing").c_str(), 0777), 0);
  }
  std::vector<Place> places() {
    std::vector<Place> all;
    for (const char* name : {"a", "b"}) {
      all.push_back({.spec = {.id = fuse::MountId(std::string("parity/") + name),
                              .backing_directory = temporary_ / "backing",
                              .rights = {.write = true, .root_access = true}},
                     .path = temporary_ / name});
    }
    return all;
  }

  fuse::test::TemporaryDirectory temporary_;
};

INSTANTIATE_TEST_SUITE_P(Share, ParityThroughKills, testing::ValuesIn(fuse::test::kWays), fuse::test::name_of_way);

TEST_P(ParityThroughKills, RandomOperationsOnTwoMountsAreThoseOfANativeDirectory) {
  const std::uint64_t first = setting("BERTH_PARITY_SEED", 1);
  const std::uint64_t seeds = setting("BERTH_PARITY_SEEDS", 2);
  const std::size_t count = setting("BERTH_PARITY_STEPS", 300);
  fuse::Share::Options options = GetParam().options();
  options.cache_timeout = std::chrono::hours(1);
  KeptShare share(places(), options);
  ASSERT_EQ(share.first(), "mounted");
  unsigned kills = 0;
  for (std::uint64_t seed = first; seed < first + seeds && !HasFailure(); ++seed) {
    const Ground where{.native = temporary_ / "native",
                       .backing = temporary_ / "backing/tree",
                       .mounts = {temporary_ / "a/tree", temporary_ / "b/tree"},
                       .enforced = std::nullopt,
                       .access_times = GetParam().passthrough,
                       .change_times = fine_clock(temporary_.path()),
                       .compare_every = 16};
    const auto steps = make_steps(seed, count, {.one_cache = GetParam().passthrough, .access_point = false});
    Killer killer(share);
    const auto difference = duel(where, steps);
    kills += killer.stop();
    if (!difference) continue;
    std::string text = fmt::format("seed {}, step {}: {}\n", seed, difference->step, difference->what);
    for (std::size_t i = difference->step < 20 ? 0 : difference->step - 20; i <= difference->step && i < steps.size(); ++i) {
      text += fmt::format("{}: {}\n", i, describe(steps[i]));
    }
    ADD_FAILURE() << text;
  }
  std::printf("%u kills\n", kills);
}

}  // namespace
}  // namespace berth::parity
