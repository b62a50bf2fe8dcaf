#include "tests/posix/child.hpp"

#include <fcntl.h>
#include <sched.h>

#include <array>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "broker/base/unique_fd.hpp"

namespace berth::posix {

void Child::until_it_waits_in(long system_call) const {
  const std::string path = fmt::format("/proc/{}/", pid_);
  const std::string wanted = fmt::format("{} ", system_call);
  while (true) {
    const UniqueFd file(open((path + "syscall").c_str(), O_RDONLY | O_CLOEXEC));
    std::array<char, 256> text{};
    const ssize_t size = read(file.get(), text.data(), text.size() - 1);
    if (size <= 0) return;
    if (std::string_view(text.data(), static_cast<std::size_t>(size)).starts_with(wanted)) return;
    siginfo_t ended{};
    if (waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid != 0) return;
    sched_yield();
  }
}

}  // namespace berth::posix
