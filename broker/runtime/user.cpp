#include "broker/runtime/user.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <optional>
#include <sstream>

#include "broker/base/unique_fd.hpp"

namespace berth::runtime {
namespace {

// An image may make /etc/passwd a link to anywhere: `root` is the root for it.
std::string read_inside(const std::string& root, const char* path) {
  const UniqueFd directory(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_IN_ROOT;
  const UniqueFd file(static_cast<int>(::syscall(SYS_openat2, directory.get(), path, &how, sizeof how)));
  std::string text;
  char buffer[4096];
  for (ssize_t n; file && text.size() < (std::size_t{1} << 20) && (n = ::read(file.get(), buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  return text;
}

std::optional<unsigned> number(const std::string& text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

// passwd(5) and group(5): lines of fields between colons.
std::vector<std::vector<std::string>> records(const std::string& text, std::size_t fields_min) {
  std::vector<std::vector<std::string>> result;
  for (const std::string& line : split(text, '\n'))
    if (auto fields = split(line, ':'); fields.size() >= fields_min) result.push_back(std::move(fields));
  return result;
}

}  // namespace

Result<ContainerUser> resolve_user(const std::string& user, const std::string& root) {
  const std::size_t colon = user.find(':');
  const std::string name = colon == 0 || user.empty() ? "0" : user.substr(0, colon);
  const std::string group = colon == std::string::npos ? std::string() : user.substr(colon + 1);
  ContainerUser result;
  std::string login = name;
  bool known = false;
  for (const auto& fields : records(read_inside(root, "etc/passwd"), 6)) {
    if (fields[0] != name && fields[2] != name) continue;
    const auto uid = number(fields[2]), gid = number(fields[3]);
    if (!uid || !gid) continue;
    result = {*uid, *gid, {}, fields[5]};
    login = fields[0];
    known = true;
    break;
  }
  if (!known) {
    const auto uid = number(name);
    if (!uid) return fail(Code::not_found, "the image knows no user `{}`", name);
    result.uid = *uid;
  }
  const auto groups = records(read_inside(root, "etc/group"), 3);
  if (group.empty()) {
    for (const auto& fields : groups) {
      if (fields.size() < 4) continue;
      for (const std::string& member : split(fields[3], ','))
        if (const auto gid = number(fields[2]); gid && member == login) result.additional_gids.push_back(*gid);
    }
    return result;
  }
  for (const auto& fields : groups)
    if (const auto gid = number(fields[2]); gid && fields[0] == group) {
      result.gid = *gid;
      return result;
    }
  const auto gid = number(group);
  if (!gid) return fail(Code::not_found, "the image knows no group `{}`", group);
  result.gid = *gid;
  return result;
}

}  // namespace berth::runtime
