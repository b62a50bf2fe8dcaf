#include "broker/docker/plugin_socket.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "broker/http/socket.hpp"

namespace berth::docker {
namespace {

// 0700 up to the last, as dockerd makes /run/docker; existing ones keep their mode.
Result<> make_directory(const std::filesystem::path& directory) {
  if (::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
  if (errno != ENOENT || !directory.has_parent_path()) return fail_errno(errno, "make `" + directory.string() + "`");
  if (auto above = make_directory(directory.parent_path()); !above) return above;
  if (::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return fail_errno(errno, "make `" + directory.string() + "`");
}

}  // namespace

PluginSocket::PluginSocket(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {
  struct stat status{};
  if (::stat(path_.c_str(), &status) != 0) return;
  device_ = status.st_dev;
  inode_ = status.st_ino;
}

// Docker waits half a minute for a plugin whose file is there and that nobody serves.
PluginSocket::~PluginSocket() {
  struct stat status{};
  if (!fd_ || ::stat(path_.c_str(), &status) != 0) return;
  if (status.st_dev == device_ && status.st_ino == inode_) ::unlink(path_.c_str());
}

Result<PluginSocket> PluginSocket::open(const std::string& path) {
  const std::filesystem::path directory = std::filesystem::path(path).parent_path();
  if (auto made = make_directory(directory); !made) return fail(made.error());
  // Of two daemons that find the same dead file, one replaces it and the other finds it living.
  const UniqueFd lock(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock) ::flock(lock.get(), LOCK_EX);
  auto socket = http::listen_unix_socket(path, 0600);
  if (socket) return PluginSocket(std::move(*socket), path);
  if (socket.error().errno_value != EADDRINUSE) return fail(socket.error());
  return fail(
      Code::failed_precondition,
      "another program serves the volume plugin at {}: give this one a socket of its own by --docker-plugin PATH, or none "
      "by --docker-plugin off",
      path);
}

PluginSocket PluginSocket::adopt(int fd, const std::string& path) { return {UniqueFd(fd), path}; }

}  // namespace berth::docker
