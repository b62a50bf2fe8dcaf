#include "fuse/share.hpp"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <climits>
#include <map>
#include <mutex>
#include <set>
#include <string_view>
#include <thread>
#include <utility>

#include "broker/base/log.hpp"
#include "fuse/identity.hpp"
#include "fuse/mount.hpp"
#include "fuse/mounter.hpp"
#include "fuse/reactor.hpp"
#include "fuse/recovery.hpp"
#include "fuse/wire.hpp"

namespace berth::fuse {
namespace {

rlim_t descriptor_limit() {
  struct rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

// As many descriptors as pay. Open files come first (DescriptorCache::opened): from seven eighths of the limit on there are
// fewer.
std::size_t cached_descriptors(rlim_t limit) { return std::clamp<std::size_t>(limit / 4, 64, 4096); }
int scarce_from(rlim_t limit) { return static_cast<int>(std::min<rlim_t>(limit - limit / 8, INT_MAX / 15 * 14)); }

// `share/<number>` is a mount's header; its tables have longer names.
std::optional<MountNumber> number_of_region(std::string_view name) {
  constexpr std::string_view kPrefix = "share/";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  MountNumber number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return number;
}

class RunningShare final : public Share {
 public:
  RunningShare(const Options& options, Survival& survival)
      : passthrough_(options.passthrough),
        resend_(options.resend),
        watch_(options.watch),
        common_(survival, cached_descriptors(descriptor_limit()), scarce_from(descriptor_limit()), options),
        reactor_(common_, options.linger, [this](MountNumber number) { end(number, "unmounted"); }) {}

  ~RunningShare() override {
    reactor_.stop();
    const auto mounts = std::exchange(mounts_, {});
    for (const auto& [id, mount] : mounts) end_mount(*mount);
  }

  Result<> run(unsigned workers) {
    if (auto opened = common_.journal.open(); !opened) return opened;
    if (watch_) {
      if (auto started = common_.watch.start(); !started) {
        log::warning("changes in backing directories past the share are seen late", {{"reason", started.error().message}});
      }
    }
    return reactor_.start(std::clamp(workers, 1U, MountHeader::kWorkersMax));
  }

  Result<UniqueFd> mount(const MountSpec& spec) override;
  int held(const MountId& id) const override;
  Result<std::vector<MountId>> recover() override;
  void detach(const MountId& id) override;
  Result<> set_rights(const MountId& id, Rights rights) override;
  void set_network(zones::Network network) override;
  void set_throughput(const std::string& file_system, std::optional<zones::Allowance> allowance, double credits) override {
    common_.gates.set_throughput(file_system, allowance, credits);
  }
  std::vector<zones::Gates::Throughput> throughput() const override { return common_.gates.throughput(); }
  std::vector<FileSystemUse> use(bool take_sizes) override;
  std::vector<MountStats> stats() const override;

 private:
  std::shared_ptr<Mount> find(const MountId& id) const;
  Result<> reserve(const MountId& id);
  Result<> finish(const std::vector<std::shared_ptr<Mount>>& resumed);
  Result<> serve(const std::vector<Unserved>& requests);
  Result<std::shared_ptr<Mount>> make(const MountSpec& spec, UniqueFd& place);
  void end(MountNumber number, std::string_view reason);
  void end_mount(Mount& mount) {
    reactor_.remove(mount.number());
    mount.abandon();
  }

  const bool passthrough_;
  const bool resend_;
  const bool watch_;
  Common common_;
  mutable std::mutex mutex_;  // outermost; no system call that may block under it
  std::map<MountId, std::shared_ptr<Mount>> mounts_;
  std::map<std::string, zones::Usage> ended_;  // of mounts that are gone, by file system
  std::set<MountId> being_made_;
  MountNumber next_number_ = 1;
  Reactor reactor_;  // last: its threads use all of the above
};

std::shared_ptr<Mount> RunningShare::find(const MountId& id) const {
  const auto found = mounts_.find(id);
  return found == mounts_.end() ? nullptr : found->second;
}

Result<> RunningShare::reserve(const MountId& id) {
  const std::scoped_lock lock(mutex_);
  if (find(id) || !being_made_.insert(id).second) return fail(Code::already_exists, "mount `{}` exists", id.str());
  return {};
}

Result<UniqueFd> RunningShare::mount(const MountSpec& spec) {
  if (auto reserved = reserve(spec.id); !reserved) return fail(reserved.error());
  UniqueFd place;
  auto made = make(spec, place);
  const std::scoped_lock lock(mutex_);
  being_made_.erase(spec.id);
  if (!made) return fail(made.error().within("mount `" + spec.id.str() + "`"));
  if (!(*made)->abandoned()) mounts_.emplace(spec.id, *made);
  return place;
}

Result<std::shared_ptr<Mount>> RunningShare::make(const MountSpec& spec, UniqueFd& place) {
  if (const auto fault = common_.gates.fault(spec.ends); fault && fault->clients != zones::Fault::Clients::read_only) {
    return fail(Code::unavailable, "the mount target in {} does not answer from {}", spec.ends.target, spec.ends.client);
  }
  auto root = open_root(spec);
  if (!root) return fail(root.error());
  auto device = open_fuse_device();
  if (!device) return fail(device.error());
  MountNumber number = 0;
  {
    const std::scoped_lock lock(mutex_);
    number = next_number_++;
  }
  auto mount = Mount::create(common_, number, spec, passthrough_ && spec.passthrough, std::move(*device), std::move(*root));
  if (!mount) return fail(mount.error());
  auto made = make_detached_mount((*mount)->device(), spec.id, !spec.identity.has_value());
  if (!made) return (*mount)->abandon(), fail(made.error());
  const auto number_of_device = device_of_mount(made->get());
  if (!number_of_device) return (*mount)->abandon(), fail(number_of_device.error());
  (*mount)->set_place_device(*number_of_device);
  if (spec.held) {
    UniqueFd copy(fcntl(made->get(), F_DUPFD_CLOEXEC, 3));
    if (auto held = (*mount)->hold(std::move(copy)); !held) return (*mount)->abandon(), fail(held.error());
  }
  if (auto added = reactor_.add(*mount); !added) return (*mount)->abandon(), fail(added.error());
  place = std::move(*made);
  log::info("share mounted", {{"mount", spec.id.str()}, {"backing", spec.backing_directory}, {"root", spec.root}});
  return mount;
}

int RunningShare::held(const MountId& id) const {
  const std::scoped_lock lock(mutex_);
  const auto mount = find(id);
  return mount ? mount->place() : -1;
}

// On a thread like a worker's: requests are served as other users.
Result<> RunningShare::finish(const std::vector<std::shared_ptr<Mount>>& resumed) {
  Result<> finished;
  std::jthread([&] {
    prepare_worker_thread();
    common_.watch.pass_over_thread();
    auto left = finish_interrupted(common_, resumed, resend_);
    if (!left) return void(finished = fail(left.error()));
    finished = serve(left->requests);
    for (const InodeKey& inode : left->changed) common_.coherence.attributes_changed(inode, kNoMount);
  }).join();
  return finished;
}

Result<> RunningShare::serve(const std::vector<Unserved>& requests) {
  if (requests.empty()) return {};
  auto buffer = common_.journal.buffer(Journal::kRecovery);
  if (!buffer) return fail(buffer.error());
  for (const Unserved& one : requests) {
    // One that waited is noted no more as soon as the buffer, which outlives this daemon, has it.
    const auto request = common_.journal.put(one.mount->number(), one.request, *buffer);
    common_.journal.waits_no_more(one.mount->number(), read_as<RequestHead>(request).name());
    reactor_.serve(*one.mount, request, Journal::kRecovery);
  }
  return {};
}

Result<std::vector<MountId>> RunningShare::recover() {
  const auto names = common_.survival.regions();
  const std::set<std::string> regions(names.begin(), names.end());
  std::vector<std::shared_ptr<Mount>> resumed;
  for (const std::string& name : regions) {
    const auto number = number_of_region(name);
    if (!number) continue;
    next_number_ = std::max(next_number_, *number + 1);
    auto mount = Mount::resume(common_, *number, regions);
    if (!mount) {
      log::info("share not resumed", {{"number", *number}, {"reason", mount.error().message}});
      continue;
    }
    resumed.push_back(std::move(*mount));
  }
  if (auto finished = finish(resumed); !finished) return fail(finished.error());
  common_.watch.listen();
  std::vector<MountId> recovered;
  for (const auto& mount : resumed) {
    if (auto added = reactor_.add(mount); !added) {  // the others go on all the same
      log::error("share not resumed", {{"mount", mount->id().str()}, {"reason", added.error().message}});
      mount->abandon();
      continue;
    }
    recovered.push_back(mount->id());
    mount->take_back();  // the daemon may have died on its way to it
    const std::scoped_lock lock(mutex_);
    mounts_.emplace(mount->id(), mount);
  }
  return recovered;
}

void RunningShare::end(MountNumber number, std::string_view reason) {
  std::shared_ptr<Mount> ended;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = std::ranges::find_if(mounts_, [&](const auto& each) { return each.second->number() == number; });
    if (found == mounts_.end()) return;
    ended = found->second;
    mounts_.erase(found);
    if (const std::string file_system = ended->file_system(); !file_system.empty()) ended_[file_system].add(ended->usage(true));
  }
  end_mount(*ended);
  log::info("share ended", {{"mount", ended->id().str()}, {"reason", reason}});
}

void RunningShare::detach(const MountId& id) {
  MountNumber number = 0;
  {
    const std::scoped_lock lock(mutex_);
    if (const auto mount = find(id)) number = mount->number();
  }
  if (number != 0) end(number, "detached");
}

Result<> RunningShare::set_rights(const MountId& id, Rights rights) {
  std::shared_ptr<Mount> mount;
  {
    const std::scoped_lock lock(mutex_);
    mount = find(id);
  }
  if (!mount) return fail(Code::not_found, "no mount `{}`", id.str());
  mount->set_rights(rights);
  return {};
}

// What a cut-off mount's kernel has cached of names is not to hide that nothing answers.
void RunningShare::set_network(zones::Network network) {
  common_.gates.set_network(std::move(network));
  const std::scoped_lock lock(mutex_);
  for (const auto& [id, mount] : mounts_) {
    if (common_.gates.state(mount->number()).fault) mount->drop_all_names();
  }
}

std::vector<Share::FileSystemUse> RunningShare::use(bool take_sizes) {
  const std::scoped_lock lock(mutex_);
  std::map<std::string, FileSystemUse> all;
  for (auto& [file_system, usage] : ended_) {
    all[file_system] = {file_system, usage, 0, 0};
    if (take_sizes) usage.reads.smallest = usage.reads.largest = usage.writes.smallest = usage.writes.largest = 0;
  }
  for (const auto& [id, mount] : mounts_) {
    if (mount->file_system().empty()) continue;
    FileSystemUse& use = all[mount->file_system()];
    use.file_system = mount->file_system();
    use.usage.add(mount->usage(take_sizes));
    ++use.mounts;
    if (mount->passthrough()) ++use.passthrough_mounts;
  }
  std::vector<FileSystemUse> list;
  for (auto& [file_system, use] : all) list.push_back(std::move(use));
  return list;
}

std::vector<Share::MountStats> RunningShare::stats() const {
  const std::scoped_lock lock(mutex_);
  std::vector<MountStats> all;
  for (const auto& [id, mount] : mounts_) all.push_back(mount->stats());
  return all;
}

}  // namespace

Result<std::unique_ptr<Share>> Share::start(const Options& options, Survival& survival) {
  if (auto device = open_fuse_device(); !device) return fail(device.error());
  auto share = std::make_unique<RunningShare>(options, survival);
  if (auto running = share->run(options.workers); !running) return fail(running.error());
  return share;
}

}  // namespace berth::fuse
