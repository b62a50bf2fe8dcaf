#include "broker/runtime/capabilities.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace berth::runtime {
namespace {

// https://docs.docker.com/engine/containers/run/#runtime-privilege-and-linux-capabilities
constexpr std::array<std::string_view, 14> kDefault{"AUDIT_WRITE", "CHOWN",   "DAC_OVERRIDE",     "FOWNER",    "FSETID",
                                                    "KILL",        "MKNOD",   "NET_BIND_SERVICE", "NET_RAW",   "SETFCAP",
                                                    "SETGID",      "SETPCAP", "SETUID",           "SYS_CHROOT"};
// These act inside the container's own namespaces and cgroup.
constexpr std::array<std::string_view, 8> kMayBeAdded{"IPC_LOCK",  "IPC_OWNER",     "LEASE",    "LINUX_IMMUTABLE",
                                                      "NET_ADMIN", "NET_BROADCAST", "SYS_NICE", "SYS_PTRACE"};
// With these a task could read the host's disks, load code into its kernel or mount its way out.
constexpr std::array<std::string_view, 19> kRefused{
    "AUDIT_CONTROL",   "AUDIT_READ", "BLOCK_SUSPEND",  "BPF",       "CHECKPOINT_RESTORE",
    "DAC_READ_SEARCH", "MAC_ADMIN",  "MAC_OVERRIDE",   "PERFMON",   "SYSLOG",
    "SYS_ADMIN",       "SYS_BOOT",   "SYS_MODULE",     "SYS_PACCT", "SYS_RAWIO",
    "SYS_RESOURCE",    "SYS_TIME",   "SYS_TTY_CONFIG", "WAKE_ALARM"};

template <std::size_t N>
bool holds(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Result<std::vector<std::string>> container_capabilities(const std::vector<std::string>& add,
                                                        const std::vector<std::string>& drop) {
  std::set<std::string, std::less<>> names(kDefault.begin(), kDefault.end());
  for (const std::string& name : drop) {
    if (name == "ALL") {
      names.clear();
    } else if (!holds(kDefault, name) && !holds(kMayBeAdded, name) && !holds(kRefused, name)) {
      return fail(Code::invalid_argument, "there is no capability `{}`", name);
    }
    names.erase(name);
  }
  for (const std::string& name : add) {
    if (name == "ALL" || holds(kRefused, name))
      return fail(Code::permission_denied, "Berth doesn't give capability `{}`: with it a task could leave its container", name);
    if (!holds(kDefault, name) && !holds(kMayBeAdded, name))
      return fail(Code::invalid_argument, "there is no capability `{}`", name);
    names.insert(name);
  }
  std::vector<std::string> result;
  for (const std::string& name : names) result.push_back("CAP_" + name);
  return result;
}

}  // namespace berth::runtime
