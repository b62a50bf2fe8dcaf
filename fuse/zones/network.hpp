// Network: what lies between the zones: how long a message takes, and which zones are cut off or gone.
//
// A plain value; no clock, no threads. Nothing set: every path is open and takes no time.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace berth::fuse::zones {

using Zone = std::string;  // us-east-1a

// What is wrong with a zone, and what its clients do about it.
struct Fault {
  enum class Kind {
    isolated,  // nothing crosses the zone's border; inside it all goes on
    lost,      // nothing in it answers
  };
  enum class Clients {
    wait,       // as a hard NFS mount: until the zone is back
    fail,       // as a soft one: EIO when `patience` has passed
    read_only,  // go to a copy that can be read and not written: EROFS
  };
  Kind kind = Kind::lost;
  Clients clients = Clients::wait;
  // NFS's major timeout for timeo=600, retrans=2: 60 s, and 60 s more for each retransmission (nfs(5)).
  std::chrono::milliseconds patience{180'000};
  bool operator==(const Fault&) const = default;
};

// Between whom.
struct Ends {
  Zone client;            // the task's
  Zone target;            // the mount target's
  bool one_zone = false;  // the file system lives in the target's zone only; else in all zones of the region
  bool operator==(const Ends&) const = default;
};

struct Path {
  std::chrono::microseconds latency{0};  // of each request
  // Of a change, on top: a file system in several zones acknowledges one when a second zone has it.
  std::chrono::microseconds commit{0};
  const Fault* fault = nullptr;  // the network's; null: open
  bool plain() const { return latency.count() == 0 && commit.count() == 0 && fault == nullptr; }
};

class Network {
 public:
  Network() = default;
  explicit Network(std::vector<Zone> zones) : zones_(std::move(zones)) {}

  bool has(const Zone& zone) const;
  const std::vector<Zone>& zones() const { return zones_; }

  // Both ways; `a` and `b` may be the same zone. Zero takes it away.
  void set_latency(const Zone& a, const Zone& b, std::chrono::microseconds latency);
  std::chrono::microseconds latency(const Zone& a, const Zone& b) const;
  const std::map<std::pair<Zone, Zone>, std::chrono::microseconds>& latencies() const { return latencies_; }

  void set_fault(const Zone& zone, Fault fault) { faults_[zone] = fault; }
  void restore(const Zone& zone) { faults_.erase(zone); }
  const std::map<Zone, Fault>& faults() const { return faults_; }

  // Valid as long as the network is neither changed nor gone.
  Path path(const Ends& ends) const;

  bool operator==(const Network&) const = default;

 private:
  const Fault* fault_between(const Ends& ends) const;
  std::chrono::microseconds commit_latency(const Zone& target) const;
  const Fault* find_fault(const Zone& zone) const;

  std::vector<Zone> zones_;
  std::map<std::pair<Zone, Zone>, std::chrono::microseconds> latencies_;  // the lesser name first
  std::map<Zone, Fault> faults_;
};

}  // namespace berth::fuse::zones
