// Step: one POSIX operation of a random sequence. A sequence is a value: made from a seed, printed, cut shorter, run again.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace berth::parity {

enum class Op {
  open,
  tmpfile,
  close,
  read,
  write,
  pread,
  pwrite,
  seek,
  ftruncate,
  truncate,
  allocate,
  copy_range,
  sync,
  map_read,
  map_write,
  list,
  list_from,
  stat,
  fstat,
  access,
  readlink,
  mkdir,
  rmdir,
  unlink,
  rename,
  link,
  link_open,
  symlink,
  mknod,
  chmod,
  fchmod,
  chown,
  fchown,
  utimens,
  futimens,
  flock,
  posix_lock,
  description_lock,
  get_lock,
  umask,
  count_
};

// As whom: index into actors().
struct Actor {
  uid_t uid;
  gid_t gid;
  std::vector<gid_t> groups;
};
const std::vector<Actor>& actors();

struct Step {
  Op op = Op::stat;
  unsigned mount = 0;  // which of the two, and with it which of two processes
  unsigned actor = 0;
  std::string path;
  std::string other;  // the second path, or a symbolic link's target
  unsigned slot = 0;  // open file of the process
  unsigned other_slot = 0;
  int flags = 0;
  mode_t mode = 0;
  off_t offset = 0;
  off_t length = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::uint32_t pattern = 0;  // of what is written; times
};

struct Mix {
  // Passthrough: one page cache for all, so that mappings agree and SEEK_DATA finds the same cached pages of what is
  // allocated and not written.
  bool one_cache = true;
  // Behind an access point, where the kernel knows another identity than the daemon: no uid 0, no paths that end in `/.`
  // (nobody asks whether the directory may be searched), no FIFOs (the kernel opens them itself), no O_NOATIME (the kernel checks
  // the caller's own uid).
  bool access_point = false;
};

inline constexpr unsigned kSlots = 6;

std::vector<Step> make_steps(std::uint64_t seed, std::size_t count, const Mix& mix);
std::string describe(const Step& step);

}  // namespace berth::parity
