// The share held against a native directory: the same random operations, the same results, attributes and trees.
//
// BERTH_PARITY_SEEDS=<n> runs n seeds instead of a few, BERTH_PARITY_SEED=<s> begins at that one; BERTH_PARITY_STEPS sets the
// length. A failure prints the shortest sequence found.
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/kernel_share/served_share.hpp"
#include "tests/parity/attributes.hpp"
#include "tests/parity/duel.hpp"
#include "tests/parity/setting.hpp"
#include "tests/support/requirements.hpp"

namespace berth::parity {
namespace {

using fuse::MountId;
using fuse::test::Place;
using fuse::test::ServedShare;
using fuse::test::TemporaryDirectory;

struct Kind {
  const char* name;
  bool passthrough;
  bool access_point;
};

class Parity : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    BERTH_NEEDS(fuse::test::why_no_mounts().empty(), fuse::test::why_no_mounts());
    ASSERT_EQ(::mkdir((temporary_ / "backing").c_str(), 0777), 0);
    std::vector<Place> places;
    for (const char* name : {"a", "b"}) {
      fuse::MountSpec spec{.id = MountId(std::string("parity/") + name),
                           .backing_directory = temporary_ / "backing",
                           .rights = {.write = true, .root_access = true}};
      if (GetParam().access_point) spec.identity = fuse::PosixUser{1001, 1001, {2001, 2002}};
      places.push_back({.spec = spec, .path = temporary_ / name});
    }
    // A cache that would show for an hour if it were not coherent.
    share_ = std::make_unique<ServedShare>(
        places, fuse::Share::Options{.passthrough = GetParam().passthrough, .cache_timeout = std::chrono::hours(1)});
    ASSERT_EQ(share_->error(), "");
  }

  Ground ground() {
    Ground ground{.native = temporary_ / "native",
                  .backing = temporary_ / "backing/tree",
                  .mounts = {temporary_ / "a/tree", temporary_ / "b/tree"},
                  .enforced = std::nullopt,
                  .access_times = GetParam().passthrough,
                  .change_times = fine_clock(temporary_.path())};
    if (GetParam().access_point) ground.enforced = actors()[1];
    return ground;
  }

  TemporaryDirectory temporary_;
  std::unique_ptr<ServedShare> share_;
};

INSTANTIATE_TEST_SUITE_P(Share, Parity,
                         testing::Values(Kind{"Passthrough", true, false}, Kind{"ThroughTheDaemon", false, false},
                                         Kind{"AccessPoint", true, true}),
                         [](const auto& instance) { return instance.param.name; });

TEST_P(Parity, RandomOperationsOnTwoMountsAreThoseOfANativeDirectory) {
  const std::uint64_t first = setting("BERTH_PARITY_SEED", 1);
  const std::uint64_t seeds = setting("BERTH_PARITY_SEEDS", 4);
  const std::size_t count = setting("BERTH_PARITY_STEPS", 300);
  constexpr std::array<std::size_t, 3> kIntervals{1, 16, 100'000};
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    const auto steps = make_steps(seed, count, {.one_cache = GetParam().passthrough, .access_point = GetParam().access_point});
    Ground where = ground();
    where.compare_every = kIntervals[seed % kIntervals.size()];  // looking at everything hides what one mount alone knows
    if (!duel(where, steps)) continue;
    const auto shortest = shorten(where, steps);
    std::string text = fmt::format("seed {}:\n", seed);
    for (const Step& step : shortest) text += describe(step) + "\n";
    const auto difference = duel(where, shortest);
    FAIL() << text << (difference ? difference->what : "not every time");
  }
}

}  // namespace
}  // namespace berth::parity
