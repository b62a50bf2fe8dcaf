#include "fuse/revocation.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>

#include "fuse/wire.hpp"

namespace berth::fuse {
namespace {

// <linux/fuse.h>, which Debian's kernel headers have in too old a version.
enum Opcode : std::uint32_t {
  kForget = 2,
  kGetAttributes = 3,
  kRelease = 18,
  kFlush = 25,
  kInit = 26,
  kOpenDirectory = 27,
  kReleaseDirectory = 29,
  kInterrupt = 36,
  kDestroy = 38,
  kNotifyReply = 41,
  kBatchForget = 42,
};

constexpr std::size_t kOpenReplyBytes = 16;         // fuse_open_out
constexpr std::size_t kAttributesReplyBytes = 104;  // fuse_attr_out
static_assert(kAttributesReplyBytes <= Revocation::Reply::kBytesMax);

bool lets_go(std::uint32_t opcode) {
  constexpr std::array<std::uint32_t, 9> kAlways{kForget,    kRelease, kFlush,       kInit,       kReleaseDirectory,
                                                 kInterrupt, kDestroy, kNotifyReply, kBatchForget};
  return std::ranges::find(kAlways, opcode) != kAlways.end();
}

struct Errand {
  int mount = -1;
  const std::vector<Revocation::Inode>* inodes = nullptr;
  std::atomic<pid_t>* helper = nullptr;
  int error = 0;
};

// The kernel's handle of a FUSE inode (FILEID_INO64_GEN).
struct InodeHandle {
  unsigned bytes = 12;
  int type = 0x81;
  std::array<std::uint32_t, 3> words{};
};

// Runs as a process of its own that shares our memory (as posix_spawn's does before exec): system calls only. The daemon may
// be killed meanwhile and must not wait for a mount that it serves itself.
int run_errand(void* argument) {
  Errand& errand = *static_cast<Errand*>(argument);
  *errand.helper = getpid();
  constexpr int kMount = 3;
  if (errand.mount != kMount && dup2(errand.mount, kMount) < 0) return errand.error = errno, 1;
  close_range(kMount + 1, UINT_MAX, 0);  // else devices that the daemon closes would stay open here
  const int root = openat(kMount, ".", O_RDONLY | O_DIRECTORY);
  if (root < 0) return errand.error = errno, 1;
  for (const auto& [ino, revision] : *errand.inodes) {
    for (std::uint32_t known = 0; known < revision; ++known) {
      InodeHandle handle;
      handle.words = {static_cast<std::uint32_t>(ino >> 32U), static_cast<std::uint32_t>(ino), known};
      const int file = open_by_handle_at(root, reinterpret_cast<struct file_handle*>(&handle), O_PATH);
      if (file < 0) {
        if (errno != ESTALE) errand.error = errno;  // ESTALE: not known by this generation, or given up already
        continue;
      }
      struct statx ignored{};
      if (statx(file, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_TYPE, &ignored) == 0) errand.error = EAGAIN;
      close(file);
    }
  }
  return 0;
}

}  // namespace

bool Revocation::given_up(Ino ino) {
  const std::scoped_lock lock(mutex_);
  return std::ranges::binary_search(inodes_, ino);
}

std::optional<Revocation::Reply> Revocation::answer(std::span<const std::byte> request) {
  if (request.size() < sizeof(RequestHead)) return std::nullopt;
  const auto head = read_as<RequestHead>(request);
  const pid_t helper = helper_;
  if (helper != 0 && head.caller[2] == static_cast<std::uint32_t>(helper)) {
    if (head.opcode == kOpenDirectory) return Reply{.zeroes = kOpenReplyBytes};
    if (head.opcode == kGetAttributes && given_up(head.nodeid)) return Reply{.zeroes = kAttributesReplyBytes};
    return std::nullopt;
  }
  if (grant_.rights().mount || lets_go(head.opcode)) return std::nullopt;
  return Reply{.error = EACCES};
}

Result<> Revocation::give_up(int mount, const std::vector<Inode>& inodes) {
  const std::scoped_lock one(one_helper_);
  {
    const std::scoped_lock lock(mutex_);
    for (const Inode& inode : inodes) inodes_.push_back(inode.ino);
    std::ranges::sort(inodes_);
  }
  Errand errand{.mount = mount, .inodes = &inodes, .helper = &helper_};
  std::vector<std::byte> stack(std::size_t{64} << 10U);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  const int pid = clone(run_errand, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK | SIGCHLD, &errand);
  const int cloned = errno;
  helper_ = 0;  // it has ended, and its number is not another's before waitpid
  if (pid > 0)
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  {
    const std::scoped_lock lock(mutex_);
    inodes_.clear();
  }
  if (pid < 0) return fail_errno(cloned, "starting a helper");
  if (errand.error != 0) return fail_errno(errand.error, "taking open files back");
  return {};
}

}  // namespace berth::fuse
