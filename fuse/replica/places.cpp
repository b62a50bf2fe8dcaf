#include "fuse/replica/places.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string_view>
#include <utility>

namespace berth::fuse::replica {
namespace {

constexpr const char* kStamp = "trusted.berth.source";
constexpr std::size_t kStepMax = 4000;  // bytes of a path at once; PATH_MAX is 4096

int open_within(int directory, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  return static_cast<int>(::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how));
}

}  // namespace

UniqueFd open_beneath(int root, const std::string& path, int flags) {
  UniqueFd at;
  std::string_view rest = path;
  while (rest.size() > kStepMax) {
    const auto slash = rest.rfind('/', kStepMax);
    const std::string head(rest.substr(0, slash));
    UniqueFd next(open_within(at ? at.get() : root, head, O_PATH | O_DIRECTORY));
    if (!next) return next;
    at = std::move(next);
    rest.remove_prefix(slash + 1);
  }
  return UniqueFd(open_within(at ? at.get() : root, rest.empty() ? "." : std::string(rest), flags));
}

Result<std::vector<std::string>> list_names(int directory) {
  UniqueFd own(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME));
  if (!own) return fail_errno(errno, "open");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), ::closedir);
  if (!stream) return fail_errno(errno, "list");
  [[maybe_unused]] const int taken = own.release();
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  // Half a listing would remove the other half.
  if (errno != 0) return fail_errno(errno, "list");
  return names;
}

std::optional<std::uint64_t> Stamp::read(int directory) {
  std::array<char, 64> text{};
  const ssize_t size = ::fgetxattr(directory, kStamp, text.data(), text.size());
  struct stat own{};
  if (size <= 0 || ::fstat(directory, &own) != 0) return std::nullopt;
  const char* const end = text.data() + size;
  std::uint64_t source = 0, stamped = 0;
  const auto first = std::from_chars(text.data(), end, source);
  if (first.ec != std::errc{} || first.ptr == end) return std::nullopt;
  if (std::from_chars(first.ptr + 1, end, stamped).ec != std::errc{} || stamped != own.st_ino) return std::nullopt;
  return source;
}

bool Stamp::write(int directory, std::uint64_t source) {
  struct stat own{};
  if (::fstat(directory, &own) != 0) return false;
  const auto text = std::to_string(source) + " " + std::to_string(own.st_ino);
  return ::fsetxattr(directory, kStamp, text.data(), text.size(), 0) == 0;
}

Result<Staging> Staging::open(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, "make `" + path + "`");
  Staging staging;
  staging.path_ = path;
  staging.directory_.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!staging.directory_) return fail_errno(errno, "open `" + path + "`");
  const auto left = list_names(staging.directory());
  if (!left) return fail(left.error().within("`" + path + "`"));
  // Fresh names must not meet what is left.
  for (const auto& name : *left) {
    std::uint64_t number = 0;
    std::from_chars(name.data() + 1, name.data() + name.size(), number);
    staging.last_ = std::max(staging.last_, number);
  }
  for (const auto& name : *left)
    if (auto gone = staging.destroy(name); !gone) return fail(gone.error().within("`" + path + "`"));
  return staging;
}

// Directories in it move up into the staging directory, so depth costs no descriptors.
Result<> Staging::empty(const std::string& name, std::vector<std::string>& found) {
  const UniqueFd inside(::openat(directory(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!inside) return fail_errno(errno, "remove");
  const auto names = list_names(inside.get());
  if (!names) return fail(names.error());
  for (const auto& entry : *names) {
    if (::unlinkat(inside.get(), entry.c_str(), 0) == 0) continue;
    if (errno != EISDIR && errno != EPERM) return fail_errno(errno, "remove");
    const auto up = fresh_name();
    if (::renameat(inside.get(), entry.c_str(), directory(), up.c_str()) != 0) return fail_errno(errno, "remove");
    found.push_back(up);
  }
  return {};
}

Result<> Staging::destroy(const std::string& name) {
  std::vector<std::string> found{name};
  while (!found.empty()) {
    const auto next = std::move(found.back());
    found.pop_back();
    if (::unlinkat(directory(), next.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) return fail_errno(errno, "remove");
    if (auto emptied = empty(next, found); !emptied) return emptied;
    if (::unlinkat(directory(), next.c_str(), AT_REMOVEDIR) != 0) return fail_errno(errno, "remove");
  }
  return {};
}

Result<> Staging::take_away(int from, const std::string& name) {
  if (::unlinkat(from, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return fail_errno(errno, "remove");
  const auto here = fresh_name();
  if (::renameat(from, name.c_str(), directory(), here.c_str()) != 0) return fail_errno(errno, "remove");
  return destroy(here);
}

void Staging::close() {
  directory_.reset();
  ::rmdir(path_.c_str());
}

}  // namespace berth::fuse::replica
