#include "broker/cli/fs_connection.hpp"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "broker/base/encoding.hpp"
#include "broker/cli/connection.hpp"

namespace berth::cli {

using Json = nlohmann::json;

namespace {

// pidfd_getfd(2): a copy of another process's descriptor, for who may trace it.
Result<UniqueFd> copy_descriptor(int pid, int descriptor) {
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return fail_errno(errno, "reach the daemon");
  UniqueFd copy(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), descriptor, 0)));
  if (!copy) return fail_errno(errno, "take the mount from the daemon (this needs root)");
  return copy;
}

}  // namespace

Result<TakenMount> take_mount(const std::string& state_directory, const std::string& what,
                              const std::map<std::string, std::string>& query) {
  std::string target = "/fs/" + what;
  char separator = '?';
  for (const auto& [name, value] : query) {
    if (value.empty()) continue;
    target += fmt::format("{}{}={}", separator, name, percent_encode(value));
    separator = '&';
  }
  auto answer = admin(state_directory, "POST", target);
  if (!answer) return fail(answer.error());
  TakenMount taken{{}, Json::parse(answer->body, nullptr, false)};
  if (!taken.description.is_object()) return fail(Code::internal, "the daemon's answer is not JSON");
  // Each level of a tree that is walked holds descriptors, and trees may be a thousand levels deep.
  struct rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  auto copy = copy_descriptor(taken.description.value("pid", 0), taken.description.value("descriptor", -1));
  if (!copy) return fail(copy.error());
  taken.mount = std::move(*copy);
  return taken;
}

Result<> report_taken(const std::string& state_directory, const TakenMount& taken) {
  auto told = admin(state_directory, "POST", "/fs/taken?mount=" + percent_encode(taken.description.value("mount", "")));
  if (!told) return fail(told.error());
  return {};
}

bool names_file_system(const std::string& text) {
  return text.starts_with("fs-") && (text.find('/') == std::string::npos || text.find(":/") < text.find('/'));
}

Result<RemotePath> parse_remote(const std::string& text) {
  const std::size_t colon = text.find(':');
  RemotePath remote{.file_system = text.substr(0, colon)};
  if (colon != std::string::npos && colon + 1 < text.size()) remote.path = text.substr(colon + 1);
  if (!text.starts_with("fs-") || !remote.path.starts_with('/') || remote.file_system.find('/') != std::string::npos)
    return fail(Code::invalid_argument, "`{}` is not FILE_SYSTEM[:/PATH], e.g. fs-0123:/data", text);
  return remote;
}

// proc(5): fields up to ` - `, among them the mount point as the fifth; behind it type and source.
Result<std::vector<PlacedMount>> placed_mounts() {
  std::ifstream table("/proc/self/mountinfo");
  if (!table) return fail(Code::io, "/proc/self/mountinfo can't be read");
  std::vector<PlacedMount> mounts;
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string word, directory, type, source;
    for (int i = 0; i < 5 && words >> word; ++i) directory = word;
    while (words >> word && word != "-") {
    }
    if (words >> type >> source && type == "fuse.berth")
      mounts.push_back({mount_field_decode(source), mount_field_decode(directory)});
  }
  return mounts;
}

}  // namespace berth::cli
