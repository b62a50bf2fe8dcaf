#include "tests/parity/attributes.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "broker/base/unique_fd.hpp"

namespace berth::parity {
namespace {

// The steps set times before 2001 only.
std::string text_of(const timespec& time) {
  if (time.tv_sec > 1'000'000'000) return "clock";
  return fmt::format("{}.{:09}", static_cast<long>(time.tv_sec), static_cast<long>(time.tv_nsec));
}

std::string digest_of_file(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOATIME));
  if (!file) return fmt::format("unreadable {}", errno);
  std::string text;
  std::array<char, 65536> buffer{};
  for (ssize_t size = 0; (size = read(file.get(), buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return fmt::format("{}/{:x}", text.size(), std::hash<std::string>{}(text));
}

class Walk {
 public:
  Walk(const std::string& root, bool access_times) : root_(root), access_times_(access_times) { directory(""); }
  std::string take() { return std::move(text_); }

 private:
  void directory(const std::string& path) {
    std::vector<std::pair<std::string, int>> names;
    DIR* stream = opendir((root_ + path).c_str());
    if (stream == nullptr) {
      text_ += fmt::format("{} can't be listed: {}\n", path, errno);
      return;
    }
    while (const dirent* entry = readdir(stream)) names.emplace_back(entry->d_name, entry->d_type);
    closedir(stream);
    std::ranges::sort(names);
    for (const auto& [name, type] : names) {
      if (name == "." || name == "..") continue;
      one(path + "/" + name, type);
    }
  }

  void one(const std::string& path, int listed_type) {
    struct stat attributes {};
    const std::string full = root_ + path;
    if (lstat(full.c_str(), &attributes) != 0) {
      text_ += fmt::format("{} has no attributes: {}\n", path, errno);
      return;
    }
    const auto inode = inodes_.try_emplace(attributes.st_ino, inodes_.size()).first->second;
    text_ += fmt::format("{} type={} inode#{} {}", path, listed_type, inode, parity::text_of(attributes, access_times_));
    if (S_ISREG(attributes.st_mode)) text_ += " content=" + digest_of_file(full);
    if (S_ISLNK(attributes.st_mode)) {
      std::array<char, 4097> target{};
      text_ +=
          fmt::format(" target={}/{:x}", readlink(full.c_str(), target.data(), 4096), std::hash<std::string>{}(target.data()));
    }
    text_ += "\n";
    if (S_ISDIR(attributes.st_mode)) directory(path);
  }

  const std::string root_;
  const bool access_times_;
  std::string text_;
  std::map<ino_t, std::size_t> inodes_;
};

}  // namespace

std::string text_of(const struct stat& a, bool access_time) {
  // A write that must take the sgid bit of a file which its group may not execute (it gives nobody anything): the kernel does
  // not tell FUSE of it.
  const bool idle_sgid = S_ISREG(a.st_mode) && (a.st_mode & S_IXGRP) == 0;
  mode_t mode = idle_sgid ? a.st_mode & ~static_cast<mode_t>(S_ISGID) : a.st_mode;
  // Nor, behind an access point, of a file's sticky bit, which means nothing: it goes with the suid bit.
  if (S_ISREG(mode)) mode &= ~static_cast<mode_t>(S_ISVTX);
  return fmt::format("mode={:o} links={} owner={}:{} size={} blocks={} block={} atime={} mtime={}", mode, a.st_nlink, a.st_uid,
                     a.st_gid, a.st_size, a.st_blocks, a.st_blksize, access_time ? text_of(a.st_atim) : "-", text_of(a.st_mtim));
}

std::string snapshot(const std::string& root, bool access_times) { return Walk(root, access_times).take(); }

}  // namespace berth::parity
