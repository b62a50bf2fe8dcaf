// Where a task goes among container instances: which of them can hold it, which of those the strategies prefer.
//
// Order of the developer guide: CPU, memory, ports, interfaces; agent; status; zone of the subnets; attributes; constraints;
// then the strategies, each as a tie-break of those before it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster_sim/query.hpp"
#include "cluster_sim/state.hpp"

namespace berth::cluster_sim {

Cluster::Remaining remaining_on(const State& state, const ContainerInstance& instance);

// A container instance with what is left on it while one RunTask places its tasks.
struct Candidate {
  const ContainerInstance* instance = nullptr;
  VpcId vpc;
  Cluster::Remaining left;
  std::map<std::string, int> tasks_by_group;  // that are not STOPPED
};
Candidate make_candidate(const State& state, const ContainerInstance& instance);
// The container instances of a cluster that are not INACTIVE, by id.
std::vector<Candidate> make_candidates(const State& state, const ClusterName& cluster);

// What the query language sees of it. Refers to the candidate.
QuerySubject subject_of(const Candidate& candidate);

// A RunTask's wishes, its expressions read once.
struct Wish {
  const RunTask* request = nullptr;
  std::string group;
  std::set<std::string> zones;  // of the subnets; empty: anywhere
  std::optional<VpcId> vpc;
  bool distinct_instance = false;
  std::vector<Query> member_of;
};
// Code::invalid_argument for an expression or a strategy that can't be read.
Result<Wish> make_wish(const State& state, const RunTask& request);

// All that speaks against a candidate, in the documented order; empty where the task fits.
// `explicitly_chosen`: StartTask, which knows no constraints.
std::vector<Failure> objections(const Wish& wish, const Candidate& candidate, bool explicitly_chosen = false);
// One entry for the answer: the first reason, with all of them in its detail.
Failure summary(const std::vector<Failure>& objections);

// The best of `fitting` (not empty) by the request's strategies. Without any: the zone with fewest tasks of the group, then
// chance (AWS documents no default for standalone tasks). What strategies leave open, the lowest id decides.
Candidate* choose(const State& state, Random& random, const Wish& wish, std::vector<Candidate*> fitting);
// The task takes its place in the candidate.
void reserve(Candidate& candidate, const Wish& wish);

}  // namespace berth::cluster_sim
