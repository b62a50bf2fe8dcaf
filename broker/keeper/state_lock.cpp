#include "broker/keeper/state_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace berth::keeper {

namespace {

std::string holder_of(int fd) {
  std::array<char, 32> text{};
  const ssize_t length = ::pread(fd, text.data(), text.size(), 0);
  const std::string_view pid{text.data(), length > 0 ? static_cast<std::size_t>(length) : 0};
  return std::string{pid.substr(0, pid.find('\n'))};
}

}  // namespace

Result<UniqueFd> take_state_lock(const std::string& path) {
  UniqueFd fd{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!fd) return fail_errno(errno, fmt::format("open the lock `{}`", path));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno(errno, fmt::format("lock `{}`", path));
    return fail(Code::failed_precondition,
                "the state directory is in use by another Berth (pid {} holds `{}`): stop that one with `berth down`, or name "
                "another directory",
                holder_of(fd.get()), path);
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return fail_errno(errno, fmt::format("write `{}`", path));
  }
  return fd;
}

}  // namespace berth::keeper
