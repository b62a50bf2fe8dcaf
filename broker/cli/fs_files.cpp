#include "broker/cli/fs_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include <fmt/format.h>

namespace berth::cli {

Result<UniqueFd> open_below(const UniqueFd& mount, const std::string& path, int flags) {
  struct open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  UniqueFd file(static_cast<int>(::syscall(SYS_openat2, mount.get(), path.c_str(), &how, sizeof how)));
  if (!file) return fail_errno(errno, "`" + printable(path) + "`");
  return file;
}

Result<UniqueFd> open_directory(int directory, const std::string& name) {
  UniqueFd opened(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!opened) return fail_errno(errno, "`" + printable(name) + "`");
  return opened;
}

Result<std::vector<std::string>> names_in(const UniqueFd& directory) {
  // A copy that is at its beginning: fdopendir takes what it gets.
  const int copy = ::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* stream = copy < 0 ? nullptr : ::fdopendir(copy);
  if (stream == nullptr) return fail_errno(errno, "list a directory");
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  const int failed = errno;
  ::closedir(stream);
  if (failed != 0) return fail_errno(failed, "list a directory");
  std::ranges::sort(names);
  return names;
}

std::string link_target(int directory, const std::string& name) {
  char target[PATH_MAX];
  const ssize_t size = ::readlinkat(directory, name.c_str(), target, sizeof target);
  return size < 0 ? std::string() : std::string(target, static_cast<std::size_t>(size));
}

std::string printable(const std::string& name) {
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f)
      text += fmt::format("\\x{:02x}", byte);
    else
      text += c;
  }
  return text;
}

}  // namespace berth::cli
