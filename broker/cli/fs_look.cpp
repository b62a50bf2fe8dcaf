// `berth fs ls` and `du`: file systems without a mount. The daemon makes one that stands nowhere, this process reads below its
// descriptor; it ends with this process.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <set>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/cli/commands.hpp"
#include "broker/cli/fs_connection.hpp"
#include "broker/cli/fs_files.hpp"
#include "broker/cli/table.hpp"

namespace berth::cli {

using Json = nlohmann::json;

namespace {

struct Looked {
  TakenMount taken;
  RemotePath remote;
};

Result<Looked> look(const FsLookOptions& options) {
  auto remote = parse_remote(options.path);
  if (!remote) return fail(remote.error());
  auto taken = take_mount(options.state_directory, "look", {{"file_system", remote->file_system}});
  if (!taken) return fail(taken.error());
  (void)report_taken(options.state_directory, *taken);
  return Looked{std::move(*taken), std::move(*remote)};
}

std::string type_of(mode_t mode) {
  if (S_ISDIR(mode)) return "directory";
  if (S_ISREG(mode)) return "file";
  if (S_ISLNK(mode)) return "symlink";
  if (S_ISFIFO(mode)) return "fifo";
  if (S_ISSOCK(mode)) return "socket";
  return "device";
}

std::string mode_text(mode_t mode) {
  std::string text(1, S_ISDIR(mode)    ? 'd'
                      : S_ISREG(mode)  ? '-'
                      : S_ISLNK(mode)  ? 'l'
                      : S_ISFIFO(mode) ? 'p'
                      : S_ISSOCK(mode) ? 's'
                                       : 'c');
  for (int i = 8; i >= 0; --i) text += (mode >> i & 1U) != 0 ? "xwr"[i % 3] : '-';
  if ((mode & S_ISUID) != 0) text[3] = text[3] == 'x' ? 's' : 'S';
  if ((mode & S_ISGID) != 0) text[6] = text[6] == 'x' ? 's' : 'S';
  if ((mode & S_ISVTX) != 0) text[9] = text[9] == 'x' ? 't' : 'T';
  return text;
}

Json describe(const std::string& name, const struct stat& status, const std::string& target) {
  Json entry{{"name", name},
             {"type", type_of(status.st_mode)},
             {"mode", fmt::format("{:04o}", status.st_mode & 07777U)},
             {"uid", status.st_uid},
             {"gid", status.st_gid},
             {"size", status.st_size},
             {"links", status.st_nlink},
             {"modified", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(status.st_mtime))}};
  if (!target.empty()) entry["target"] = target;
  return entry;
}

struct Usage {
  std::uint64_t bytes = 0, apparent = 0, files = 0, directories = 0;
  void operator+=(const Usage& other) {
    bytes += other.bytes;
    apparent += other.apparent;
    files += other.files;
    directories += other.directories;
  }
  Json json() const { return {{"bytes", bytes}, {"apparent_bytes", apparent}, {"files", files}, {"directories", directories}}; }
};

// A hard link counts once, wherever it is met first.
class Measure {
 public:
  Result<Usage> of(int directory, const std::string& name) {
    struct stat status{};
    if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0) {
      if (errno == ENOENT) return Usage{};  // gone meanwhile
      return fail_errno(errno, printable(name));
    }
    Usage usage;
    if (!S_ISDIR(status.st_mode)) {
      if (status.st_nlink > 1 && !met_.insert(status.st_ino).second) return usage;
      usage.files = 1;
    } else {
      usage.directories = 1;
    }
    usage.bytes = static_cast<std::uint64_t>(status.st_blocks) * 512;
    if (!S_ISDIR(status.st_mode)) {
      usage.apparent = static_cast<std::uint64_t>(status.st_size);
      return usage;
    }
    auto opened = open_directory(directory, name);
    if (!opened) return fail(opened.error());
    auto names = names_in(*opened);
    if (!names) return fail(names.error());
    for (const std::string& inner : *names) {
      auto part = of(opened->get(), inner);
      if (!part) return fail(part.error().within(printable(name)));
      usage += *part;
    }
    return usage;
  }

 private:
  std::set<ino_t> met_;
};

std::string human(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  while (value >= 1024 && unit < 4) value /= 1024, ++unit;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace

Result<int> fs_ls(const FsLookOptions& options) {
  auto looked = look(options);
  if (!looked) return fail(looked.error());
  auto at = open_below(looked->taken.mount, looked->remote.path, O_PATH);
  if (!at) return fail(at.error());
  struct stat status{};
  if (::fstat(at->get(), &status) != 0) return fail_errno(errno, options.path);
  Json entries = Json::array();
  Table table({"MODE", "OWNER", "SIZE", "MODIFIED", "NAME"});
  const auto add = [&](const std::string& name, const struct stat& s, const std::string& target) {
    entries.push_back(describe(name, s, target));
    table.add({mode_text(s.st_mode), fmt::format("{}:{}", s.st_uid, s.st_gid), std::to_string(s.st_size),
               fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::gmtime(s.st_mtime)),
               printable(name) + (target.empty() ? "" : " -> " + printable(target))});
  };
  if (!S_ISDIR(status.st_mode)) {
    add(looked->remote.path.substr(looked->remote.path.rfind('/') + 1), status, "");
  } else {
    auto directory = open_directory(at->get(), ".");
    if (!directory) return fail(directory.error());
    auto names = names_in(*directory);
    if (!names) return fail(names.error());
    for (const std::string& name : *names) {
      if (::fstatat(directory->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone meanwhile
      add(name, status, S_ISLNK(status.st_mode) ? link_target(directory->get(), name) : "");
    }
  }
  if (options.json) {
    fmt::print("{}\n", entries.dump(2, ' ', false, Json::error_handler_t::replace));
  } else if (!table.empty()) {
    fmt::print("{}", table.str());
  }
  return 0;
}

Result<int> fs_du(const FsLookOptions& options) {
  auto looked = look(options);
  if (!looked) return fail(looked.error());
  auto at = open_below(looked->taken.mount, looked->remote.path, O_PATH);
  if (!at) return fail(at.error());
  struct stat status{};
  if (::fstat(at->get(), &status) != 0) return fail_errno(errno, options.path);
  Measure measure;
  Usage total;
  Json parts = Json::array();
  Table table({"BYTES", "", "FILES", "NAME"});
  const auto add = [&](const std::string& name, const Usage& usage) {
    table.add({std::to_string(usage.bytes), human(usage.bytes), std::to_string(usage.files), printable(name)});
  };
  if (S_ISDIR(status.st_mode)) {
    auto directory = open_directory(at->get(), ".");
    if (!directory) return fail(directory.error());
    auto names = names_in(*directory);
    if (!names) return fail(names.error());
    total.directories = 1;
    total.bytes = static_cast<std::uint64_t>(status.st_blocks) * 512;
    for (const std::string& name : *names) {
      auto usage = measure.of(directory->get(), name);
      if (!usage) return fail(usage.error());
      total += *usage;
      Json part = usage->json();
      part["name"] = name;
      parts.push_back(std::move(part));
      add(name, *usage);
    }
  } else {
    auto usage = measure.of(at->get(), "");
    if (!usage) return fail(usage.error());
    total = *usage;
  }
  add(looked->remote.path, total);
  if (options.json) {
    Json body = total.json();
    body["path"] = looked->remote.path;
    body["entries"] = std::move(parts);
    fmt::print("{}\n", body.dump(2, ' ', false, Json::error_handler_t::replace));
  } else {
    fmt::print("{}", table.str());
  }
  return 0;
}

}  // namespace berth::cli
