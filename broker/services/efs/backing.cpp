#include "broker/services/efs/backing.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <utility>

#include "broker/base/unique_fd.hpp"

namespace berth::services::efs {
namespace {

namespace fs = std::filesystem;

// A new or renamed entry is durable when its directory is.
Result<> sync_directory(const std::string& path) {
  const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || ::fsync(directory.get()) != 0) return fail_errno(errno, "sync `" + path + "`");
  return {};
}

Result<> make_directory(const std::string& parent, const fuse::FileSystemId& id) {
  std::error_code failed;
  fs::create_directories(parent, failed);
  if (failed) return fail_errno(failed.value(), "make `" + parent + "`");
  const auto path = backing_directory(parent, id);
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(errno, "make `" + path + "`");
  // The root of a new file system is root's and 0755, whatever the daemon's umask is.
  if (::chmod(path.c_str(), 0755) != 0) return fail_errno(errno, "chmod `" + path + "`");
  return sync_directory(parent);
}

std::string staging_directory(const std::string& parent, const fuse::FileSystemId& destination) {
  return parent + "/.replica-" + destination.str();
}

// Renamed first: half a file system must never be found under its own name.
Result<> remove_directory(const std::string& parent, const fuse::FileSystemId& id) {
  const auto path = backing_directory(parent, id);
  const auto away = parent + "/.deleted-" + id.str();
  if (::rename(path.c_str(), away.c_str()) == 0) {
    if (auto synced = sync_directory(parent); !synced) return synced;
  } else if (errno != ENOENT) {
    return fail_errno(errno, "rename `" + path + "`");
  }
  // The other one is what a replication left that was deleted as the daemon died.
  for (const auto& left : {away, staging_directory(parent, id)}) {
    std::error_code failed;
    fs::remove_all(left, failed);
    if (failed) return fail_errno(failed.value(), "remove `" + left + "`");
  }
  return {};
}

constexpr std::size_t kDirectoriesMax = 1000;  // told apart: a number that can be listed
constexpr int kRootLevelsMax = 4;              // of an access point's root directory

// Adds to each directory that holds `name` (a path from the file system's root) and is to be told apart.
void add_to_directories(Sizes& sizes, const std::string& name, bool is_directory, std::uint64_t bytes,
                        const std::set<std::string>& roots) {
  std::size_t end = 0;
  for (int level = 1; level <= kRootLevelsMax && end != std::string::npos; ++level) {
    end = name.find('/', end + 1);
    // The last part is a directory or a file in the one before.
    if (end == std::string::npos && !is_directory) return;
    const std::string directory = name.substr(0, end);
    const bool told_apart = (level == 1 && sizes.directories.size() < kDirectoriesMax) || roots.contains(directory);
    if (told_apart || sizes.directories.contains(directory)) sizes.directories[directory] += bytes;
  }
}

// Files come and go while the walk runs: what is gone by then does not count and is no error.
Result<Sizes> measure_directory(const std::string& parent, const fuse::FileSystemId& id, const std::set<std::string>& roots) {
  const auto path = backing_directory(parent, id);
  std::error_code failed;
  auto entries = fs::recursive_directory_iterator(path, fs::directory_options::skip_permission_denied, failed);
  if (failed) return fail_errno(failed.value(), "measure `" + path + "`");
  Sizes sizes;
  std::set<ino_t> counted;
  for (; !failed && entries != fs::recursive_directory_iterator(); entries.increment(failed)) {
    struct stat status{};
    if (::lstat(entries->path().c_str(), &status) != 0) continue;
    if (status.st_nlink > 1 && !S_ISDIR(status.st_mode) && !counted.insert(status.st_ino).second) continue;
    const auto bytes = static_cast<std::uint64_t>(status.st_blocks) * 512;
    sizes.total += bytes;
    add_to_directories(sizes, entries->path().native().substr(path.size()), S_ISDIR(status.st_mode), bytes, roots);
  }
  if (failed && failed.value() != ENOENT) return fail_errno(failed.value(), "measure `" + path + "`");
  return sizes;
}

}  // namespace

std::string backing_directory(const std::string& parent, const fuse::FileSystemId& id) { return parent + "/" + id.str(); }

Backing directories_below(const std::string& parent) {
  return {
      .make = [parent](const fuse::FileSystemId& id) { return make_directory(parent, id); },
      .remove = [parent](const fuse::FileSystemId& id) { return remove_directory(parent, id); },
      .measure = [parent](const fuse::FileSystemId& id,
                          const std::set<std::string>& roots) { return measure_directory(parent, id, roots); },
  };
}

Result<fuse::replica::Report> replicate_below(const std::string& parent, const fuse::FileSystemId& source,
                                              const fuse::FileSystemId& destination, std::optional<TimePoint> since,
                                              fuse::replica::Progress& progress) {
  return fuse::replica::sync_tree({.source = backing_directory(parent, source),
                                   .destination = backing_directory(parent, destination),
                                   .staging = staging_directory(parent, destination),
                                   .since = since},
                                  progress);
}

}  // namespace berth::services::efs
