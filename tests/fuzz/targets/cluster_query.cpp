// A cluster query expression, asked about one instance; the first line is an attribute's value.
#include "cluster_sim/query.hpp"

#include "tests/fuzz/targets/target.hpp"

namespace berth::fuzz {

void cluster_query(std::string_view input) {
  const std::map<std::string, std::string> attributes{{"stack", std::string(take_line(input))},
                                                      {"ecs.instance-type", "t2.small"}};
  const auto query = cluster_sim::Query::parse(input);
  if (!query) {
    require(!query.error().message.empty(), "a refusal says why");
    return;
  }
  const cluster_sim::QuerySubject subject{.attributes = &attributes,
                                          .agent_connected = true,
                                          .agent_version = "1.97.0",
                                          .ec2_instance = "i-0123456789abcdef0",
                                          .registered = TimePoint{std::chrono::hours(490000)},
                                          .running_tasks = 2,
                                          .task_groups = {"service:web"}};
  const bool matches = query->matches(subject);
  require(query->matches(subject) == matches, "one question has one answer");
  const auto opposite = cluster_sim::Query::parse("not (" + std::string(input) + ")");
  if (opposite) require(opposite->matches(subject) != matches, "`not` turns the answer round");
}

}  // namespace berth::fuzz
