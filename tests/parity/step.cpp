#include "tests/parity/step.hpp"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <random>

#include <fmt/format.h>

namespace berth::parity {
namespace {

constexpr std::array<const char*, static_cast<std::size_t>(Op::count_)> kNames{"open",       "tmpfile",
                                                                               "close",      "read",
                                                                               "write",      "pread",
                                                                               "pwrite",     "seek",
                                                                               "ftruncate",  "truncate",
                                                                               "fallocate",  "copy_file_range",
                                                                               "fsync",      "mmap_read",
                                                                               "mmap_write", "list",
                                                                               "list_from",  "stat",
                                                                               "fstat",      "access",
                                                                               "readlink",   "mkdir",
                                                                               "rmdir",      "unlink",
                                                                               "rename",     "link",
                                                                               "link_open",  "symlink",
                                                                               "mknod",      "chmod",
                                                                               "fchmod",     "chown",
                                                                               "fchown",     "utimens",
                                                                               "futimens",   "flock",
                                                                               "posix_lock", "description_lock",
                                                                               "get_lock",   "umask"};

// How often each comes, in the order of Op.
constexpr std::array<int, static_cast<std::size_t>(Op::count_)> kWeights{
    16, 2, 3, 4, 6, 3, 5, 4, 3, 3, 4, 3, 1, 3, 3, 2, 3, 3, 3, 2, 2, 6, 3, 5, 7, 4, 2, 3, 2, 5, 2, 4, 2, 4, 2, 3, 3, 4, 3, 1};

class Maker {
 public:
  Maker(std::uint64_t seed, const Mix& mix) : random_(seed), mix_(mix), weights_(kWeights.begin(), kWeights.end()) {
    if (!mix.one_cache) weights_[static_cast<std::size_t>(Op::map_read)] = weights_[static_cast<std::size_t>(Op::map_write)] = 0;
    choose_ = std::discrete_distribution<int>(weights_.begin(), weights_.end());
  }

  Step next() {
    Step step;
    step.op = static_cast<Op>(choose_(random_));
    step.mount = below(2);
    step.actor = !mix_.access_point ? (below(2) == 0 ? 0 : below(static_cast<unsigned>(actors().size())))
                                    : 1 + below(static_cast<unsigned>(actors().size()) - 1);
    step.path = path();
    step.other = step.op == Op::symlink ? target() : path();
    step.slot = below(kSlots);
    step.other_slot = below(kSlots);
    step.mode = mode();
    step.offset = position();
    step.length = below(8) == 0 ? 0 : position();
    constexpr std::array<unsigned, 5> kIds{0, 1001, 1002, 2001, 2002};
    step.uid = below(3) == 0 ? static_cast<uid_t>(-1) : kIds[below(3)];
    step.gid = below(3) == 0 ? static_cast<gid_t>(-1) : kIds[below(5)];
    step.pattern = static_cast<std::uint32_t>(random_());
    step.flags = flags(step.op);
    return step;
  }

 private:
  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
  template <std::size_t N>
  int one_of(const std::array<int, N>& values) {
    return values[below(N)];
  }
  bool rarely() { return below(24) == 0; }

  std::string path() {
    constexpr std::array<const char*, 5> kComponents{"a", "b", "c", "d", "e"};
    std::string text = kComponents[below(5)];
    for (unsigned depth = below(3); depth > 0; --depth) text += std::string("/") + kComponents[below(5)];
    if (rarely()) text += "/";
    if (rarely() && !mix_.access_point) text += "/.";
    if (rarely()) text += below(2) == 0 ? "/" + std::string(255, 'n') : "/" + std::string(256, 'n');
    return text;
  }

  // Relative and never upwards: a link must stay in its tree.
  std::string target() { return rarely() ? std::string(4000, 'x') : path(); }

  mode_t mode() {
    constexpr std::array<mode_t, 10> kModes{0777, 0755, 0644, 0666, 0600, 0700, 0770, 0660, 0444, 0};
    mode_t chosen = kModes[below(10)];
    if (below(5) == 0) chosen |= static_cast<mode_t>(1 + below(7)) << 9U;
    return chosen;
  }

  off_t position() {
    switch (below(6)) {
      case 0: return 0;
      case 1: return 4096 * static_cast<off_t>(below(24));
      case 2: return below(64);
      case 3: return rarely() ? -1 : 4096 * static_cast<off_t>(below(24)) + 1;
      default: return below(100'000);
    }
  }

  int open_flags() {
    int flags = one_of(std::array{O_RDONLY, O_WRONLY, O_RDWR, O_RDWR});
    for (const int flag : {O_CREAT, O_CREAT, O_TRUNC, O_APPEND, O_EXCL, O_NOFOLLOW, O_DIRECTORY, O_SYNC, O_NOATIME, O_PATH}) {
      const bool often = flag == O_CREAT;
      const bool seldom = flag == O_DIRECTORY || flag == O_PATH || flag == O_NOATIME;
      if (below(often ? 3 : seldom ? 16 : 6) == 0) flags |= flag;
    }
    if (mix_.access_point) flags &= ~O_NOATIME;
    // O_CREAT|O_DIRECTORY means different things to different kernels.
    return (flags & O_DIRECTORY) != 0 ? flags & ~O_CREAT : flags;
  }

  int flags(Op op) {
    switch (op) {
      case Op::open: return open_flags();
      case Op::tmpfile: return one_of(std::array{O_RDWR, O_WRONLY, O_RDWR | O_EXCL, O_RDONLY});
      case Op::seek:
        return mix_.one_cache ? one_of(std::array{SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE})
                              : one_of(std::array{SEEK_SET, SEEK_CUR, SEEK_END});
      case Op::allocate:
        return one_of(std::array{0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
                                 FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE});
      case Op::access: return static_cast<int>(below(8));
      case Op::rename: return one_of(std::array{0, 0, 0, static_cast<int>(RENAME_NOREPLACE), static_cast<int>(RENAME_EXCHANGE)});
      case Op::link: return one_of(std::array{0, AT_SYMLINK_FOLLOW});
      case Op::mknod:
        return one_of(
            std::array{S_IFREG, mix_.access_point ? S_IFREG : S_IFIFO, mix_.access_point ? S_IFREG : S_IFSOCK, S_IFDIR});
      case Op::stat:
      case Op::chown:
      case Op::utimens: return one_of(std::array{0, AT_SYMLINK_NOFOLLOW});
      case Op::flock: return one_of(std::array{LOCK_SH, LOCK_EX, LOCK_UN}) | LOCK_NB;
      case Op::posix_lock:
      case Op::description_lock:
      case Op::get_lock: return one_of(std::array{F_RDLCK, F_WRLCK, F_UNLCK});
      case Op::sync: return static_cast<int>(below(2));
      default: return 0;
    }
  }

  std::mt19937_64 random_;
  Mix mix_;
  std::vector<int> weights_;
  std::discrete_distribution<int> choose_;
};

std::string shortened(const std::string& text) { return text.size() > 60 ? text.substr(0, 57) + "..." : text; }

}  // namespace

const std::vector<Actor>& actors() {
  static const std::vector<Actor> all{
      {0, 0, {}}, {1001, 1001, {2001, 2002}}, {1002, 1002, {2002}}, {1001, 2001, {}}, {1003, 1003, {}}};
  return all;
}

std::vector<Step> make_steps(std::uint64_t seed, std::size_t count, const Mix& mix) {
  Maker maker(seed, mix);
  std::vector<Step> steps;
  for (std::size_t i = 0; i < count; ++i) steps.push_back(maker.next());
  return steps;
}

std::string describe(const Step& s) {
  return fmt::format("{} mount={} as={}:{} path={} other={} slot={},{} flags={:#x} mode={:o} offset={} length={} owner={}:{}",
                     kNames[static_cast<std::size_t>(s.op)], s.mount, actors()[s.actor].uid, actors()[s.actor].gid,
                     shortened(s.path), shortened(s.other), s.slot, s.other_slot, s.flags, s.mode, s.offset, s.length,
                     static_cast<int>(s.uid), static_cast<int>(s.gid));
}

}  // namespace berth::parity
