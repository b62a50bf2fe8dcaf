#include "tests/posix/scenarios.hpp"

#include <initializer_list>

namespace berth::posix {

std::vector<Scenario> all_scenarios() {
  std::vector<Scenario> all;
  for (auto* part : {path_scenarios, permission_scenarios, mode_scenarios, owner_scenarios, creation_scenarios, link_scenarios,
                     rename_scenarios, removal_scenarios, sticky_scenarios, size_scenarios, time_scenarios, privilege_scenarios,
                     open_scenarios, data_scenarios, nameless_scenarios, directory_scenarios, lock_scenarios, other_scenarios}) {
    for (const Scenario& scenario : part()) all.push_back(scenario);
  }
  return all;
}

}  // namespace berth::posix
