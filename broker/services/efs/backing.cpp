#include "broker/services/efs/backing.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <utility>

namespace berth::services::efs {
namespace {

namespace fs = std::filesystem;

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
Result<Sizes> measure_directory(const std::string& path, const std::set<std::string>& roots) {
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

Backing directories_in(const Places& places) {
  return {
      .make = [places](const fuse::FileSystemId& id, const std::string& place) { return places.make(id, place); },
      .remove = [places](const fuse::FileSystemId& id) { return places.remove(id); },
      .measure = [places](const fuse::FileSystemId& id,
                          const std::set<std::string>& roots) { return measure_directory(places.directory(id), roots); },
  };
}

Result<fuse::replica::Report> replicate_in(const Places& places, const fuse::FileSystemId& source,
                                           const fuse::FileSystemId& destination, std::optional<TimePoint> since,
                                           fuse::replica::Progress& progress) {
  return fuse::replica::sync_tree({.source = places.directory(source),
                                   .destination = places.directory(destination),
                                   .staging = places.staging(destination),
                                   .since = since},
                                  progress);
}

}  // namespace berth::services::efs
