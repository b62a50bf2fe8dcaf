#include "broker/launch/host_mounts.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include <nlohmann/json.hpp>

#include "broker/base/log.hpp"
#include "broker/launch/outside_mount.hpp"

namespace berth::launch {
namespace {

using control::Control;
using Json = nlohmann::json;

constexpr std::string_view kKind = "host-mount";
constexpr auto kPatience = std::chrono::seconds(30);

std::string encode(const HostMounts::Mount& mount) {
  return Json{{"file_system", mount.file_system}, {"root", mount.root},        {"access_point", mount.access_point},
              {"role_arn", mount.role_arn},       {"zone", mount.zone},        {"directory", mount.directory},
              {"read_only", mount.read_only},     {"io_uring", mount.io_uring}}
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
  mount.io_uring = json.value("io_uring", false);
  return mount;
}

}  // namespace

Result<fuse::MountSpec> HostMounts::decide(Mount& mount) const {
  OutsideMount wish{.name = mount.directory,
                    .file_system = mount.file_system,
                    .root = mount.root,
                    .access_point = mount.access_point,
                    .role_arn = mount.role_arn,
                    .zone = mount.zone,
                    .read_only = mount.read_only,
                    .io_uring = mount.io_uring,
                    .session = "berth-fs-mount",
                    .role_hint = "name a role with --role"};
  auto judged = decide_outside_mount(plane_, file_systems_, wish);
  if (!judged) return fail(judged.error());
  judged->id = fuse::MountId(mount.id);
  // No descriptor of it is held, or nobody could unmount it: so what is open must be asked for each time, or rights that are lost
  // could not be taken back.
  judged->passthrough = false;
  mount.zone = wish.zone;
  mount.root = judged->root;
  mount.rights = judged->rights;
  mount.io_uring = judged->io_uring;
  return std::move(*judged);
}

Result<HostMounts::Offer> HostMounts::offer(const Request& request) {
  Mount mount{.file_system = request.file_system,
              .root = request.root,
              .access_point = request.access_point,
              .zone = request.zone,
              .directory = request.directory,
              .read_only = request.read_only,
              .io_uring = request.io_uring};
  if (!request.role.empty()) {
    auto role = find_role(plane_, request.role);
    if (!role) return fail(role.error());
    mount.role_arn = std::move(*role);
  }
  mount.id = plane_.apply([&](Control& c) { return "host/" + c.random.hex(12); });
  auto spec = decide(mount);
  if (!spec) return fail(spec.error());
  // Written first: whatever is mounted is known to the next daemon.
  if (auto written = write(mount); !written) return fail(written.error());
  auto made = make(*spec, mount);
  if (!made) plane_.apply([&](Control& c) { c.documents.erase(kKind, mount.id); });
  return made;
}

Result<HostMounts::Offer> HostMounts::offer_look(const std::string& file_system) {
  const auto [there, writable, id] = plane_.apply([&](Control& c) {
    const auto* record = c.catalog.find(fuse::FileSystemId(file_system));
    return std::tuple(record != nullptr && record->life_cycle == fuse::LifeCycle::available,
                      record != nullptr && record->overwrite_protection != fuse::OverwriteProtection::replicating,
                      "host/look-" + c.random.hex(12));
  });
  if (!there) return fail(Code::not_found, "there is no available file system `{}`", file_system);
  fuse::MountSpec spec{.id = fuse::MountId(id), .backing_directory = file_systems_ + "/" + file_system};
  spec.rights = {.write = writable, .root_access = true};
  return make(spec, Mount{.id = id, .file_system = file_system, .root = "/"});
}

Result<HostMounts::Offer> HostMounts::make(const fuse::MountSpec& spec, Mount mount) {
  auto made = share_.mount(spec);
  if (!made) return fail(made.error());
  Offer offer{std::move(mount), made->get()};
  const std::scoped_lock lock(mutex_);
  waiting_[offer.mount.id] = {std::move(*made), std::chrono::steady_clock::now()};
  return offer;
}

Result<> HostMounts::write(const Mount& mount) {
  // A mount without its record would be out of policies' reach: with(), which waits until it is on disk.
  return plane_.with([&](Control& c) { c.documents.put(std::string(kKind), mount.id, encode(mount)); });
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
