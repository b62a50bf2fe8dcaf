#include "broker/docker/volume_options.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

namespace berth::docker {
namespace {

constexpr const char* kKnown = "file-system, access-point, path, role, zone, read-only and io-uring";
constexpr std::size_t kNameMax = 200;

bool is_id(const std::string& text, std::string_view prefix) {
  if (!text.starts_with(prefix) || text.size() == prefix.size()) return false;
  return std::ranges::all_of(text.substr(prefix.size()), [](unsigned char c) { return std::isalnum(c) != 0; });
}

Result<bool> read_flag(const std::string& name, const std::string& value) {
  if (value == "true" || value.empty()) return true;  // `-o read-only` has no value
  if (value == "false") return false;
  return fail(Code::invalid_argument, "option {} is true or false, not `{}`", name, value);
}

Result<> read_option(const std::string& name, const std::string& value, VolumeOptions& options) {
  if (name == "read-only" || name == "io-uring") {
    const auto flag = read_flag(name, value);
    if (!flag) return fail(flag.error());
    (name == "read-only" ? options.read_only : options.io_uring) = *flag;
    return {};
  }
  std::string* const target = name == "file-system"    ? &options.file_system
                              : name == "access-point" ? &options.access_point
                              : name == "path"         ? &options.path
                              : name == "role"         ? &options.role
                              : name == "zone"         ? &options.zone
                                                       : nullptr;
  if (target == nullptr) return fail(Code::invalid_argument, "there is no option `{}`; the options are {}", name, kKnown);
  if (value.empty()) return fail(Code::invalid_argument, "option {} has no value: write {}=..., or leave it out", name, name);
  *target = value;
  return {};
}

Result<> check(const VolumeOptions& options) {
  if (options.file_system.empty())
    return fail(Code::invalid_argument,
                "option file-system is missing: say which file system it is, by `-o file-system=fs-...`; the options are {}",
                kKnown);
  if (!is_id(options.file_system, "fs-"))
    return fail(Code::invalid_argument, "option file-system is the id of a file system, e.g. fs-0123456789abcdef0, not `{}`",
                options.file_system);
  if (!options.access_point.empty() && !is_id(options.access_point, "fsap-"))
    return fail(Code::invalid_argument, "option access-point is the id of an access point, e.g. fsap-0123456789abcdef0, not `{}`",
                options.access_point);
  if (!options.path.starts_with('/'))
    return fail(Code::invalid_argument, "option path is a directory of the file system, from its root: `/{}`, not `{}`",
                options.path, options.path);
  if (options.path != "/" && !options.access_point.empty())
    return fail(Code::invalid_argument, "an access point has a root of its own: leave the option path out");
  return {};
}

}  // namespace

Result<VolumeOptions> read_volume_options(const std::map<std::string, std::string>& options) {
  VolumeOptions read;
  for (const auto& [name, value] : options)
    if (auto known = read_option(name, value, read); !known) return fail(known.error());
  if (auto right = check(read); !right) return fail(right.error());
  return read;
}

Result<> check_volume_name(const std::string& name) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-'; };
  const bool right = !name.empty() && name.size() <= kNameMax && std::isalnum(static_cast<unsigned char>(name[0])) != 0 &&
                     std::ranges::all_of(name, plain);
  if (right) return {};
  return fail(
      Code::invalid_argument,
      "`{}` can't be a volume's name: it has 1 to {} letters, digits, `_`, `.` and `-`, and begins with a letter or digit", name,
      kNameMax);
}

}  // namespace berth::docker
