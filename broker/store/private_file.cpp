#include "broker/store/private_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "broker/base/unique_fd.hpp"

namespace berth::store {

namespace {

constexpr std::size_t kBytesMax = 1 << 20;

Result<> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno(errno, "write");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(fd) != 0) return fail_errno(errno, "sync");
  return {};
}

Result<> sync_folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path{path}.parent_path().string();
  const UniqueFd fd{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!fd || ::fsync(fd.get()) != 0) return fail_errno(errno, fmt::format("sync `{}`", folder));
  return {};
}

}  // namespace

Result<> write_private_file(const std::string& path, std::string_view bytes) {
  const std::string fresh = path + ".new";
  static_cast<void>(::unlink(fresh.c_str()));  // what a killed writer left
  {
    const UniqueFd fd{::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!fd) return fail_errno(errno, fmt::format("make `{}`", fresh));
    if (auto written = write_all(fd.get(), bytes); !written) return fail(written.error().within(fmt::format("`{}`", fresh)));
  }
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno(errno, fmt::format("rename to `{}`", path));
  return sync_folder_of(path);
}

Result<std::string> read_file(const std::string& path) {
  const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) return fail_errno(errno, fmt::format("open `{}`", path));
  std::string bytes(kBytesMax, '\0');
  std::size_t length = 0;
  while (length < bytes.size()) {
    const ssize_t got = ::read(fd.get(), bytes.data() + length, bytes.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, fmt::format("read `{}`", path));
    if (got == 0) break;
    length += static_cast<std::size_t>(got);
  }
  bytes.resize(length);
  return bytes;
}

}  // namespace berth::store
