// The scenarios of each file, by what they are about.
#pragma once

#include <vector>

#include "tests/posix/run.hpp"

namespace berth::posix {

std::vector<Scenario> path_scenarios();
std::vector<Scenario> permission_scenarios();
std::vector<Scenario> mode_scenarios();
std::vector<Scenario> owner_scenarios();
std::vector<Scenario> creation_scenarios();
std::vector<Scenario> link_scenarios();
std::vector<Scenario> rename_scenarios();
std::vector<Scenario> removal_scenarios();
std::vector<Scenario> sticky_scenarios();
std::vector<Scenario> size_scenarios();
std::vector<Scenario> time_scenarios();
std::vector<Scenario> privilege_scenarios();
std::vector<Scenario> open_scenarios();
std::vector<Scenario> data_scenarios();
std::vector<Scenario> nameless_scenarios();
std::vector<Scenario> directory_scenarios();
std::vector<Scenario> lock_scenarios();
std::vector<Scenario> other_scenarios();

std::vector<Scenario> all_scenarios();
// Of places that may not be written to.
std::vector<Scenario> read_only_scenarios();

}  // namespace berth::posix
