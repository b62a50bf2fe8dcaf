#include "fuse/depth.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include <fmt/format.h>

#include "broker/base/unique_fd.hpp"

namespace berth::fuse {
namespace {

bool same(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

Answer<> climb(int directory, int root) {
  struct stat top{};
  if (fstat(root, &top) != 0) return refuse_last();
  UniqueFd at(openat(directory, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (unsigned level = 0; level < kLevelsMax; ++level) {
    struct stat here{};
    if (!at || fstat(at.get(), &here) != 0) return refuse_last();
    if (same(here, top)) return {};
    UniqueFd above(openat(at.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat up{};
    if (!above || fstat(above.get(), &up) != 0) return refuse_last();
    if (same(here, up)) return {};  // moved out of the root meanwhile
    at = std::move(above);
  }
  return refuse(ENAMETOOLONG);
}

}  // namespace

// A level is two bytes of the path at least, and the kernel writes the path without touching the disk.
Answer<Depth> check_depth(int descriptors, int directory, int root) {
  std::array<char, std::size_t{2} * kLevelsMax> path{};
  std::array<char, 16> name{};
  *fmt::format_to_n(name.begin(), name.size() - 1, "{}", directory).out = '\0';
  const ssize_t size = readlinkat(descriptors, name.data(), path.data(), path.size());
  if (size >= 0 && static_cast<std::size_t>(size) < path.size()) return Depth::not_deep;
  if (auto climbed = climb(directory, root); !climbed) return refuse(climbed.error());
  return Depth::allowed;
}

}  // namespace berth::fuse
