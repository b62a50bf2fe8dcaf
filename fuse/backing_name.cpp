#include "fuse/backing_name.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace berth::fuse {
namespace {

std::string where_is(int fd) {
  std::string path(PATH_MAX, '\0');
  const ssize_t size = readlink(fmt::format("/proc/self/fd/{}", fd).c_str(), path.data(), path.size());
  path.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return path;
}

// Never through a link or into another mount: one of the share's own could be there, which this process must not wait for.
UniqueFd open_below(int root, const std::string& path) {
  struct open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  return UniqueFd(static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how))));
}

}  // namespace

std::optional<BackingName> name_below(int root, int fd) {
  const std::string above = where_is(root) + "/";
  const std::string path = where_is(fd);
  if (above.size() < 2 || !path.starts_with(above)) return std::nullopt;
  const std::string_view inside = std::string_view(path).substr(above.size());
  const auto slash = inside.rfind('/');
  const bool at_root = slash == std::string_view::npos;
  UniqueFd directory = open_below(root, at_root ? "." : std::string(inside.substr(0, slash)));
  if (!directory) return std::nullopt;
  return BackingName{std::move(directory), std::string(at_root ? inside : inside.substr(slash + 1))};
}

}  // namespace berth::fuse
