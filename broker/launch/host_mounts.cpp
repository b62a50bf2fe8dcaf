#include "broker/launch/host_mounts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "broker/base/log.hpp"

namespace berth::launch {
namespace {

using control::Control;
using Json = nlohmann::json;

constexpr std::string_view kKind = "host-mount";
constexpr auto kPatience = std::chrono::seconds(30);

std::string encode(const HostMounts::Mount& mount) {
  return Json{{"file_system", mount.file_system}, {"root", mount.root}, {"access_point", mount.access_point},
              {"role_arn", mount.role_arn},       {"zone", mount.zone}, {"directory", mount.directory},
              {"read_only", mount.read_only}}
      .dump();
}

HostMounts::Mount decode(const std::string& id, const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  HostMounts::Mount mount{.id = id};
  if (!json.is_object()) return mount;
  mount.file_system = json.value("file_system", "");
  mount.root = json.value("root", "/");
  mount.access_point = json.value("access_point", "");
  mount.role_arn = json.value("role_arn", "");
  mount.zone = json.value("zone", "");
  mount.directory = json.value("directory", "");
  mount.read_only = json.value("read_only", true);
  return mount;
}

// The records that the decision reads, and the VPC of the mount target.
struct Excerpt {
  fuse::Catalog catalog;
  std::string vpc;
  TimePoint now{};
};

Excerpt excerpt(const Control& c, HostMounts::Mount& mount) {
  Excerpt few{.now = c.now};
  const fuse::FileSystemId id(mount.file_system);
  if (const auto* file_system = c.catalog.find(id)) few.catalog.restore(*file_system);
  for (const auto* target : c.catalog.mount_targets_of(id)) {
    few.catalog.restore(*target);
    if (mount.zone.empty()) mount.zone = target->zone;
    if (target->zone == mount.zone) few.vpc = target->vpc;
  }
  if (const auto* access_point = c.catalog.find(fuse::AccessPointId(mount.access_point))) few.catalog.restore(*access_point);
  return few;
}

}  // namespace

Result<fuse::MountSpec> HostMounts::decide(Mount& mount) const {
  // apply(), not read(): the time of this decision is wanted.
  const Excerpt few = plane_.apply([&](const Control& c) { return excerpt(c, mount); });
  const EfsVolume volume{.name = mount.directory,
                         .file_system = mount.file_system,
                         .access_point = mount.access_point,
                         .root = mount.root,
                         .transit_encryption = true,
                         .iam = !mount.role_arn.empty()};
  const MountClient client{.task = "berth-fs-mount",
                           .role_arn = mount.role_arn,
                           .zone = mount.zone,
                           .vpc = few.vpc,
                           .now = few.now,
                           .execution_role_arn = {},
                           .closed = {}};
  auto judged = judge_mount(few.catalog, *plane_.identities(), volume, client, plane_.region(), file_systems_);
  if (!judged) return fail(judged.error().code, "{}", judged.error().explanation);
  judged->id = fuse::MountId(mount.id);
  if (mount.read_only) judged->rights.write = false;
  // No descriptor of it is held, or nobody could unmount it: so what is open must be asked for each time, or rights that are lost
  // could not be taken back.
  judged->passthrough = false;
  mount.root = judged->root;
  mount.rights = judged->rights;
  return std::move(*judged);
}

Result<HostMounts::Offer> HostMounts::offer(const Request& request) {
  Mount mount{.file_system = request.file_system,
              .root = request.root,
              .access_point = request.access_point,
              .zone = request.zone,
              .directory = request.directory,
              .read_only = request.read_only};
  if (!request.role.empty())
    mount.role_arn =
        request.role.starts_with("arn:") ? request.role : fmt::format("arn:aws:iam::{}:role/{}", plane_.account(), request.role);
  if (!mount.role_arn.empty() && plane_.identities()->find_role_by_arn(mount.role_arn) == nullptr)
    return fail(Code::not_found, "there is no role `{}`", mount.role_arn);
  mount.id = plane_.apply([&](Control& c) { return "host/" + c.random.hex(12); });
  auto spec = decide(mount);
  if (!spec) return fail(spec.error());
  // Written first: whatever is mounted is known to the next daemon.
  write(mount);
  auto made = make(std::move(*spec), mount);
  if (!made) plane_.apply([&](Control& c) { c.documents.erase(kKind, mount.id); });
  return made;
}

Result<HostMounts::Offer> HostMounts::offer_look(const std::string& file_system) {
  const auto [there, id] = plane_.apply([&](Control& c) {
    const auto* record = c.catalog.find(fuse::FileSystemId(file_system));
    return std::pair(record != nullptr && record->life_cycle == fuse::LifeCycle::available, "host/look-" + c.random.hex(12));
  });
  if (!there) return fail(Code::not_found, "there is no available file system `{}`", file_system);
  fuse::MountSpec spec{.id = fuse::MountId(id), .backing_directory = file_systems_ + "/" + file_system};
  spec.rights = {.write = true, .root_access = true};
  return make(std::move(spec), Mount{.id = id, .file_system = file_system, .root = "/"});
}

Result<HostMounts::Offer> HostMounts::make(fuse::MountSpec spec, Mount mount) {
  auto made = share_.mount(spec);
  if (!made) return fail(made.error());
  Offer offer{std::move(mount), made->get()};
  const std::scoped_lock lock(mutex_);
  waiting_[offer.mount.id] = {std::move(*made), std::chrono::steady_clock::now()};
  return offer;
}

void HostMounts::write(const Mount& mount) {
  // A mount without its record would be out of policies' reach: with(), which waits until it is on disk.
  plane_.with([&](Control& c) {
    c.documents.put(std::string(kKind), mount.id, encode(mount));
    return 0;
  });
}

bool HostMounts::waits(const std::string& id) {
  const std::scoped_lock lock(mutex_);
  return waiting_.contains(id);
}

void HostMounts::taken(const std::string& id) {
  Waiting done;  // closed outside the lock
  const std::scoped_lock lock(mutex_);
  if (const auto found = waiting_.find(id); found != waiting_.end()) {
    done = std::move(found->second);
    waiting_.erase(found);
  }
}

void HostMounts::expire() {
  std::vector<std::string> late;
  {
    const std::scoped_lock lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    for (const auto& [id, waiting] : waiting_)
      if (now - waiting.since > kPatience) late.push_back(id);
  }
  for (const auto& id : late) taken(id);  // with its last descriptor the mount ends
}

Result<> HostMounts::end(const std::string& id) {
  const bool known = plane_.apply([&](Control& c) {
    const bool there = c.documents.find(kKind, id) != nullptr;
    c.documents.erase(kKind, id);
    return there;
  });
  if (!known) return fail(Code::not_found, "there is no mount `{}` on the host", id);
  taken(id);
  share_.detach(fuse::MountId(id));
  return {};
}

std::vector<HostMounts::Mount> HostMounts::list() {
  std::vector<Mount> mounts = plane_.read([](const Control& c) {
    std::vector<Mount> all;
    c.documents.scan(kKind, [&](const std::string& id, const std::string& text) {
      all.push_back(decode(id, text));
      return true;
    });
    return all;
  });
  std::set<std::string> live;
  for (const auto& stats : share_.stats()) live.insert(stats.id.str());
  // Unmounted by its owner, or gone with a Berth of before.
  std::erase_if(mounts, [&](const Mount& mount) {
    if (live.contains(mount.id) || waits(mount.id)) return false;
    plane_.apply([&](Control& c) { c.documents.erase(kKind, mount.id); });
    return true;
  });
  return mounts;
}

void HostMounts::refresh_rights() {
  const std::scoped_lock lock(refreshing_);
  for (Mount& mount : list()) {
    const auto spec = decide(mount);
    if (!spec) log::warning("mount revoked", {{"mount", mount.id}, {"why", spec.error().message}});
    const fuse::Rights rights = spec ? spec->rights : fuse::Rights{.mount = false};
    if (auto changed = share_.set_rights(fuse::MountId(mount.id), rights); !changed && changed.error().code != Code::not_found)
      log::warning("rights of a mount could not be changed", {{"mount", mount.id}, {"error", changed.error().message}});
  }
}

}  // namespace berth::launch
