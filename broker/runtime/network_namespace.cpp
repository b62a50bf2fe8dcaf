#include "broker/runtime/network_namespace.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "broker/runtime/files.hpp"
#include "broker/runtime/mounts.hpp"
#include "broker/runtime/netlink.hpp"

namespace berth::runtime {
namespace {

Result<> on_own_thread(const std::function<Result<>()>& work) {
  Result<> result;
  std::thread([&] { result = work(); }).join();
  return result;
}

// Missing where the kernel has no IPv6 at all.
void switch_ipv6_off() {
  for (const char* scope : {"all", "default"})
    (void)write_control(std::string("/proc/sys/net/ipv6/conf/") + scope + "/disable_ipv6", "1");
}

}  // namespace

Result<> make_network_namespace(const std::string& path) {
  if (auto made = write_file(path, "", 0600); !made) return made;
  return on_own_thread([&]() -> Result<> {
    if (::unshare(CLONE_NEWNET) != 0) return fail_errno(errno, "make a network namespace");
    switch_ipv6_off();
    auto netlink = Rtnetlink::open();
    if (!netlink) return fail(netlink.error());
    if (auto up = netlink->set_up("lo"); !up) return up;
    return mount_at("/proc/thread-self/ns/net", path, nullptr, MS_BIND);
  });
}

Result<> in_network_namespace(const std::string& path, const std::function<Result<>()>& work) {
  return on_own_thread([&]() -> Result<> {
    const UniqueFd space(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!space) return fail_errno(errno, "open `" + path + "`");
    if (::setns(space.get(), CLONE_NEWNET) != 0) return fail_errno(errno, "enter network namespace `" + path + "`");
    return work();
  });
}

void drop_network_namespace(const std::string& path) noexcept {
  detach_mount(path);
  ::unlink(path.c_str());
}

Result<UniqueFd> listen_at(const std::string& address, unsigned port, const std::string& device) {
  const std::string what = "listen at " + address + ":" + std::to_string(port);
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, what);
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return fail_errno(errno, what);
  if (!device.empty() &&
      ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, device.c_str(), static_cast<socklen_t>(device.size())) != 0)
    return fail_errno(errno, what + " on `" + device + "`");
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<in_port_t>(port));
  if (::inet_pton(AF_INET, address.c_str(), &name.sin_addr) != 1) return fail(Code::invalid_argument, "{}: no address", what);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) return fail_errno(errno, what);
  if (::listen(fd.get(), SOMAXCONN) != 0) return fail_errno(errno, what);
  return fd;
}

}  // namespace berth::runtime
