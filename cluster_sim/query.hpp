// The cluster query language: `subject operator [argument]` with and, or, not and parentheses, for memberOf constraints and
// ListContainerInstances' filter.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-query-language.html
//
// Where the guide is silent: =~ must match the whole value; a comparison with an attribute that the instance doesn't have is
// false, != among them; `attribute:x` compares as numbers where both sides are numbers, else as text.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"

namespace berth::cluster_sim {

// What an expression can ask of a container instance.
struct QuerySubject {
  const std::map<std::string, std::string>* attributes = nullptr;
  bool agent_connected = false;
  std::string_view agent_version, ec2_instance;
  TimePoint registered{};
  int running_tasks = 0;
  std::set<std::string> task_groups;  // of the tasks on it
};

// An expression, read once, asked often. Immutable; copies share it.
class Query {
 public:
  // Code::invalid_argument says where it can't be read.
  static Result<Query> parse(std::string_view text);
  bool matches(const QuerySubject& subject) const { return (*predicate_)(subject); }

  using Predicate = std::function<bool(const QuerySubject&)>;

 private:
  explicit Query(Predicate predicate) : predicate_(std::make_shared<const Predicate>(std::move(predicate))) {}
  std::shared_ptr<const Predicate> predicate_;
};

}  // namespace berth::cluster_sim
