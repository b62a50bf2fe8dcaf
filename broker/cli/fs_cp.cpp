// `berth fs cp`: files into a file system or out of it, through a mount that stands nowhere.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/cli/commands.hpp"
#include "broker/cli/fs_connection.hpp"
#include "broker/cli/fs_files.hpp"

namespace berth::cli {

using Json = nlohmann::json;

namespace {

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

Result<Owner> parse_owner(const std::string& text) {
  Owner owner;
  if (text.empty()) return owner;
  const char* const end = text.data() + text.size();
  const auto uid = std::from_chars(text.data(), end, owner.uid);
  if (uid.ec == std::errc{} && uid.ptr != end && *uid.ptr == ':') {
    const auto gid = std::from_chars(uid.ptr + 1, end, owner.gid);
    if (gid.ec == std::errc{} && gid.ptr == end) return owner;
  }
  return fail(Code::invalid_argument, "owner `{}` is not UID:GID", text);
}

// One line on a terminal, written over and over; nothing elsewhere.
class Progress {
 public:
  explicit Progress(bool on) : on_(on && ::isatty(STDERR_FILENO) == 1) {}
  ~Progress() {
    if (shown_) fmt::print(stderr, "\r\033[K");
  }
  void add(std::uint64_t bytes, const std::string& name) {
    bytes_ += bytes;
    const auto now = std::chrono::steady_clock::now();
    if (!on_ || now < next_) return;
    next_ = now + std::chrono::milliseconds(100);
    shown_ = true;
    const double seconds = std::max(std::chrono::duration<double>(now - begun_).count(), 0.001);
    const double mib = static_cast<double>(bytes_) / (1 << 20);
    fmt::print(stderr, "\r\033[K{:.1f} MiB, {} files, {:.1f} MiB/s  {:.60}", mib, files, mib / seconds, printable(name));
  }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t files = 0, skipped = 0;

 private:
  const bool on_;
  bool shown_ = false;
  std::uint64_t bytes_ = 0;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point next_ = begun_ + std::chrono::milliseconds(300);
};

class Copier {
 public:
  // `owner`: of what is made; none: whoever runs this.
  Copier(std::optional<Owner> owner, bool recursive, Progress& progress)
      : owner_(owner), recursive_(recursive), progress_(progress), buffer_(std::size_t{1} << 20) {}

  // `from_name` in one directory as `to_name` in another. Names, not paths; no link is followed on either side.
  Result<> copy(int from, const std::string& from_name, int to, const std::string& to_name) {
    struct stat status{};
    if (::fstatat(from, from_name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno(errno, "`" + printable(from_name) + "`");
    if (S_ISREG(status.st_mode)) return copy_file(from, from_name, to, to_name);
    if (S_ISLNK(status.st_mode)) return copy_link(from, from_name, to, to_name);
    if (S_ISDIR(status.st_mode)) {
      if (recursive_) return copy_directory(from, from_name, to, to_name);
      return fail(Code::invalid_argument, "`{}` is a directory: copy it with -r", printable(from_name));
    }
    fmt::print(stderr, "berth: `{}` is neither file, directory nor link: left out\n", printable(from_name));
    ++progress_.skipped;
    return {};
  }

 private:
  Result<> copy_file(int from, const std::string& from_name, int to, const std::string& to_name) {
    const UniqueFd source(::openat(from, from_name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status{};
    if (!source || ::fstat(source.get(), &status) != 0) return fail_errno(errno, "`" + printable(from_name) + "`");
    if (!S_ISREG(status.st_mode)) return fail(Code::failed_precondition, "`{}` has become another thing", printable(from_name));
    // Closed to others until it is whole.
    const UniqueFd target(
        ::openat(to, to_name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
    if (!target) return fail_errno(errno, "write `" + printable(to_name) + "`");
    while (true) {
      const ssize_t got = ::read(source.get(), buffer_.data(), buffer_.size());
      if (got < 0) return fail_errno(errno, "read `" + printable(from_name) + "`");
      if (got == 0) break;
      if (auto written = write_all(target.get(), static_cast<std::size_t>(got)); !written)
        return fail(written.error().within("`" + printable(to_name) + "`"));
      progress_.add(static_cast<std::uint64_t>(got), from_name);
    }
    if (auto finished = finish(target.get(), status); !finished)
      return fail(finished.error().within("`" + printable(to_name) + "`"));
    // The last word of a full disk or a lost mount may come with close.
    if (::fsync(target.get()) != 0 && errno != EINVAL) return fail_errno(errno, "write `" + printable(to_name) + "`");
    ++progress_.files;
    return {};
  }

  Result<> write_all(int target, std::size_t size) {
    for (std::size_t done = 0; done < size;) {
      const ssize_t put = ::write(target, buffer_.data() + done, size - done);
      if (put < 0) return fail_errno(errno, "write");
      done += static_cast<std::size_t>(put);
    }
    return {};
  }

  // Set-user-ID bits stay behind: the other side has other users.
  Result<> finish(int target, const struct stat& status) const {
    if (owner_ && ::fchown(target, owner_->uid, owner_->gid) != 0) return fail_errno(errno, "set the owner");
    if (::fchmod(target, status.st_mode & 0777U) != 0) return fail_errno(errno, "set the mode");
    return {};
  }

  Result<> copy_link(int from, const std::string& from_name, int to, const std::string& to_name) {
    const std::string target = link_target(from, from_name);
    int made = ::symlinkat(target.c_str(), to, to_name.c_str());
    // An older copy of it is replaced, as a file's is.
    if (made != 0 && errno == EEXIST && !link_target(to, to_name).empty() && ::unlinkat(to, to_name.c_str(), 0) == 0)
      made = ::symlinkat(target.c_str(), to, to_name.c_str());
    if (made != 0) return fail_errno(errno, "link `" + printable(to_name) + "`");
    if (owner_ && ::fchownat(to, to_name.c_str(), owner_->uid, owner_->gid, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno(errno, "owner of `" + printable(to_name) + "`");
    ++progress_.files;
    return {};
  }

  Result<> copy_directory(int from, const std::string& from_name, int to, const std::string& to_name) {
    auto source = open_directory(from, from_name);
    if (!source) return fail(source.error());
    const bool made = ::mkdirat(to, to_name.c_str(), 0700) == 0;
    if (!made && errno != EEXIST) return fail_errno(errno, "make `" + printable(to_name) + "`");
    auto target = open_directory(to, to_name);
    if (!target) return fail(target.error());
    auto names = names_in(*source);
    if (!names) return fail(names.error());
    for (const std::string& name : *names)
      if (auto copied = copy(source->get(), name, target->get(), name); !copied)
        return fail(copied.error().within(printable(from_name)));
    struct stat status{};
    if (!made || ::fstat(source->get(), &status) != 0) return {};
    return finish(target->get(), status);
  }

  const std::optional<Owner> owner_;
  const bool recursive_;
  Progress& progress_;
  std::vector<char> buffer_;
};

// A directory and a name in it. A path that is a directory, or ends with `/`, means: in there, under the source's own name.
struct Place {
  UniqueFd directory;
  std::string name;
};

std::string without_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

// `open`: how a path is opened on this side.
template <class Open>
Result<Place> place_of(const std::string& path, const std::string& name_there, const Open& open) {
  if (auto directory = open(path, O_RDONLY | O_DIRECTORY)) {
    if (!name_there.empty()) return Place{std::move(*directory), name_there};
    return Place{std::move(*directory), "."};
  } else if (path.ends_with('/')) {
    return fail(directory.error());
  }
  const std::size_t slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  auto directory = open(parent, O_RDONLY | O_DIRECTORY);
  if (!directory) return fail(directory.error());
  return Place{std::move(*directory), path.substr(slash + 1)};
}

Result<Place> source_of(const std::string& path, const auto& open) {
  const std::string plain = without_slashes(path);
  const std::size_t slash = plain.rfind('/');
  const std::string name = plain.substr(slash + 1);
  if (name.empty() || name == "." || name == "..") {
    auto directory = open(plain, O_RDONLY | O_DIRECTORY);
    if (!directory) return fail(directory.error());
    return Place{std::move(*directory), "."};
  }
  auto directory = open(slash == std::string::npos ? "." : plain.substr(0, slash + 1), O_RDONLY | O_DIRECTORY);
  if (!directory) return fail(directory.error());
  return Place{std::move(*directory), name};
}

Result<UniqueFd> open_here(const std::string& path, int flags) {
  UniqueFd file(::open(path.c_str(), flags | O_CLOEXEC));
  if (!file) return fail_errno(errno, "`" + path + "`");
  return file;
}

void print_done(const FsCopyOptions& options, const Progress& progress) {
  if (options.json) {
    fmt::print("{}\n", Json{{"files", progress.files}, {"bytes", progress.bytes()}, {"left_out", progress.skipped}}.dump());
  } else {
    fmt::print("{} files, {} bytes copied\n", progress.files, progress.bytes());
  }
}

}  // namespace

Result<int> fs_cp(const FsCopyOptions& options) {
  const bool in = names_file_system(options.to);
  if (in == names_file_system(options.from))
    return fail(Code::invalid_argument, "one of the two is to be on a file system (FILE_SYSTEM:/PATH), and the other one here");
  auto remote = parse_remote(in ? options.to : options.from);
  if (!remote) return fail(remote.error());
  auto owner = parse_owner(options.owner);
  if (!owner) return fail(owner.error());
  if (!in && !options.owner.empty()) return fail(Code::invalid_argument, "--owner is for what is made on a file system");
  auto taken = take_mount(options.state_directory, "look", {{"file_system", remote->file_system}});
  if (!taken) return fail(taken.error());
  (void)report_taken(options.state_directory, *taken);

  const auto open_there = [&](const std::string& path, int flags) { return open_below(taken->mount, path, flags); };
  auto source = in ? source_of(options.from, open_here) : source_of(remote->path, open_there);
  if (!source) return fail(source.error());
  const std::string own_name = source->name == "." ? std::string() : source->name;
  auto target = in ? place_of(remote->path, own_name, open_there) : place_of(options.to, own_name, open_here);
  if (!target) return fail(target.error());

  Progress progress(!options.json);
  Copier copier(in ? std::optional<Owner>(*owner) : std::nullopt, options.recursive, progress);
  auto copied = copier.copy(source->directory.get(), source->name, target->directory.get(), target->name);
  if (!copied) return fail(copied.error());
  print_done(options, progress);
  return progress.skipped == 0 ? 0 : 1;
}

}  // namespace berth::cli
