// EfsMetrics: what the share and the measured sizes say of each file system, as CloudWatch's metrics of EFS and as Prometheus
// text.
//
// sample() is called once a minute, from one thread; the rest from any.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "broker/base/clock.hpp"
#include "broker/services/cloudwatch/metric_store.hpp"
#include "broker/services/efs/backing.hpp"
#include "broker/services/efs/replicator.hpp"
#include "fuse/share.hpp"

namespace berth::daemon {

class EfsMetrics {
 public:
  EfsMetrics(fuse::Share& share, services::cloudwatch::MetricStore& store, const Clock& clock)
      : share_(share), store_(store), clock_(clock) {}

  using Replications = std::function<std::vector<services::efs::Replicator::Counts>()>;
  // Where it asks how far each replication is; before the first sample().
  void ask(Replications replications) { replications_ = std::move(replications); }

  // Notes what has happened since the last call.
  void sample();
  // Whether a mount has changed something since measured(); passthrough writes can't be seen, so a mount with them counts, and
  // what is older than an hour too.
  bool may_have_changed(const fuse::FileSystemId& id);
  void measured(const fuse::FileSystemId& id, const services::efs::Sizes& sizes);

  // Text in Prometheus' exposition format, version 0.0.4.
  std::string prometheus() const;

 private:
  struct Measured {
    services::efs::Sizes sizes;
    TimePoint at{};
    std::uint64_t changes = 0;  // of the file system's mounts, before the walk began
  };
  std::map<std::string, fuse::Share::FileSystemUse> use_by_file_system(bool take_sizes) const;

  fuse::Share& share_;
  services::cloudwatch::MetricStore& store_;
  const Clock& clock_;
  Replications replications_;
  mutable std::mutex mutex_;
  std::map<std::string, fuse::zones::Usage> sampled_;  // as of the last sample
  TimePoint sampled_at_{};
  std::map<std::string, Measured> measured_;
  std::map<std::string, std::uint64_t> changes_before_walk_;
};

}  // namespace berth::daemon
