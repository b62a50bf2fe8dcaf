#include "broker/docker/volumes.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/base/log.hpp"
#include "broker/launch/grants.hpp"
#include "broker/launch/outside_mount.hpp"

namespace berth::docker {
namespace {

using control::Control;
using Json = nlohmann::json;

constexpr const char* kKind = "docker-volume";
constexpr const char* kRoleHint =
    "name a role that may mount it: `-o role=ROLE` of the volume, or `berth up --docker-role ROLE` for all volumes that name "
    "none";

launch::OutsideMount wish_of(const std::string& name, const VolumeOptions& options) {
  return {.name = name,
          .file_system = options.file_system,
          .root = options.path,
          .access_point = options.access_point,
          .role_arn = options.role,
          .zone = options.zone,
          .read_only = options.read_only,
          .io_uring = options.io_uring,
          .session = "berth-volume",
          .role_hint = kRoleHint};
}

std::string describe(const fuse::Rights& rights) {
  return fmt::format("{}, root is {}", rights.write ? "read and write" : "read only", rights.root_access ? "root" : "nobody");
}

}  // namespace

std::string Volumes::encode(const Volume& volume) {
  const VolumeOptions& o = volume.options;
  return Json{{"file_system", o.file_system},
              {"access_point", o.access_point},
              {"path", o.path},
              {"role", o.role},
              {"zone", o.zone},
              {"read_only", o.read_only},
              {"io_uring", o.io_uring},
              {"created_at", volume.created_at.time_since_epoch().count()},
              {"mount", volume.mount},
              {"users", volume.users}}
      .dump();
}

Volumes::Volume Volumes::decode(const std::string& name, const std::string& text) {
  Volume volume{.name = name};
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return volume;
  volume.options = {.file_system = json.value("file_system", ""),
                    .access_point = json.value("access_point", ""),
                    .path = json.value("path", "/"),
                    .role = json.value("role", ""),
                    .zone = json.value("zone", ""),
                    .read_only = json.value("read_only", true),
                    .io_uring = json.value("io_uring", false)};
  volume.created_at = TimePoint(std::chrono::microseconds(json.value("created_at", std::int64_t{0})));
  volume.mount = json.value("mount", "");
  volume.users = json.value("users", std::map<std::string, unsigned>{});
  return volume;
}

std::optional<Volumes::Volume> Volumes::find(const std::string& name) const {
  return plane_.read([&](const Control& c) -> std::optional<Volume> {
    const auto* text = c.documents.find(kKind, name);
    if (text == nullptr) return std::nullopt;
    return decode(name, *text);
  });
}

Result<Volumes::Volume> Volumes::require(const std::string& name) const {
  if (auto found = find(name)) return std::move(*found);
  return fail(Code::not_found, "there is no volume `{}`: `docker volume create -d berth -o file-system=fs-... {}` makes it", name,
              name);
}

std::vector<Volumes::Volume> Volumes::all() const {
  return plane_.read([](const Control& c) {
    std::vector<Volume> volumes;
    c.documents.scan(kKind, [&](const std::string& name, const std::string& text) {
      volumes.push_back(decode(name, text));
      return true;
    });
    return volumes;
  });
}

Result<> Volumes::store(const Volume& volume) {
  return plane_.with([&](Control& c) { c.documents.put(kKind, volume.name, encode(volume)); });
}

void Volumes::note(const Volume& volume) {
  if (store(volume)) return;
  plane_.apply([&](Control& c) { c.documents.put(kKind, volume.name, encode(volume)); });
}

Result<fuse::MountSpec> Volumes::decide(Volume& volume) const {
  auto wish = wish_of(volume.name, volume.options);
  auto spec = launch::decide_outside_mount(plane_, options_.file_systems, wish);
  if (!spec) return fail(spec.error());
  spec->held = true;
  return spec;
}

// With what was left out; fails where what they name is not there.
Result<VolumeOptions> Volumes::complete(const std::string& name, VolumeOptions options) const {
  if (options.role.empty()) options.role = options_.role;
  if (!options.role.empty()) {
    auto role = launch::find_role(plane_, options.role);
    if (!role) return fail(role.error());
    options.role = std::move(*role);
  }
  auto wish = wish_of(name, options);
  if (auto there = launch::check_outside_mount(plane_, wish); !there) return fail(there.error());
  options.zone = wish.zone;
  return options;
}

Result<> Volumes::create(const std::string& name, const std::map<std::string, std::string>& given) {
  if (auto right = check_volume_name(name); !right) return right;
  const std::scoped_lock lock(mutex_);
  const auto there = find(name);
  if (there && given.empty()) return {};
  auto options = read_volume_options(given);
  if (!options) return fail(options.error());
  auto whole = complete(name, *options);
  if (!whole) return fail(whole.error());
  if (there && there->options == *whole) return {};
  if (there)
    return fail(
        Code::already_exists,
        "there is a volume `{}` with other options (of {}): remove it first (`docker volume rm {}`; its files stay on the "
        "file system), or take another name",
        name, there->options.file_system, name);
  return plane_.with(
      [&](Control& c) { c.documents.put(kKind, name, encode({.name = name, .options = *whole, .created_at = c.now})); });
}

Result<> Volumes::remove(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  auto volume = require(name);
  if (!volume) return fail(volume.error());
  // An engine that was killed may never say that its containers are gone: so they are looked for.
  if (!volume->users.empty() && lives(*volume) && host_.used(volume->mount, place_of(name)))
    return fail(Code::failed_precondition, "volume `{}` is mounted by {} container(s): stop them first", name,
                volume->users.size());
  if (!volume->mount.empty()) close(*volume);
  return plane_.with([&](Control& c) { c.documents.erase(kKind, name); });
}

Result<std::string> Volumes::mount(const std::string& name, const std::string& id) {
  const std::scoped_lock lock(mutex_);
  auto volume = require(name);
  if (!volume) return fail(volume.error());
  // Asked for each: who may not mount gets no share in somebody else's mount either.
  auto spec = decide(*volume);
  if (!spec) return fail(spec.error());
  const bool fresh = !lives(*volume);
  if (auto opened = fresh ? open(*volume, std::move(*spec)) : put_in_place(*volume); !opened) return fail(opened.error());
  ++volume->users[id];
  if (auto stored = store(*volume); !stored) {
    if (fresh) close(*volume);
    return fail(stored.error());
  }
  return place_of(name);
}

Result<> Volumes::open(Volume& volume, fuse::MountSpec spec) {
  const std::string suffix = plane_.apply([](Control& c) { return c.random.hex(6); });
  constexpr std::size_t kNameMax = 48;  // MountId has at most 63 bytes
  volume.mount = fmt::format("volume/{}~{}", volume.name.substr(0, kNameMax), suffix);
  volume.users.clear();
  if (auto stored = store(volume); !stored) return stored;
  spec.id = fuse::MountId(volume.mount);
  const auto made = share_.mount(spec);
  Result<> placed;
  if (!made && made.error().code == Code::not_found && made.error().errno_value == 0)
    placed = fail(Code::not_found, "directory `{}` of {} does not exist{}", spec.root, volume.options.file_system,
                  volume.options.access_point.empty()
                      ? ": make it first, or take an access point with CreationInfo"
                      : ", and access point `" + volume.options.access_point + "` has no CreationInfo to make it with");
  else if (!made)
    placed = fail(made.error());
  else
    placed = put_in_place(volume);
  if (!placed) close(volume);
  return placed;
}

Result<> Volumes::put_in_place(const Volume& volume) {
  const int held = share_.held(fuse::MountId(volume.mount));
  if (held < 0) return fail(Code::unavailable, "the mount of volume `{}` has ended", volume.name);
  return host_.put(held, volume.mount, place_of(volume.name), volume.options.read_only);
}

void Volumes::close(Volume& volume) {
  host_.take_away(place_of(volume.name));
  share_.detach(fuse::MountId(volume.mount));
  volume.mount.clear();
  volume.users.clear();
  note(volume);  // a daemon that doesn't find it closes it again
}

Result<> Volumes::unmount(const std::string& name, const std::string& id) {
  const std::scoped_lock lock(mutex_);
  auto volume = require(name);
  if (!volume) return fail(volume.error());
  const auto user = volume->users.find(id);
  if (user == volume->users.end()) return {};
  if (--user->second == 0) volume->users.erase(user);
  note(*volume);
  if (volume->users.empty()) close(*volume);
  return {};
}

VolumeView Volumes::view(Volume volume) const {
  VolumeView shown{
      .name = volume.name, .mountpoint = place_of(volume.name), .created_at = volume.created_at, .options = volume.options};
  const auto spec = decide(volume);
  shown.rights = spec ? describe(spec->rights) : "none: " + spec.error().message;
  for (const auto& [id, times] : volume.users) shown.mounts += times;
  return shown;
}

Result<VolumeView> Volumes::get(const std::string& name) {
  auto volume = require(name);
  if (!volume) return fail(volume.error());
  return view(std::move(*volume));
}

Result<std::string> Volumes::path(const std::string& name) {
  auto volume = require(name);
  if (!volume) return fail(volume.error());
  return place_of(name);
}

std::vector<VolumeView> Volumes::list() {
  std::vector<VolumeView> shown;
  for (Volume& volume : all()) shown.push_back(view(std::move(volume)));
  return shown;
}

void Volumes::recover() {
  const std::scoped_lock lock(mutex_);
  std::set<std::string> used;
  for (Volume& volume : all()) {
    if (volume.mount.empty()) continue;
    if (volume.users.empty() || !lives(volume)) {
      if (!volume.users.empty()) log::warning("volume not mounted any more", {{"volume", volume.name}});
      close(volume);
      continue;
    }
    used.insert(volume.name);
    if (auto placed = put_in_place(volume); !placed)
      log::error("volume has lost its place", {{"volume", volume.name}, {"error", placed.error().message}});
  }
  for (const std::string& place : host_.below(options_.places))
    if (!used.contains(place.substr(place.rfind('/') + 1))) host_.take_away(place);
}

void Volumes::refresh_rights() {
  const std::scoped_lock lock(mutex_);
  for (Volume& volume : all()) {
    if (!lives(volume)) continue;
    const auto spec = decide(volume);
    if (!spec) log::warning("mount revoked", {{"mount", volume.mount}, {"why", spec.error().message}});
    const fuse::Rights rights = spec ? spec->rights : fuse::Rights{.mount = false};
    if (auto changed = share_.set_rights(fuse::MountId(volume.mount), rights); !changed)
      log::warning("rights of a mount could not be changed", {{"mount", volume.mount}, {"error", changed.error().message}});
  }
}

void Volumes::unmount_all() {
  const std::scoped_lock lock(mutex_);
  for (Volume& volume : all())
    if (!volume.mount.empty()) close(volume);
}

}  // namespace berth::docker
