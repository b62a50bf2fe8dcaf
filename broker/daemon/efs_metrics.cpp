#include "broker/daemon/efs_metrics.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "fuse/zones/throughput.hpp"

namespace berth::daemon {

using fuse::Share;
using fuse::zones::Transfers;
using fuse::zones::Usage;
using services::cloudwatch::Metric;
using services::cloudwatch::StatisticSet;

namespace {

using namespace std::chrono_literals;

constexpr const char* kNamespace = "AWS/EFS";
constexpr const char* kOwnNamespace = "Berth/EFS";  // for what AWS has no metric for
constexpr auto kOldest = std::chrono::hours(1);
// General Purpose file systems: 35,000 reads or 7,000 writes a second, so a write weighs five reads (EFS user guide). That
// metadata operations count as reads is assumed.
constexpr double kOperationsMax = 35'000;
constexpr double kWriteWeight = 5;

Metric metric_of(const std::string& file_system, const char* name) { return {kNamespace, name, {{"FileSystemId", file_system}}}; }

StatisticSet set_of(const Transfers& now, const Transfers& before) {
  const double count = static_cast<double>(now.operations - before.operations);
  if (count <= 0) return {};
  return {count, static_cast<double>(now.bytes - before.bytes), static_cast<double>(now.smallest),
          static_cast<double>(now.largest)};
}

StatisticSet metadata_set(std::uint64_t operations) {
  const double each = fuse::zones::metered_metadata();
  return operations == 0 ? StatisticSet{}
                         : StatisticSet{static_cast<double>(operations), each * static_cast<double>(operations), each, each};
}

// Each operation's metered size is not kept: smallest and largest are those of the kinds.
StatisticSet metered_set(const StatisticSet& reads, const StatisticSet& writes, const StatisticSet& metadata) {
  StatisticSet metered = writes;
  metered.add(metadata);
  metered.add({reads.count, reads.sum / 3, reads.minimum / 3, reads.maximum / 3});
  return metered;
}

double percent_of_limit(const StatisticSet& reads, const StatisticSet& writes, const StatisticSet& metadata, double seconds) {
  if (seconds <= 0) return 0;
  return std::min(100.0, (reads.count + metadata.count + kWriteWeight * writes.count) / seconds / kOperationsMax * 100);
}

// A label's value, as the exposition format escapes it.
std::string escaped(const std::string& value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

// One metric family: its head once, then its samples.
class Family {
 public:
  Family(std::string& out, std::string name, const char* type, const char* help) : out_(out), name_(std::move(name)) {
    out_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name_, help, name_, type);
  }
  void sample(const std::string& file_system, double value, const std::string& more = {}) {
    out_ += fmt::format("{}{{file_system=\"{}\"{}}} {}\n", name_, escaped(file_system), more, value);
  }

 private:
  std::string& out_;
  const std::string name_;
};

}  // namespace

std::map<std::string, Share::FileSystemUse> EfsMetrics::use_by_file_system(bool take_sizes) const {
  std::map<std::string, Share::FileSystemUse> all;
  for (auto& use : share_.use(take_sizes)) all[use.file_system] = std::move(use);
  return all;
}

void EfsMetrics::sample() {
  const TimePoint now = clock_.now();
  const auto uses = use_by_file_system(true);
  const auto replications = replications_ ? replications_() : std::vector<services::efs::Replicator::Counts>{};
  const std::scoped_lock lock(mutex_);
  const double seconds = sampled_at_ == TimePoint{} ? 60 : std::chrono::duration<double>(now - sampled_at_).count();
  // What has just been seen happened in the minute that has just ended.
  const TimePoint at = now - 1min;
  sampled_at_ = now;
  for (const auto& [id, use] : uses) {
    const Usage before = sampled_[id];
    sampled_[id] = use.usage;
    const auto reads = set_of(use.usage.reads, before.reads);
    const auto writes = set_of(use.usage.writes, before.writes);
    const auto metadata = metadata_set(use.usage.metadata - before.metadata);
    StatisticSet total = reads;
    total.add(writes);
    total.add(metadata);
    const auto put = [&](const char* name, const char* unit, const StatisticSet& set) {
      store_.put(metric_of(id, name), unit, at, set);
    };
    put("DataReadIOBytes", "Bytes", reads);
    put("DataWriteIOBytes", "Bytes", writes);
    put("MetadataIOBytes", "Bytes", metadata);
    put("TotalIOBytes", "Bytes", total);
    put("MeteredIOBytes", "Bytes", metered_set(reads, writes, metadata));
    if (use.mounts > 0) {
      store_.put(metric_of(id, "ClientConnections"), "Count", at, StatisticSet::of(static_cast<double>(use.mounts)),
                 services::cloudwatch::MetricStore::How::replace);
    }
    put("PercentIOLimit", "Percent", StatisticSet::of(percent_of_limit(reads, writes, metadata, seconds)));
  }
  for (const auto& held : share_.throughput()) {
    store_.put(metric_of(held.file_system, "BurstCreditBalance"), "Bytes", at, StatisticSet::of(held.credits));
    store_.put(metric_of(held.file_system, "PermittedThroughput"), "Bytes/Second", at, StatisticSet::of(held.permitted));
  }
  for (const auto& one : replications) {
    if (!one.last_replicated) continue;
    store_.put({kNamespace, "TimeSinceLastSync", {{"FileSystemId", one.source}, {"DestinationFileSystemId", one.destination}}},
               "Seconds", at, StatisticSet::of(to_epoch_seconds(now) - to_epoch_seconds(*one.last_replicated)));
  }
  for (const auto& [id, measured] : measured_) {
    for (const char* storage_class : {"Total", "Standard"}) {
      store_.put({kNamespace, "StorageBytes", {{"FileSystemId", id}, {"StorageClass", storage_class}}}, "Bytes", at,
                 StatisticSet::of(static_cast<double>(measured.sizes.total)));
    }
    for (const auto& [directory, bytes] : measured.sizes.directories) {
      store_.put({kOwnNamespace, "BytesUsed", {{"FileSystemId", id}, {"Path", directory}}}, "Bytes", at,
                 StatisticSet::of(static_cast<double>(bytes)));
    }
  }
}

bool EfsMetrics::may_have_changed(const fuse::FileSystemId& id) {
  const auto uses = use_by_file_system(false);
  const auto use = uses.find(id.str());
  std::uint64_t changes = use == uses.end() ? 0 : use->second.usage.changes;
  // A replication writes past the share.
  for (const auto& one : replications_ ? replications_() : std::vector<services::efs::Replicator::Counts>{})
    if (one.destination == id.str()) changes += one.files + one.removed;
  const std::scoped_lock lock(mutex_);
  changes_before_walk_[id.str()] = changes;
  const auto last = measured_.find(id.str());
  if (last == measured_.end() || clock_.now() - last->second.at >= kOldest) return true;
  return last->second.changes != changes || (use != uses.end() && use->second.passthrough_mounts > 0);
}

void EfsMetrics::measured(const fuse::FileSystemId& id, const services::efs::Sizes& sizes) {
  const std::scoped_lock lock(mutex_);
  measured_[id.str()] = {sizes, clock_.now(), changes_before_walk_[id.str()]};
}

std::string EfsMetrics::prometheus() const {
  const auto uses = use_by_file_system(false);
  std::string out;
  Family operations(out, "berth_efs_operations_total", "counter", "Operations that the daemon has served, by kind.");
  for (const auto& [id, use] : uses) {
    operations.sample(id, static_cast<double>(use.usage.reads.operations), ",kind=\"read\"");
    operations.sample(id, static_cast<double>(use.usage.writes.operations), ",kind=\"write\"");
    operations.sample(id, static_cast<double>(use.usage.metadata), ",kind=\"metadata\"");
  }
  Family bytes(out, "berth_efs_io_bytes_total", "counter", "Bytes read and written through the daemon; passthrough is not seen.");
  for (const auto& [id, use] : uses) {
    bytes.sample(id, static_cast<double>(use.usage.reads.bytes), ",kind=\"read\"");
    bytes.sample(id, static_cast<double>(use.usage.writes.bytes), ",kind=\"write\"");
  }
  Family connections(out, "berth_efs_client_connections", "gauge", "Mounts that live.");
  for (const auto& [id, use] : uses) connections.sample(id, static_cast<double>(use.mounts));
  Family unseen(out, "berth_efs_passthrough_mounts", "gauge", "Mounts whose reads and writes are not counted.");
  for (const auto& [id, use] : uses) unseen.sample(id, static_cast<double>(use.passthrough_mounts));
  const auto held = share_.throughput();
  Family credits(out, "berth_efs_burst_credit_balance_bytes", "gauge", "Burst credits of file systems held to their throughput.");
  for (const auto& one : held) credits.sample(one.file_system, one.credits);
  Family permitted(out, "berth_efs_permitted_throughput_bytes_per_second", "gauge", "What such a file system may drive now.");
  for (const auto& one : held) permitted.sample(one.file_system, one.permitted);
  const auto replications = replications_ ? replications_() : std::vector<services::efs::Replicator::Counts>{};
  Family files(out, "berth_efs_replicated_files_total", "counter", "Files copied to the file system's replica.");
  for (const auto& one : replications) files.sample(one.source, static_cast<double>(one.files));
  Family replicated(out, "berth_efs_replicated_bytes_total", "counter", "Their bytes.");
  for (const auto& one : replications) replicated.sample(one.source, static_cast<double>(one.bytes));
  Family last(out, "berth_efs_last_replicated_seconds", "gauge",
              "What the replica holds for sure is of then, as seconds since 1970.");
  for (const auto& one : replications)
    if (one.last_replicated) last.sample(one.source, to_epoch_seconds(*one.last_replicated));
  const std::scoped_lock lock(mutex_);
  Family storage(out, "berth_efs_storage_bytes", "gauge", "Bytes on disk when last measured.");
  for (const auto& [id, measured] : measured_) storage.sample(id, static_cast<double>(measured.sizes.total));
  Family measured_at(out, "berth_efs_storage_measured_seconds", "gauge", "When that was, as seconds since 1970.");
  for (const auto& [id, measured] : measured_) measured_at.sample(id, to_epoch_seconds(measured.at));
  Family directories(out, "berth_efs_directory_bytes", "gauge", "The same of directories at the root and of access points.");
  for (const auto& [id, measured] : measured_) {
    for (const auto& [directory, size] : measured.sizes.directories) {
      directories.sample(id, static_cast<double>(size), fmt::format(",directory=\"{}\"", escaped(directory)));
    }
  }
  return out;
}

}  // namespace berth::daemon
