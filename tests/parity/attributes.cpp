#include "tests/parity/attributes.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <utility>
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
      if (name == "." || name == ".." || is_removed_on_nfs(name)) continue;
      one(path + "/" + name, type);
    }
  }

  void one(const std::string& path, int listed_type) {
    struct stat attributes{};
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
  // A file's sticky bit means nothing, and behind an access point goes with the suid bit: the kernel does not know of it.
  mode_t mode = a.st_mode;
  if (S_ISREG(mode)) mode &= ~static_cast<mode_t>(S_ISVTX);
  return fmt::format("mode={:o} links={} owner={}:{} size={} blocks={} block={} atime={} mtime={}", mode, a.st_nlink, a.st_uid,
                     a.st_gid, a.st_size, a.st_blocks, a.st_blksize, access_time ? text_of(a.st_atim) : "-", text_of(a.st_mtim));
}

std::string ChangedTimes::look(const std::string& path) {
  struct stat now{};
  if (lstat(path.c_str(), &now) != 0) return before_.erase(path), "";
  const auto [at, fresh] = before_.try_emplace(path, now);
  const struct stat before = std::exchange(at->second, now);
  if (fresh || before.st_ino != now.st_ino) return "";
  const auto differ = [](const timespec& a, const timespec& b) { return a.tv_sec != b.tv_sec || a.tv_nsec != b.tv_nsec; };
  return fmt::format("{}{}", differ(before.st_mtim, now.st_mtim) ? "m" : "", differ(before.st_ctim, now.st_ctim) ? "c" : "");
}

bool fine_clock(const std::string& directory) {
  const std::string path = directory + "/clock";
  const UniqueFd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ChangedTimes times;
  times.look(path);
  bool fine = true;
  for (int i = 0; i < 50; ++i) fine = fchmod(file.get(), 0600) == 0 && times.look(path) == "c" && fine;
  unlink(path.c_str());
  return fine;
}

std::string snapshot(const std::string& root, bool access_times) { return Walk(root, access_times).take(); }

}  // namespace berth::parity
