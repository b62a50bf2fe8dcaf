#include "broker/keeper/descriptors.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "broker/base/check.hpp"

namespace berth::keeper {

std::vector<int> open_descriptors() {
  std::vector<int> open;
  DIR* const folder = ::opendir("/proc/self/fd");
  BERTH_CHECK(folder != nullptr);
  while (const dirent* entry = ::readdir(folder)) {
    if (entry->d_name[0] == '.') continue;
    if (const int fd = std::atoi(entry->d_name); fd != ::dirfd(folder)) open.push_back(fd);
  }
  ::closedir(folder);
  std::ranges::sort(open);
  return open;
}

KnownDescriptor know(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return {.fd = fd};
  return {.fd = fd, .device = status.st_dev, .inode = status.st_ino};
}

void close_all_but(const std::vector<int>& kept) {
  unsigned next = STDERR_FILENO + 1;
  for (const int fd : kept) {
    const auto number = static_cast<unsigned>(fd);
    if (number < next) continue;
    if (number > next) ::close_range(next, number - 1, 0);
    next = number + 1;
  }
  ::close_range(next, std::numeric_limits<unsigned>::max(), 0);
}

}  // namespace berth::keeper
