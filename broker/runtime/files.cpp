#include "broker/runtime/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "broker/base/unique_fd.hpp"
#include "broker/runtime/process.hpp"

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

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  // A named pipe in an image would else hold us for ever.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
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
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno(errno, "rename `" + fresh + "`");
  return {};
}

Result<> write_control(const std::string& path, std::string_view text) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "open `" + path + "`");
  if (::write(fd.get(), text.data(), text.size()) < 0)
    return fail_errno(errno, "write `" + std::string(text) + "` to `" + path + "`");
  return {};
}

Result<> make_directories(const std::string& path, mode_t mode) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (!part.empty() && ::mkdir(part.c_str(), mode) != 0 && errno != EEXIST)
      return fail_errno(errno, "make directory `" + part + "`");
    if (end == std::string::npos) return {};
  }
}

Result<> remove_tree(const std::string& path) {
  // A task may have nested directories deeper than our stack or our descriptors last: rm(1) is made for that.
  auto removed = run_checked({.arguments = {"rm", "--recursive", "--force", "--one-file-system", "--", path}});
  if (!removed) return fail(removed.error());
  return {};
}

}  // namespace berth::runtime
