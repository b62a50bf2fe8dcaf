#include "broker/runtime/files.hpp"

#include <fcntl.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "broker/base/unique_fd.hpp"

namespace berth::runtime {
namespace {

Result<> write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "write `" + path + "`");
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

// Empties the directory open at `fd`, staying on `device`.
Result<> remove_entries(UniqueFd fd, dev_t device, const std::string& path) {
  DIR* directory = ::fdopendir(fd.get());
  if (directory == nullptr) return fail_errno(errno, "read `" + path + "`");
  const int own = fd.release();  // closedir closes it
  Result<> result;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (::unlinkat(own, name.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (::unlinkat(own, name.c_str(), AT_REMOVEDIR) == 0) continue;
    if (errno == EBUSY) {  // a mount, perhaps of our own share: opening it would ask this very process
      result = fail(Code::failed_precondition, "`{}/{}` is a mount", path, name);
      continue;
    }
    UniqueFd child(::openat(own, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat info {};
    if (!child || ::fstat(child.get(), &info) != 0) {
      result = fail_errno(errno, "remove `" + path + "/" + name + "`");
      continue;
    }
    if (info.st_dev != device) {
      result = fail(Code::failed_precondition, "`{}/{}` is a mount", path, name);
      continue;
    }
    if (auto emptied = remove_entries(std::move(child), device, path + "/" + name); !emptied) result = emptied;
    if (::unlinkat(own, name.c_str(), AT_REMOVEDIR) != 0) result = fail_errno(errno, "remove `" + path + "/" + name + "`");
  }
  ::closedir(directory);
  return result;
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "open `" + path + "`");
  std::string text;
  char buffer[8192];
  while (text.size() < limit) {
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "read `" + path + "`");
    if (n == 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
  }
  if (text.size() > limit) text.resize(limit);
  return text;
}

Result<> write_file(const std::string& path, std::string_view text, mode_t mode) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd) return fail_errno(errno, "create `" + path + "`");
  return write_all(fd.get(), text, path);
}

Result<> replace_file(const std::string& path, std::string_view text, mode_t mode) {
  const std::string fresh = path + ".new";
  {
    UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (!fd) return fail_errno(errno, "create `" + fresh + "`");
    if (auto written = write_all(fd.get(), text, fresh); !written) return written;
    if (::fsync(fd.get()) != 0) return fail_errno(errno, "fsync `" + fresh + "`");
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno(errno, "rename `" + fresh + "`");
  return {};
}

Result<> write_control(const std::string& path, std::string_view text) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "open `" + path + "`");
  if (::write(fd.get(), text.data(), text.size()) < 0) return fail_errno(errno, "write `" + std::string(text) + "` to `" + path + "`");
  return {};
}

Result<> make_directories(const std::string& path, mode_t mode) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (!part.empty() && ::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) return fail_errno(errno, "make directory `" + part + "`");
    if (end == std::string::npos) return {};
  }
}

Result<> remove_tree(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return fail_errno(errno, "remove `" + path + "`");
  if (auto emptied = remove_entries(std::move(fd), info.st_dev, path); !emptied) return emptied;
  if (::rmdir(path.c_str()) != 0) return fail_errno(errno, "remove `" + path + "`");
  return {};
}

}  // namespace berth::runtime
