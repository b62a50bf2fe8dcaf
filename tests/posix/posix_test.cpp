// Runs every scenario natively and on each kind of mount and holds the results against each other.
//
// A check fails on the share where it did not get what POSIX wants, unless the native directory, asked as the same user, got
// the very same: that is the backing file system's doing.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <iostream>
#include <map>
#include <memory>

#include <gtest/gtest.h>

#include "tests/kernel_share/served_share.hpp"
#include "tests/posix/known_differences.hpp"
#include "tests/posix/scenarios.hpp"
#include "tests/support/requirements.hpp"

namespace berth::posix {
namespace {

using fuse::MountId;
using fuse::MountSpec;
using fuse::PosixUser;
using fuse::test::ServedShare;
using fuse::test::TemporaryDirectory;
using fuse::test::why_no_mounts;

User itself(const User& user) { return user; }
User always_owner(const User&) { return {"the access point's user", kOwner.uid, kOwner.gid, {5000, 0}}; }
User root_is_nobody(const User& user) { return user.uid == 0 ? User{"nobody", 65534, 65534, {}} : user; }

struct Stage {
  const char* name;
  const char* act;
  const char* see;
  const char* admin;
  Effective effective;
};

// Mounts by name: "d" ones are served without passthrough.
constexpr std::array<Stage, 6> kStages{{
    {"TwoMounts", "a", "b", "a", itself},
    {"OneMount", "alone", "alone", "alone", itself},
    {"ThroughTheDaemon", "da", "db", "da", itself},
    {"AccessPoint", "point", "a", "a", always_owner},
    {"RootSquashed", "squashed", "a", "a", root_is_nobody},
    {"ReadOnly", "ro", "a", "a", itself},
}};

struct Total {
  std::size_t checks = 0;
  std::size_t native_failures = 0;
  std::size_t failures = 0;
  std::size_t known = 0;
};

// The mounts of all tests, made once; and the totals, printed at the end.
class Mounts : public testing::Environment {
 public:
  // Empty where the mounts are there.
  const std::string& error() {
    if (!asked_) make();
    asked_ = true;
    return error_;
  }
  std::string path(const std::string& name) const { return *temporary_ / name; }
  bool passthrough() const { return passthrough_; }
  Total& total(const std::string& stage) { return totals_[stage]; }

  void TearDown() override {
    Total all;
    for (const auto& [stage, total] : totals_) {
      print(stage, total);
      all.checks += total.checks;
      all.native_failures += total.native_failures;
      all.failures += total.failures;
      all.known += total.known;
    }
    if (!totals_.empty()) print("all", all);
    if (temporary_) umount2(path("native-ro").c_str(), MNT_DETACH);
    passed_through_.reset();
    served_.reset();
    temporary_.reset();
  }

 private:
  static void print(const std::string& stage, const Total& t) {
    std::cout << fmt::format("posix: {:<17} {:>6} checks, native fails {}, share fails {}, known differences {}\n", stage,
                             t.checks, t.native_failures, t.failures, t.known);
  }

  fuse::test::Place place(const std::string& name, const std::string& backing, MountSpec spec) const {
    spec.id = MountId("posix/" + name);
    spec.backing_directory = path(backing);
    return {.spec = std::move(spec), .path = path(name)};
  }

  void make() {
    error_ = why_no_mounts();
    if (!error_.empty()) return;
    temporary_ = std::make_unique<TemporaryDirectory>();
    for (const char* name : {"native", "backing", "daemon-backing", "alone-backing"}) {
      ::mkdir(path(name).c_str(), 0777);
      ::chmod(path(name).c_str(), 0777);
    }
    const MountSpec all{.rights = {.write = true, .root_access = true}};
    MountSpec point = all;
    const User user = always_owner(kRoot);
    point.identity = PosixUser{user.uid, user.gid, {user.groups[0]}};
    const MountSpec read_only{.rights = {.write = false, .root_access = true}};
    const MountSpec squashed{.rights = {.write = true, .root_access = false}};
    const std::vector places{place("a", "backing", all),
                             place("b", "backing", all),
                             place("alone", "alone-backing", all),
                             place("point", "backing", point),
                             place("squashed", "backing", squashed),
                             place("ro", "backing", read_only)};
    passed_through_ = std::make_unique<ServedShare>(places);
    served_ = std::make_unique<ServedShare>(std::vector{place("da", "daemon-backing", all), place("db", "daemon-backing", all)},
                                            fuse::Share::Options{.passthrough = false});
    error_ = passed_through_->error() + served_->error() + mount_native_read_only();
    passthrough_ = error_.empty() && passed_through_->passthrough();
  }

  std::string mount_native_read_only() const {
    ::mkdir(path("native-ro").c_str(), 0777);
    const bool mounted = ::mount(path("native").c_str(), path("native-ro").c_str(), nullptr, MS_BIND, nullptr) == 0 &&
                         ::mount(nullptr, path("native-ro").c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) == 0;
    return mounted ? "" : fmt::format("a read-only bind mount: errno {}", errno);
  }

  bool asked_ = false;
  std::string error_;
  bool passthrough_ = false;
  std::unique_ptr<TemporaryDirectory> temporary_;
  std::unique_ptr<ServedShare> passed_through_;
  std::unique_ptr<ServedShare> served_;
  std::map<std::string, Total> totals_;
};

Mounts& mounts() {
  static auto* environment = dynamic_cast<Mounts*>(testing::AddGlobalTestEnvironment(new Mounts));
  return *environment;
}
[[maybe_unused]] const Mounts& kRegistered = mounts();

bool is_read_only(const Stage& stage) { return std::string_view{stage.name} == "ReadOnly"; }

// What costs much and is no different on other kinds of mounts runs on the first only.
bool only_once(std::string_view scenario) {
  return scenario == "ListedWhileChanging" || scenario == "ManyNames" || scenario == "LocksOfDeadProcesses";
}

std::vector<Check> checks_of(const Scenario& scenario, const Place& place) {
  Run run(place, scenario.name);
  scenario.run(run);
  return run.take();
}

using Case = std::tuple<std::size_t, Scenario>;

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (std::size_t number = 0; number < kStages.size(); ++number) {
    if (is_read_only(kStages.at(number))) {
      for (const Scenario& scenario : read_only_scenarios()) cases.emplace_back(number, scenario);
      continue;
    }
    for (const Scenario& scenario : all_scenarios()) {
      if (number == 0 || !only_once(scenario.name)) cases.emplace_back(number, scenario);
    }
  }
  return cases;
}

using Checks = std::map<std::string, Check>;

// On the native directory, as the same users: run once for all stages that ask for the same.
const Checks& native_checks(const Stage& stage, const Scenario& scenario) {
  static std::map<std::pair<Effective, std::string>, Checks> known;
  const auto [at, fresh] = known.try_emplace({stage.effective, scenario.name});
  if (!fresh) return at->second;
  const std::string path = mounts().path("native");
  const std::string act = is_read_only(stage) ? mounts().path("native-ro") : path;
  for (Check& check : checks_of(scenario, {stage.name, act, path, path, false, stage.effective})) {
    if (!check.passed()) ++mounts().total(stage.name).native_failures;
    if (!check.passed() && stage.effective == itself) {
      std::cout << "natively: " << check.what << ": " << check.got << ", not " << check.wanted << '\n';
    }
    at->second.insert_or_assign(check.what, check);
  }
  return at->second;
}

// Whether the native directory fails it whoever asks: the backing file system's own way, in which the share is better.
bool fails_for_all(const Scenario& scenario, const std::string& what) {
  const Checks& checks = native_checks(kStages.front(), scenario);
  const auto found = checks.find(what);
  return found != checks.end() && !found->second.passed();
}

class Posix : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override { BERTH_NEEDS(mounts().error().empty(), mounts().error()); }
};

TEST_P(Posix, IsAsOnANativeDirectory) {
  const auto& [number, scenario] = GetParam();
  const Stage& stage = kStages.at(number);
  const Place share{stage.name, mounts().path(stage.act), mounts().path(stage.see), mounts().path(stage.admin),
                    true,       stage.effective};
  Total& total = mounts().total(stage.name);
  const Checks& natively = native_checks(stage, scenario);
  for (const Check& check : checks_of(scenario, share)) {
    ++total.checks;
    const auto twin = natively.find(check.what);
    const bool compared = twin != natively.end();
    if (check.passed() && (!compared || twin->second.passed() || stage.effective == itself)) continue;
    if (compared && check.got == twin->second.got) continue;
    if (check.passed() && fails_for_all(scenario, check.what)) continue;
    if (is_known_difference(stage.name, scenario.name, check.what, mounts().passthrough())) {
      ++total.known;
      continue;
    }
    ++total.failures;
    ADD_FAILURE() << check.what << ": " << check.got << ", not " << (compared ? twin->second.got : check.wanted);
  }
}

std::string name_of_case(const testing::TestParamInfo<Case>& instance) {
  return std::string(kStages.at(std::get<0>(instance.param)).name) + "_" + std::get<1>(instance.param).name;
}

INSTANTIATE_TEST_SUITE_P(Share, Posix, testing::ValuesIn(all_cases()), name_of_case);

}  // namespace
}  // namespace berth::posix
