#include "tests/posix/known_differences.hpp"

#include <algorithm>
#include <vector>

namespace berth::posix {
namespace {

struct Difference {
  std::string_view stage;     // empty: all
  std::string_view scenario;  // empty: all
  std::string_view check;     // a part of its text
};

const std::vector<Difference>& differences() {
  static const std::vector<Difference> all{};
  return all;
}

}  // namespace

bool is_known_difference(std::string_view stage, std::string_view scenario, std::string_view check) {
  return std::ranges::any_of(differences(), [&](const Difference& d) {
    return (d.stage.empty() || d.stage == stage) && (d.scenario.empty() || d.scenario == scenario) &&
           check.find(d.check) != std::string_view::npos;
  });
}

}  // namespace berth::posix
