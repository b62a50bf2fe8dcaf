#include "tests/posix/known_differences.hpp"

#include <algorithm>
#include <vector>

namespace berth::posix {
namespace {

constexpr std::string_view kThroughTheDaemon = "ThroughTheDaemon";  // the stage, and all where there is no passthrough
constexpr std::string_view kOlderKernels = "without passthrough";   // none but these

struct Difference {
  std::string_view stage;     // empty: all
  std::string_view scenario;  // empty: all
  std::string_view check;     // a part of its text
};

const std::vector<Difference>& differences() {
  static const std::vector<Difference> all{
      // Behind an access point the kernel knows the caller, not the enforced user.
      {"AccessPoint", "RightsOfTheFile", " of a fifo "},
      {"AccessPoint", "PrivilegesAfterChown", "of mode 7555"},
      {"AccessPoint", "SgidFilesInSgidDirectories", ": mode"},
      {"AccessPoint", "LinksOfOthers", "link of a file"},
      {"AccessPoint", "PrivilegesAfterAHandedOnWrite", " by root: mode"},
      // Nor does it know that root is nobody; what access(2) allows is refused when it is done.
      {"RootSquashed", "RightsOfTheFile", " by root"},
      {"RootSquashed", "PrivilegesAfterChown", "of a file of mode 6777 by root"},
      {"RootSquashed", "PrivilegesAfterAHandedOnWrite", " by root: mode"},
      {"RootSquashed", "UnlinkedButOpen", "link of what has no name any more"},
      // The kernel copies up to the size that it has last heard of.
      {"", "Copied", "after an append through the other mount"},
      {"", "Copied", "the copy after it"},
      // Without passthrough each mount's kernel has a page cache of its own.
      {kThroughTheDaemon, "TimesWhenUsed", "pread at the end"},
      {kThroughTheDaemon, "Appended", "the position after an append"},
      {kThroughTheDaemon, "Mapped", "a store, by"},
      {kThroughTheDaemon, "Mapped", "a write, by the mapping"},
      // FUSE carries statx(2) since 6.6; a tmpfs has had positions that stay in its directories since then, too.
      {kOlderKernels, "ExtendedStatus", "time of birth"},
      {kOlderKernels, "ListedWhileChanging", "each name that stays is listed once"},
      // close(2) of files opened for reading, or just made, is not announced: a round trip less for each.
      {"", "LocksGoneWithAClose", "a descriptor of flags 0"},
      {"", "LocksGoneWithAClose", "a descriptor of flags 302"},
      {"ReadOnly", "ReadOnlyDescriptors", "access W_OK"},
      // The daemon hears of a close later than the next mount may ask.
      {"", "RunningPrograms", "through the other mount"},
  };
  return all;
}

}  // namespace

bool is_known_difference(std::string_view stage, std::string_view scenario, std::string_view check, bool passthrough) {
  const auto concerns = [&](std::string_view known) {
    if (known == kThroughTheDaemon || known == kOlderKernels) return !passthrough || known == stage;
    return known.empty() || known == stage;
  };
  return std::ranges::any_of(differences(), [&](const Difference& d) {
    return concerns(d.stage) && (d.scenario.empty() || d.scenario == scenario) && check.find(d.check) != std::string_view::npos;
  });
}

}  // namespace berth::posix
