#include "broker/services/efs/replicator.hpp"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "broker/base/log.hpp"

namespace berth::services::efs {

using control::Control;
using fuse::FileSystemId;
using fuse::OverwriteProtection;
using fuse::Replication;
using fuse::ReplicationStatus;
using fuse::replica::Progress;
using fuse::replica::Report;

namespace {

// A pass that takes long is followed by a pause as long, so that it costs at most half a thread; by a longer one where it found
// nothing to do.
constexpr int kPausesPerPass = 1, kPausesPerIdlePass = 4;

// Tasks come first, at the processor and at the disk. Where it is refused nothing is lost.
void yield_to_others() {
  constexpr int kNice = 10, kWhoThread = 1, kBestEffortLowest = (2 << 13) | 7;
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
  ::syscall(SYS_ioprio_set, kWhoThread, 0, kBestEffortLowest);
}

std::string message_of(const Result<Report>& report) {
  if (!report) return report.error().message;
  if (report->problems == 0) return "";
  return fmt::format("{} entries could not be replicated, first {}", report->problems, report->first_problems.front());
}

}  // namespace

Replicator::Replicator(control::ControlPlane& plane, Copy copy, std::function<void()> access_changed, const Options& options)
    : plane_(plane), copy_(std::move(copy)), access_changed_(std::move(access_changed)), options_(options) {}

Replicator::~Replicator() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    for (const auto& [id, entry] : entries_)
      if (entry.running) entry.running->stop = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void Replicator::start() {
  std::vector<FileSystemId> sources;
  plane_.read([&](const Control& c) {
    for (const auto& [id, record] : c.catalog.file_systems())
      if (record.replication) sources.push_back(id);
  });
  for (const auto& source : sources) changed(source);
  for (unsigned i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { work(); });
}

void Replicator::changed(const FileSystemId& source) {
  const auto replication = find(source);
  {
    const std::scoped_lock lock(mutex_);
    auto& entry = entries_[source];
    entry.due = Clock::now();
    entry.again = true;
    if (entry.running && replication && replication->status == ReplicationStatus::deleting) entry.running->stop = true;
  }
  wake_.notify_one();
}

std::string Replicator::progress(const FileSystemId& source) const {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(source);
  if (found == entries_.end() || !found->second.running) return "";
  const Progress& progress = *found->second.running;
  return fmt::format("replicating: {} entries compared, {} files with {} bytes copied so far", progress.entries.load(),
                     progress.files.load(), progress.bytes.load());
}

std::vector<Replicator::Counts> Replicator::counts() const {
  std::vector<Counts> all;
  plane_.read([&](const Control& c) {
    for (const auto& [id, record] : c.catalog.file_systems())
      if (record.replication)
        all.push_back({id.str(), record.replication->destination.str(), record.replication->last_replicated});
  });
  const std::scoped_lock lock(mutex_);
  for (auto& counts : all) {
    const auto found = entries_.find(FileSystemId(counts.source));
    if (found == entries_.end()) continue;
    const Entry& entry = found->second;
    counts.files = entry.files + (entry.running ? entry.running->files.load() : 0);
    counts.bytes = entry.bytes + (entry.running ? entry.running->bytes.load() : 0);
    counts.removed = entry.removed + (entry.running ? entry.running->removed.load() : 0);
  }
  return all;
}

void Replicator::work() {
  yield_to_others();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto next = std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
      return std::pair(a.second.running != nullptr, a.second.due) < std::pair(b.second.running != nullptr, b.second.due);
    });
    if (next == entries_.end() || next->second.running) {
      wake_.wait(lock);
      continue;
    }
    const auto began = Clock::now();
    if (began < next->second.due) {
      wake_.wait_until(lock, next->second.due);
      continue;
    }
    const FileSystemId source = next->first;
    const auto progress = std::make_shared<Progress>();
    next->second.running = progress;
    next->second.again = false;
    lock.unlock();
    const bool goes_on = carry_out(source, *progress);
    lock.lock();
    auto& entry = entries_[source];
    entry.running.reset();
    entry.files += progress->files;
    entry.bytes += progress->bytes;
    entry.removed += progress->removed;
    const int pauses = progress->files + progress->removed > 0 ? kPausesPerPass : kPausesPerIdlePass;
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
    if (!entry.again) {
      if (!goes_on)
        entries_.erase(source);
      else
        entry.due = Clock::now() + std::clamp(pauses * took, options_.period, std::max(options_.period, options_.period_max));
    }
    wake_.notify_one();  // whoever waits for the earliest of all but this one
  }
}

bool Replicator::carry_out(const FileSystemId& source) {
  Progress progress;
  return carry_out(source, progress);
}

bool Replicator::carry_out(const FileSystemId& source, Progress& progress) {
  auto replication = find(source);
  if (!replication) return false;
  if (replication->status == ReplicationStatus::deleting) {
    end(source);
    return find(source).has_value();
  }
  copy(source, *replication, progress);
  // Deleted meanwhile: that is why the pass was broken off.
  replication = find(source);
  if (replication && replication->status == ReplicationStatus::deleting) end(source);
  return find(source).has_value();
}

std::optional<Replication> Replicator::find(const FileSystemId& source) const {
  return plane_.read([&](const Control& c) -> std::optional<Replication> {
    const auto* record = c.catalog.find(source);
    return record == nullptr ? std::nullopt : record->replication;
  });
}

void Replicator::copy(const FileSystemId& source, const Replication& replication, Progress& progress) {
  const bool ready = plane_.read([&](const Control& c) {
    const auto* destination = c.catalog.find(replication.destination);
    return destination != nullptr && destination->life_cycle == fuse::LifeCycle::available;
  });
  if (!ready) return;  // its directory is being made
  if (replication.status == ReplicationStatus::enabling) {
    // A daemon that died after the decision did not take the rights from live mounts.
    if (access_changed_) access_changed_();
    plane_.apply([&](Control& c) {
      auto* record = c.catalog.edit(source);
      if (record != nullptr && record->replication && record->replication->status == ReplicationStatus::enabling)
        record->replication->status = ReplicationStatus::enabled;
    });
    log::info("replication begins", {{"source", source.str()}, {"destination", replication.destination.str()}});
  }
  const auto began = plane_.apply([](const Control& c) { return c.now; });
  note(source, replication, began, copy_(source, replication.destination, replication.last_replicated, progress));
}

void Replicator::note(const FileSystemId& source, const Replication& replication, TimePoint began, const Result<Report>& report) {
  if (report && report->stopped) return;
  const auto message = message_of(report);
  if (!message.empty() && message != replication.message)
    log::error("replication is not complete", {{"source", source.str()}, {"error", message}});
  if (message.empty() && !replication.last_replicated)
    log::info("replication has made its first copy", {{"source", source.str()}, {"destination", replication.destination.str()}});
  plane_.apply([&](Control& c) {
    auto* record = c.catalog.edit(source);
    if (record == nullptr || !record->replication || record->replication->status == ReplicationStatus::deleting) return;
    record->replication->message = message;
    record->replication->status = message.empty() ? ReplicationStatus::enabled : ReplicationStatus::error;
    if (message.empty()) record->replication->last_replicated = began;
  });
}

// The destination is a file system like others again. One decision: a crash leaves all or nothing.
void Replicator::end(const FileSystemId& source) {
  const auto ended = plane_.with([&](Control& c) {
    auto* record = c.catalog.edit(source);
    if (record == nullptr || !record->replication) return;
    if (auto* destination = c.catalog.edit(record->replication->destination))
      destination->overwrite_protection = OverwriteProtection::enabled;
    record->replication.reset();
  });
  if (!ended) {
    log::error("replication not ended", {{"source", source.str()}, {"error", ended.error().message}});
    return;
  }
  if (access_changed_) access_changed_();
  log::info("replication ended", {{"source", source.str()}});
}

}  // namespace berth::services::efs
