#include "broker/services/efs/places.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "broker/base/log.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/backing_traits.hpp"

namespace berth::services::efs {
namespace {

namespace fs = std::filesystem;

// A new or renamed entry is durable when its directory is.
Result<> sync_directory(const std::string& path) {
  const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || ::fsync(directory.get()) != 0) return fail_errno(errno, "sync `" + path + "`");
  return {};
}

// As tests without root do without what only root can find out.
Result<> note_traits(const fuse::FileSystemId& id, const std::string& directory) {
  if (::geteuid() != 0) return {};
  const auto traits = fuse::look_at_backing(directory);
  if (!traits) return fail(traits.error());
  log::info("backing directory looked at", {{"file_system", id.str()}, {"directory", directory}, {"type", traits->type}});
  std::vector<std::string> lacks;
  for (const auto& lack : traits->lacks) lacks.push_back(fmt::format("{} ({})", lack.what, lack.meaning));
  if (!lacks.empty())
    log::warning("backing directory lacks something",
                 {{"directory", directory}, {"type", traits->type}, {"lacks", fmt::format("{}", fmt::join(lacks, "; "))}});
  return {};
}

Result<> make_root(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(errno, "make `" + path + "`");
  // The root of a new file system is root's and 0755, whatever the daemon's umask is.
  if (::chmod(path.c_str(), 0755) != 0) return fail_errno(errno, "chmod `" + path + "`");
  return {};
}

Result<> remove_tree(const std::string& path) {
  std::error_code failed;
  fs::remove_all(path, failed);
  if (failed) return fail_errno(failed.value(), "remove `" + path + "`");
  return {};
}

std::string away(const std::string& place, const fuse::FileSystemId& id) { return place + "/.deleted-" + id.str(); }
std::string staged(const std::string& place, const fuse::FileSystemId& id) { return place + "/.replica-" + id.str(); }

// Renamed first: half a file system must never be found under its own name. True where it was there.
Result<bool> take_away(const std::string& place, const fuse::FileSystemId& id) {
  const auto path = place + "/" + id.str();
  if (::rename(path.c_str(), away(place, id).c_str()) != 0) {
    if (errno == ENOENT) return false;
    return fail_errno(errno, "rename `" + path + "`");
  }
  if (auto synced = sync_directory(place); !synced) return fail(synced.error());
  return true;
}

}  // namespace

std::string Places::target(const fuse::FileSystemId& id) const {
  std::error_code failed;
  auto path = fs::read_symlink(link(id), failed);
  return failed ? std::string() : path.string();
}

std::string Places::directory(const fuse::FileSystemId& id) const {
  auto elsewhere = target(id);
  return elsewhere.empty() ? link(id) : elsewhere;
}

std::string Places::staging(const fuse::FileSystemId& id) const {
  return staged(fs::path(directory(id)).parent_path().string(), id);
}

std::vector<std::string> Places::all() const {
  std::set<std::string> places{parent_};
  for (const auto& [name, directory] : named_) places.insert(directory);
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(parent_, failed)) {
    std::error_code no_link;
    if (const auto path = fs::read_symlink(entry.path(), no_link); !no_link) places.insert(path.parent_path().string());
  }
  return {places.begin(), places.end()};
}

void Places::warn_of_missing_disks() const {
  struct stat own{};
  struct stat other{};
  if (::stat(fs::path(parent_).parent_path().c_str(), &own) != 0) return;
  for (const auto& [name, directory] : named_) {
    if (::stat(directory.c_str(), &other) == 0 && other.st_dev == own.st_dev)
      log::warning("place is on the state directory's own disk: is its disk mounted?",
                   {{"place", name}, {"directory", directory}});
  }
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(parent_, failed)) {
    std::error_code no_link;
    const auto path = fs::read_symlink(entry.path(), no_link);
    if (!no_link && ::stat(path.c_str(), &other) != 0)
      log::warning("file system is not in its place: is its disk mounted?",
                   {{"file_system", entry.path().filename().string()}, {"directory", path.string()}});
  }
}

Result<> Places::make(const fuse::FileSystemId& id, const std::string& place) const {
  std::error_code failed;
  fs::create_directories(parent_, failed);
  if (failed) return fail_errno(failed.value(), "make `" + parent_ + "`");
  if (place.empty()) {
    if (auto noted = note_traits(id, parent_); !noted) return noted;
    if (auto made = make_root(link(id)); !made) return made;
    return sync_directory(parent_);
  }
  const auto named = named_.find(place);
  if (named == named_.end()) {
    std::vector<std::string> names;
    for (const auto& [name, directory] : named_) names.push_back(name);
    return fail(Code::invalid_argument,
                "there is no place `{}` to keep a file system in; there are: {} (`berth up -- --place {}=DIRECTORY` names one)",
                place, names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")), place);
  }
  const std::string& home = named->second;
  if (auto noted = note_traits(id, home); !noted) return noted;
  const auto path = home + "/" + id.str();
  if (auto made = make_root(path); !made) return made;
  if (auto synced = sync_directory(home); !synced) return synced;
  if (::symlink(path.c_str(), link(id).c_str()) != 0 && (errno != EEXIST || target(id) != path))
    return fail_errno(errno, "link `" + link(id) + "`");
  return sync_directory(parent_);
}

// The link goes after the content and before the emptied directory, which tells, as long as the link is there, that its disk is.
Result<> Places::remove(const fuse::FileSystemId& id) const {
  const auto places = all();  // while there is the link to name its own
  if (const auto elsewhere = target(id); !elsewhere.empty()) {
    const auto home = fs::path(elsewhere).parent_path().string();
    const auto there = take_away(home, id);
    if (!there) return fail(there.error());
    if (!*there && ::access(away(home, id).c_str(), F_OK) != 0)
      return fail(Code::failed_precondition, "`{}` is not there: mount its disk, or remove the link `{}` to give its content up",
                  elsewhere, link(id));
    std::error_code failed;
    for (const auto& entry : fs::directory_iterator(away(home, id), failed)) {
      if (auto gone = remove_tree(entry.path().string()); !gone) return gone;
    }
    if (failed) return fail_errno(failed.value(), "list `" + away(home, id) + "`");
    if (::unlink(link(id).c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "remove `" + link(id) + "`");
    if (auto synced = sync_directory(parent_); !synced) return synced;
  } else if (auto there = take_away(parent_, id); !there) {
    return fail(there.error());
  }
  // The other one is what a replication left that was deleted as the daemon died. Without its link, an emptied directory may be
  // in any place.
  for (const auto& place : places) {
    for (const auto& left : {away(place, id), staged(place, id)}) {
      if (auto gone = remove_tree(left); !gone) return gone;
    }
  }
  return {};
}

}  // namespace berth::services::efs
