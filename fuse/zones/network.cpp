#include "fuse/zones/network.hpp"

#include <algorithm>
#include <optional>

namespace berth::fuse::zones {
namespace {

std::pair<Zone, Zone> in_order(const Zone& a, const Zone& b) { return a < b ? std::pair{a, b} : std::pair{b, a}; }

}  // namespace

bool Network::has(const Zone& zone) const { return std::ranges::find(zones_, zone) != zones_.end(); }

void Network::set_latency(const Zone& a, const Zone& b, std::chrono::microseconds latency) {
  if (latency.count() <= 0) {
    latencies_.erase(in_order(a, b));
  } else {
    latencies_[in_order(a, b)] = latency;
  }
}

std::chrono::microseconds Network::latency(const Zone& a, const Zone& b) const {
  const auto found = latencies_.find(in_order(a, b));
  return found == latencies_.end() ? std::chrono::microseconds{0} : found->second;
}

const Fault* Network::find_fault(const Zone& zone) const {
  const auto found = faults_.find(zone);
  return found == faults_.end() ? nullptr : &found->second;
}

const Fault* Network::fault_between(const Ends& ends) const {
  const Fault* at_client = find_fault(ends.client);
  const Fault* at_target = find_fault(ends.target);
  const auto lost = [](const Fault* fault) { return fault != nullptr && fault->kind == Fault::Kind::lost; };
  // A mount target that is cut off from the other zones can't reach a file system that lives in all of them.
  if (lost(at_client) || (at_client != nullptr && ends.client != ends.target)) return at_client;
  if (lost(at_target) || (at_target != nullptr && (ends.client != ends.target || !ends.one_zone))) return at_target;
  return nullptr;
}

std::chrono::microseconds Network::commit_latency(const Zone& target) const {
  std::optional<std::chrono::microseconds> nearest;
  for (const Zone& zone : zones_) {
    if (zone == target || faults_.contains(zone)) continue;
    nearest = std::min(nearest.value_or(std::chrono::microseconds::max()), latency(target, zone));
  }
  return nearest.value_or(std::chrono::microseconds{0});
}

Path Network::path(const Ends& ends) const {
  Path path;
  path.latency = latency(ends.client, ends.target);
  if (!ends.one_zone && !ends.target.empty()) path.commit = commit_latency(ends.target);
  path.fault = fault_between(ends);
  return path;
}

}  // namespace berth::fuse::zones
