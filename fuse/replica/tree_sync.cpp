#include "fuse/replica/tree_sync.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <map>
#include <string_view>
#include <utility>

#include "fuse/replica/copy_data.hpp"
#include "fuse/replica/places.hpp"

namespace berth::fuse::replica {
namespace {

// Change times come from a clock that ticks coarsely, on a server perhaps with a clock of its own.
constexpr std::chrono::seconds kClockSlack{5};
constexpr std::size_t kProblemsTold = 5;

TimePoint time_of(const timespec& time) {
  return TimePoint{std::chrono::duration_cast<TimePoint::duration>(std::chrono::seconds(time.tv_sec) +
                                                                   std::chrono::nanoseconds(time.tv_nsec))};
}

// A file system may keep times less finely than it is told them.
bool is_time_of(const timespec& copy, const timespec& wanted) {
  if (copy.tv_sec != wanted.tv_sec) return false;
  return copy.tv_nsec == wanted.tv_nsec || copy.tv_nsec == wanted.tv_nsec / 100 * 100 ||
         copy.tv_nsec == wanted.tv_nsec / 1000 * 1000 || copy.tv_nsec == 0;
}

bool same_type(const struct stat& a, const struct stat& b) { return (a.st_mode & S_IFMT) == (b.st_mode & S_IFMT); }

// Of an Error: the source's entry went or was replaced between two looks. No problem: the next pass sees what it is then.
constexpr int kChanged = -1;
bool is_change(int error) { return error == ENOENT || error == ESTALE || error == ELOOP || error == ENOTDIR; }
bool is_change(const Error& error) { return error.errno_value == kChanged; }

std::unexpected<Error> fail_source(int error, std::string_view what) {
  if (is_change(error)) return fail(Error{Code::unavailable, "changed meanwhile", kChanged});
  return fail_errno(error, what);
}

Result<std::string> read_link(int directory, const std::string& name) {
  std::array<char, PATH_MAX> target{};
  const ssize_t size = ::readlinkat(directory, name.c_str(), target.data(), target.size());
  if (size < 0) return fail_source(errno == EINVAL ? ESTALE : errno, "read the link");
  return std::string(target.data(), static_cast<std::size_t>(size));
}

// Through the descriptor's name: what it is open on, whatever is at the path by now.
std::string proc_name(const UniqueFd& file) { return "/proc/self/fd/" + std::to_string(file.get()); }

// One directory of the source and its copy.
struct Pair {
  std::string path;  // from the roots
  UniqueFd source, destination;
  bool compare_all = false;  // change times say nothing here
};

// A file with several names: where its first name's copy is.
struct Twin {
  std::string path;
  ino_t copy = 0;
};

class Pass {
 public:
  Pass(const Sync& sync, Progress& progress) : sync_(sync), progress_(progress) {}

  Result<Report> run() {
    if (auto opened = open(); !opened) return fail(opened.error());
    pending_.emplace_back();
    while (!pending_.empty() && goes_on()) {
      const auto path = std::move(pending_.back());
      pending_.pop_back();
      sync_directory(path);
    }
    if (fatal_) return fail(*fatal_);
    report_.stopped = progress_.stop;
    // What is said to be replicated is on disk.
    if (report_.complete() && ::syncfs(destination_.get()) != 0) return fail_errno(errno, "sync `" + sync_.destination + "`");
    staging_.close();
    return std::move(report_);
  }

 private:
  bool goes_on() const { return !fatal_ && !progress_.stop; }

  Result<> open() {
    source_.reset(::open(sync_.source.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!source_) return fail_errno(errno, "open `" + sync_.source + "`");
    destination_.reset(::open(sync_.destination.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!destination_) return fail_errno(errno, "open `" + sync_.destination + "`");
    struct stat root{};
    if (::fstat(source_.get(), &root) != 0) return fail_errno(errno, "look at `" + sync_.source + "`");
    const auto last = Stamp::read(destination_.get());
    if (sync_.since && last && *last != root.st_ino)
      return fail(Code::failed_precondition,
                  "`{}` is another directory than at the last pass: is its file system mounted? If it was moved here for good, "
                  "delete the replication and make it anew",
                  sync_.source);
    auto staging = Staging::open(sync_.staging);
    if (!staging) return fail(staging.error());
    staging_ = std::move(*staging);
    return {};
  }

  void note(const std::string& path, const Error& error) {
    ++report_.problems;
    if (report_.first_problems.size() < kProblemsTold) report_.first_problems.push_back("`" + path + "`: " + error.message);
    // Every further file would meet the same.
    const int kind = error.errno_value;
    if (kind == ENOSPC || kind == EDQUOT || kind == EROFS) fatal_ = error.within("`" + path + "`");
  }

  static std::string join(const std::string& path, const std::string& name) { return path.empty() ? name : path + "/" + name; }

  void sync_directory(const std::string& path) {
    Pair pair{.path = path, .source = open_beneath(source_.get(), path, O_RDONLY | O_DIRECTORY | O_NOATIME), .destination = {}};
    if (!pair.source) {
      if (errno == EXDEV)
        note(path, fail(Code::failed_precondition, "another file system is mounted here, which is not replicated").error());
      else if (!is_change(errno))
        note(path, fail_errno(errno, "open").error());
      return;
    }
    pair.destination = open_beneath(destination_.get(), path, O_RDONLY | O_DIRECTORY | O_NOATIME);
    struct stat before{};
    if (!pair.destination || ::fstat(pair.source.get(), &before) != 0) return note(path, fail_errno(errno, "open").error());
    pair.compare_all = !sync_.since || Stamp::read(pair.destination.get()) != before.st_ino;
    const auto problems = report_.problems;
    if (auto done = sync_entries(pair); !done) return note(path, done.error());
    if (auto set = set_directory(pair, before); !set) return note(path, set.error());
    // Last: until then the files below must be compared.
    if (goes_on() && report_.problems == problems && pair.compare_all) Stamp::write(pair.destination.get(), before.st_ino);
  }

  Result<> sync_entries(const Pair& pair) {
    auto names = list_names(pair.source.get());
    if (!names) return fail(names.error());
    const auto there = list_names(pair.destination.get());
    if (!there) return fail(there.error());
    std::sort(names->begin(), names->end());
    // What goes makes room for what comes.
    for (const auto& name : *there) {
      if (!goes_on()) return {};
      if (std::binary_search(names->begin(), names->end(), name)) continue;
      if (auto gone = staging_.take_away(pair.destination.get(), name); !gone) note(join(pair.path, name), gone.error());
      ++progress_.removed;
    }
    for (const auto& name : *names) {
      if (!goes_on()) return {};
      ++progress_.entries;
      if (auto done = sync_entry(pair, name); !done && !is_change(done.error())) note(join(pair.path, name), done.error());
    }
    return {};
  }

  Result<> sync_entry(const Pair& pair, const std::string& name) {
    struct stat wanted{}, there{};
    if (::fstatat(pair.source.get(), name.c_str(), &wanted, AT_SYMLINK_NOFOLLOW) != 0) return fail_source(errno, "look");
    const bool exists = ::fstatat(pair.destination.get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0;
    if (!exists && errno != ENOENT) return fail_errno(errno, "look at the copy");
    if (S_ISDIR(wanted.st_mode)) return enter_directory(pair, name, wanted, exists ? &there : nullptr);
    const bool has_twins = wanted.st_nlink > 1;
    if (has_twins && link_to_twin(pair, name, wanted, exists ? &there : nullptr)) return {};
    if (exists && is_copy(pair, name, wanted, there)) {
      if (auto set = set_attributes(pair.destination.get(), name, wanted, there); !set) return set;
      if (has_twins) twins_[wanted.st_ino] = {join(pair.path, name), there.st_ino};
      return {};
    }
    const auto copy = replace(pair, name, wanted, exists && S_ISDIR(there.st_mode));
    if (!copy) return fail(copy.error());
    if (has_twins && *copy != 0) twins_[wanted.st_ino] = {join(pair.path, name), *copy};
    return {};
  }

  // Its own pass comes later; what it is called and whose it is, now.
  Result<> enter_directory(const Pair& pair, const std::string& name, const struct stat& wanted, const struct stat* there) {
    if (there == nullptr || !S_ISDIR(there->st_mode)) {
      if (auto gone = staging_.take_away(pair.destination.get(), name); !gone) return gone;
      const auto made = staging_.fresh_name();
      if (::mkdirat(staging_.directory(), made.c_str(), 0700) != 0) return fail_errno(errno, "make the directory");
      const UniqueFd directory(::openat(staging_.directory(), made.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!directory || ::fchown(directory.get(), wanted.st_uid, wanted.st_gid) != 0 ||
          ::fchmod(directory.get(), wanted.st_mode & 07777U) != 0)
        return fail_errno(errno, "set the directory's owner and mode");
      if (auto placed = place(made, pair, name); !placed) return placed;
    }
    pending_.push_back(join(pair.path, name));
    return {};
  }

  // Whether `there` is the copy, but for what set_attributes() sets.
  bool is_copy(const Pair& pair, const std::string& name, const struct stat& wanted, const struct stat& there) {
    if (!same_type(wanted, there) || !keeps_its_names(wanted, there)) return false;
    if (S_ISREG(wanted.st_mode)) {
      if (wanted.st_size != there.st_size || !is_time_of(there.st_mtim, wanted.st_mtim)) return false;
      const bool settled = !pair.compare_all && time_of(wanted.st_ctim) < *sync_.since - kClockSlack;
      return settled || holds_the_same(pair, name, wanted.st_size);
    }
    if (S_ISLNK(wanted.st_mode)) {
      const auto target = read_link(pair.source.get(), name), copied = read_link(pair.destination.get(), name);
      return target && copied && *target == *copied;
    }
    return wanted.st_rdev == there.st_rdev;
  }

  // Names of one file in the destination must be names of one file in the source.
  bool keeps_its_names(const struct stat& wanted, const struct stat& there) {
    if (there.st_nlink == 1) return true;
    if (wanted.st_nlink == 1) return false;
    return claimed_.emplace(there.st_ino, wanted.st_ino).first->second == wanted.st_ino;
  }

  bool holds_the_same(const Pair& pair, const std::string& name, off_t size) {
    const UniqueFd source = open_source(pair, name);
    const UniqueFd copy = open_beneath(pair.destination.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME);
    return source && copy && same_data(source.get(), copy.get(), size, progress_);
  }

  static UniqueFd open_source(const Pair& pair, const std::string& name) {
    UniqueFd file = open_beneath(pair.source.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME);
    // Only pages that are written back tell of the next store into a mapping, by the change time. Where it fails nothing is lost
    // but that.
    if (file)
      ::sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    return file;
  }

  // False where the first name is not there yet, or any more.
  bool link_to_twin(const Pair& pair, const std::string& name, const struct stat& wanted, const struct stat* there) {
    const auto twin = twins_.find(wanted.st_ino);
    if (twin == twins_.end()) return false;
    if (there != nullptr && there->st_ino == twin->second.copy) return true;
    const UniqueFd first = open_beneath(destination_.get(), twin->second.path, O_PATH | O_NOFOLLOW);
    struct stat copy{};
    if (!first || ::fstat(first.get(), &copy) != 0 || copy.st_ino != twin->second.copy) return false;
    const auto made = staging_.fresh_name();
    // EMLINK where the destination's file system allows fewer names: a copy of its own is the next best.
    if (::linkat(first.get(), "", staging_.directory(), made.c_str(), AT_EMPTY_PATH) != 0) return false;
    if (there != nullptr && S_ISDIR(there->st_mode) && !staging_.take_away(pair.destination.get(), name)) return false;
    return place(made, pair, name).has_value();
  }

  Result<> place(const std::string& made, const Pair& pair, const std::string& name) {
    if (::renameat(staging_.directory(), made.c_str(), pair.destination.get(), name.c_str()) != 0)
      return fail_errno(errno, "put the copy in its place");
    return {};
  }

  // Makes the copy in staging and renames it; its inode, 0 where it was stopped.
  Result<ino_t> replace(const Pair& pair, const std::string& name, const struct stat& wanted, bool over_directory) {
    const auto made = staging_.fresh_name();
    auto built = S_ISREG(wanted.st_mode)   ? build_file(pair, name, made)
                 : S_ISLNK(wanted.st_mode) ? build_link(pair, name, wanted, made)
                                           : build_special(wanted, made);
    if (built && *built != 0 && over_directory) {
      if (auto gone = staging_.take_away(pair.destination.get(), name); !gone) built = fail(gone.error());
    }
    if (built && *built != 0) {
      if (auto placed = place(made, pair, name); !placed) built = fail(placed.error());
    }
    if (!built || *built == 0) ::unlinkat(staging_.directory(), made.c_str(), 0);
    return built;
  }

  Result<ino_t> build_file(const Pair& pair, const std::string& name, const std::string& made) {
    const UniqueFd source = open_source(pair, name);
    struct stat wanted{}, copy{};
    // Before the bytes are read: what is written later makes it younger than the copy.
    if (!source || ::fstat(source.get(), &wanted) != 0) return fail_source(errno, "open");
    if (!S_ISREG(wanted.st_mode)) return fail_source(ESTALE, "open");
    const UniqueFd target(::openat(staging_.directory(), made.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!target) return fail_errno(errno, "make the copy");
    if (auto copied = copy_data(source.get(), target.get(), wanted.st_size, progress_); !copied) return fail(copied.error());
    if (progress_.stop) return ino_t{0};
    const std::array<timespec, 2> times{wanted.st_atim, wanted.st_mtim};
    // The owner first: that takes suid and sgid away.
    if (::fchown(target.get(), wanted.st_uid, wanted.st_gid) != 0 || ::fchmod(target.get(), wanted.st_mode & 07777U) != 0 ||
        ::futimens(target.get(), times.data()) != 0 || ::fstat(target.get(), &copy) != 0)
      return fail_errno(errno, "set owner, mode and times");
    ++progress_.files;
    return copy.st_ino;
  }

  Result<ino_t> build_link(const Pair& pair, const std::string& name, const struct stat& wanted, const std::string& made) {
    const auto target = read_link(pair.source.get(), name);
    if (!target) return fail(target.error());
    if (::symlinkat(target->c_str(), staging_.directory(), made.c_str()) != 0) return fail_errno(errno, "make the link");
    return finish_special(wanted, made);
  }

  Result<ino_t> build_special(const struct stat& wanted, const std::string& made) {
    if (::mknodat(staging_.directory(), made.c_str(), wanted.st_mode & (S_IFMT | 0700U), wanted.st_rdev) != 0)
      return fail_errno(errno, "make the special file");
    return finish_special(wanted, made);
  }

  Result<ino_t> finish_special(const struct stat& wanted, const std::string& made) {
    struct stat copy{};
    if (::fstatat(staging_.directory(), made.c_str(), &copy, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno(errno, "look");
    if (auto set = set_attributes(staging_.directory(), made, wanted, copy); !set) return fail(set.error());
    return copy.st_ino;
  }

  // Owner, mode and modification time, where they differ.
  static Result<> set_attributes(int directory, const std::string& name, const struct stat& wanted, const struct stat& there) {
    const bool owner = wanted.st_uid != there.st_uid || wanted.st_gid != there.st_gid;
    if (owner && ::fchownat(directory, name.c_str(), wanted.st_uid, wanted.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno(errno, "set the owner");
    // A changed owner took suid and sgid away.
    if (!S_ISLNK(wanted.st_mode) && (owner || wanted.st_mode != there.st_mode)) {
      const UniqueFd file(::openat(directory, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
      if (!file || ::chmod(proc_name(file).c_str(), wanted.st_mode & 07777U) != 0) return fail_errno(errno, "set the mode");
    }
    const std::array<timespec, 2> times{wanted.st_atim, wanted.st_mtim};
    if (!is_time_of(there.st_mtim, wanted.st_mtim) &&
        ::utimensat(directory, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno(errno, "set the times");
    return {};
  }

  Result<> set_directory(const Pair& pair, const struct stat& wanted) {
    struct stat there{};
    if (::fstat(pair.destination.get(), &there) != 0) return fail_errno(errno, "look at the copy");
    if ((wanted.st_uid != there.st_uid || wanted.st_gid != there.st_gid) &&
        ::fchown(pair.destination.get(), wanted.st_uid, wanted.st_gid) != 0)
      return fail_errno(errno, "set the owner");
    if (wanted.st_mode != there.st_mode && ::fchmod(pair.destination.get(), wanted.st_mode & 07777U) != 0)
      return fail_errno(errno, "set the mode");
    const std::array<timespec, 2> times{wanted.st_atim, wanted.st_mtim};
    if (!is_time_of(there.st_mtim, wanted.st_mtim) && ::futimens(pair.destination.get(), times.data()) != 0)
      return fail_errno(errno, "set the times");
    return {};
  }

  const Sync& sync_;
  Progress& progress_;
  UniqueFd source_, destination_;
  Staging staging_;
  std::vector<std::string> pending_;  // directories, deepest last
  std::map<ino_t, Twin> twins_;       // by the source's inode
  std::map<ino_t, ino_t> claimed_;    // of copies with several names: whose they are
  Report report_;
  std::optional<Error> fatal_;
};

}  // namespace

Result<Report> sync_tree(const Sync& sync, Progress& progress) { return Pass(sync, progress).run(); }

}  // namespace berth::fuse::replica
