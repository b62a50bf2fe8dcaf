#include "fuse/backing_traits.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "broker/base/unique_fd.hpp"
#include "fuse/backing_kind.hpp"
#include "fuse/file_handle.hpp"
#include "fuse/identity.hpp"

namespace berth::fuse {
namespace {

// Who nobody is, so that what they may do is what is tried.
constexpr uid_t kUser = 61'001;
constexpr gid_t kGroup = 61'002;
constexpr gid_t kOtherGroup = 61'003;

// A directory to try things in, gone with all in it.
class Trial {
 public:
  static Result<Trial> in(const std::string& directory) {
    std::string path = directory + "/.berth-probe-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) return fail_errno(errno, fmt::format("making a directory in `{}`", directory));
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return fail_errno(errno, "opening `" + path + "`");
    return Trial(std::move(path), std::move(fd));
  }
  Trial(Trial&&) = default;
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;
  Trial& operator=(Trial&&) = delete;
  ~Trial() {
    fd_.reset();
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(std::exchange(path_, {}), ignored);
  }

  int fd() const { return fd_.get(); }
  UniqueFd make_file(const char* name, mode_t mode = 0600) const {
    return UniqueFd(openat(fd(), name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  }
  bool owned_by(const char* name, uid_t uid, gid_t gid) const {
    struct stat status{};
    return fstatat(fd(), name, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_uid == uid && status.st_gid == gid;
  }

 private:
  Trial(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string path_;
  UniqueFd fd_;
};

// The mount's, not the superblock's: only it tells "fuse.glusterfs" from "fuse.sshfs".
std::string type_of(int fd) {
  struct statx status{};
  if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) != 0 || (status.stx_mask & STATX_MNT_ID) == 0) return "unknown";
  const std::string id = std::to_string(status.stx_mnt_id) + " ";
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    constexpr std::string_view kSeparator = " - ";  // proc(5): the type is the word after it
    const auto at = line.find(kSeparator);
    if (!line.starts_with(id) || at == std::string::npos) continue;
    const auto type = at + kSeparator.size();
    return line.substr(type, line.find(' ', type) - type);
  }
  return "unknown";
}

// `may` as this user; an identity that can't be had is none that may.
template <class Operation>
bool may(const std::vector<gid_t>& groups, Operation&& operation) {
  const ScopedIdentity as({kUser, kGroup, groups, true});
  return as.ok() && operation();
}

bool makes_file_in(int directory, const char* name) {
  return static_cast<bool>(UniqueFd(openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)));
}

// A directory of this group and mode, root's.
UniqueFd make_directory(const Trial& trial, const char* name, mode_t mode, gid_t group = 0) {
  if (mkdirat(trial.fd(), name, mode) != 0 || fchownat(trial.fd(), name, 0, group, 0) != 0) return {};
  return UniqueFd(openat(trial.fd(), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

bool gives_files_away(const Trial& trial) {
  return trial.make_file("given") && fchownat(trial.fd(), "given", kUser, kGroup, 0) == 0 &&
         trial.owned_by("given", kUser, kGroup);
}

bool makes_files_as_others(const Trial& trial) {
  const UniqueFd open_to_all = make_directory(trial, "open", 0777);
  return open_to_all && may({}, [&] { return makes_file_in(open_to_all.get(), "theirs"); }) &&
         trial.owned_by("open/theirs", kUser, kGroup);
}

bool keeps_others_out(const Trial& trial) {
  const UniqueFd closed = make_directory(trial, "closed", 0700);
  return closed && !may({}, [&] { return makes_file_in(closed.get(), "theirs"); });
}

bool names_and_renames(const Trial& trial) {
  return trial.make_file("name") && renameat(trial.fd(), "name", trial.fd(), "other") == 0 &&
         symlinkat("other", trial.fd(), "link") == 0 && mkfifoat(trial.fd(), "fifo", 0600) == 0;
}

// What can't be done without.
struct Need {
  bool (*met)(const Trial&);
  std::string_view otherwise;
};
constexpr std::array kNeeds{
    Need{names_and_renames, "it can't rename, or has no symbolic links or FIFOs"},
    Need{gives_files_away, "files there do not come to belong to whom they are given; an NFS export needs `no_root_squash`"},
    Need{makes_files_as_others,
         "files there do not belong to the user who made them; an NFS export needs `sec=sys` and `no_all_squash`"},
    Need{keeps_others_out, "permissions do not count there; a FUSE file system needs `-o default_permissions,allow_other`"},
};

bool has_handles(const Trial& trial) {
  const UniqueFd file = trial.make_file("handle");
  FileHandle handle;
  const auto kind = BackingKind::of(trial.fd());
  return file && kind && kind->keeps_handles() && describe(file.get(), handle) &&
         open_by_handle(trial.fd(), handle, O_PATH | O_CLOEXEC);
}

bool leaves_opens_to_the_kernel(const Trial& trial) {
  const auto kind = BackingKind::of(trial.fd());
  return kind && !kind->decides_opens();
}

bool removes_open_files(const Trial& trial) {
  const auto kind = BackingKind::of(trial.fd());
  return kind && !kind->renames_held_files();
}

bool reports_all_changes(const Trial& trial) {
  const auto kind = BackingKind::of(trial.fd());
  return kind && kind->reports_all_changes();
}

// Asked without the group first, as the share does, and with it right after.
bool honours_groups(const Trial& trial) {
  const UniqueFd directory = make_directory(trial, "group", 0770, kOtherGroup);
  if (!directory || may({}, [&] { return makes_file_in(directory.get(), "stranger"); })) return false;
  return may({kOtherGroup}, [&] { return makes_file_in(directory.get(), "member"); });
}

bool locks_ranges(const Trial& trial) {
  const UniqueFd file = trial.make_file("ranges");
  const UniqueFd other(openat(trial.fd(), "ranges", O_RDWR | O_CLOEXEC));
  struct flock lock{};
  lock.l_type = F_WRLCK;
  if (!file || !other || fcntl(file.get(), F_OFD_SETLK, &lock) != 0) return false;
  lock.l_pid = 0;
  return fcntl(other.get(), F_OFD_SETLK, &lock) != 0;
}

bool locks_files(const Trial& trial) {
  const UniqueFd file = trial.make_file("flock");
  const UniqueFd other(openat(trial.fd(), "flock", O_RDWR | O_CLOEXEC));
  return file && other && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0 && ::flock(other.get(), LOCK_EX | LOCK_NB) != 0;
}

bool makes_nameless_files(const Trial& trial) {
  return static_cast<bool>(UniqueFd(openat(trial.fd(), ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600)));
}

bool renames_without_replacing(const Trial& trial) {
  return trial.make_file("from") && renameat2(trial.fd(), "from", trial.fd(), "to", RENAME_NOREPLACE) == 0;
}

bool exchanges(const Trial& trial) {
  return trial.make_file("one") && trial.make_file("two") &&
         renameat2(trial.fd(), "one", trial.fd(), "two", RENAME_EXCHANGE) == 0;
}

bool reserves_space(const Trial& trial) {
  const UniqueFd file = trial.make_file("reserved");
  return file && fallocate(file.get(), 0, 0, 4096) == 0;
}

bool reserves_space_behind_the_end(const Trial& trial) {
  const UniqueFd file = trial.make_file("behind");
  return file && fallocate(file.get(), FALLOC_FL_KEEP_SIZE, 0, 4096) == 0;
}

bool punches_holes(const Trial& trial) {
  const UniqueFd file = trial.make_file("punched");
  return file && pwrite(file.get(), "x", 1, 0) == 1 &&
         fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0;
}

bool finds_holes(const Trial& trial) {
  constexpr off_t kFar = off_t{4} << 20;
  const UniqueFd file = trial.make_file("sparse");
  return file && pwrite(file.get(), "x", 1, kFar) == 1 && lseek(file.get(), 0, SEEK_DATA) > 0;
}

bool has_links_enough(const Trial& trial) {
  constexpr int kLinks = 177;  // EFS's limit
  bool linked = static_cast<bool>(trial.make_file("link 1"));
  for (int i = 2; linked && i <= kLinks; ++i)
    linked = linkat(trial.fd(), "link 1", trial.fd(), fmt::format("link {}", i).c_str(), 0) == 0;
  return linked;
}

bool keeps_nanoseconds(const Trial& trial) {
  const UniqueFd file = trial.make_file("times");
  constexpr std::array<struct timespec, 2> kTimes{{{1, 1}, {1, 1}}};
  struct stat status{};
  return file && futimens(file.get(), kTimes.data()) == 0 && fstat(file.get(), &status) == 0 && status.st_mtim.tv_nsec == 1;
}

bool has_attributes(const Trial& trial) { return fsetxattr(trial.fd(), "trusted.berth.probe", "x", 1, 0) == 0; }

struct Want {
  bool (*met)(const Trial&);
  BackingTraits::Lack otherwise;
};
constexpr std::array kWants{
    Want{has_handles, {"file handles", "each file that a mount's kernel knows holds a descriptor of the daemon"}},
    Want{leaves_opens_to_the_kernel, {"passthrough", "reads and writes go through the daemon"}},
    Want{reports_all_changes, {"change notification", "changes made past the share are seen after a second"}},
    Want{honours_groups,
         {"supplementary groups", "what only a supplementary group may do is refused; mount GlusterFS with `-o gid-timeout=0`"}},
    Want{locks_ranges, {"POSIX locks", "fcntl locks fail or do not exclude"}},
    Want{locks_files, {"flock", "flock fails or does not exclude"}},
    Want{makes_nameless_files, {"nameless files", "O_TMPFILE fails"}},
    Want{renames_without_replacing, {"RENAME_NOREPLACE", "renameat2 with it fails"}},
    Want{exchanges, {"RENAME_EXCHANGE", "renameat2 with it fails"}},
    Want{removes_open_files,
         {"removing open files",
          "a file that is removed while it is open stays in its directory as `.nfs...` until it is closed"}},
    Want{reserves_space, {"fallocate", "fallocate fails; posix_fallocate writes zeroes instead"}},
    Want{reserves_space_behind_the_end, {"FALLOC_FL_KEEP_SIZE", "fallocate that keeps the size fails"}},
    Want{punches_holes, {"punching holes", "FALLOC_FL_PUNCH_HOLE fails"}},
    Want{finds_holes, {"finding holes", "SEEK_DATA and SEEK_HOLE take holes for data"}},
    Want{has_links_enough, {"177 hard links", "link fails before EFS's limit"}},
    Want{keeps_nanoseconds, {"nanoseconds", "times are rounded"}},
    Want{has_attributes, {"extended attributes", "a replication from or to it compares all bytes each time"}},
};

Result<BackingTraits> look(const std::string& directory) {
  const auto trial = Trial::in(directory);
  if (!trial) return fail(trial.error());
  BackingTraits traits{.type = type_of(trial->fd()), .lacks = {}};
  for (const Need& need : kNeeds) {
    if (!need.met(*trial))
      return fail(Code::failed_precondition, "no file system can be kept in `{}` ({}): {}", directory, traits.type,
                  need.otherwise);
  }
  for (const Want& want : kWants) {
    if (!want.met(*trial)) traits.lacks.push_back(want.otherwise);
  }
  return traits;
}

}  // namespace

// On a thread like a worker's, as it becomes other users.
Result<BackingTraits> look_at_backing(const std::string& directory) {
  Result<BackingTraits> traits = fail(Code::internal, "not looked at");
  std::jthread([&] {
    prepare_worker_thread();
    traits = look(directory);
  }).join();
  return traits;
}

}  // namespace berth::fuse
