#include "tests/kernel_share/kept_share.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <set>
#include <utility>

#include "tests/support/shared_survival.hpp"

namespace berth::fuse::test {

KeptShare::KeptShare(std::vector<Place> places, Share::Options options) : places_(std::move(places)), options_(options) {
  for (const Place& place : places_) ::mkdir(place.path.c_str(), 0755);
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) std::abort();
  control_.reset(ends[0]);
  const UniqueFd other(ends[1]);
  keeper_ = fork();
  if (keeper_ == 0) {
    control_.reset();
    keep(other.get());
  }
  first_ = hear();
}

KeptShare::~KeptShare() {
  control_.reset();
  waitpid(keeper_, nullptr, 0);
  for (const Place& place : places_) umount2(place.path.c_str(), MNT_DETACH);
}

std::string KeptShare::kill_daemon() {
  send(control_.get(), "kill", 4, 0);
  return hear();
}

std::string KeptShare::hear() {
  std::array<char, 256> buffer{};
  const ssize_t size = recv(control_.get(), buffer.data(), buffer.size(), 0);
  return size <= 0 ? "keeper died" : std::string(buffer.data(), static_cast<std::size_t>(size));
}

void KeptShare::keep(int control) {
  berth::test::SharedSurvival survival;
  std::set<int> own;
  for (int fd = 0; fd <= control; ++fd) own.insert(fd);
  while (true) {
    const auto daemon = static_cast<pid_t>(syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
    if (daemon == 0) serve(survival, control);
    std::array<char, 16> command{};
    const ssize_t size = recv(control, command.data(), command.size(), 0);
    kill(daemon, SIGKILL);
    waitpid(daemon, nullptr, 0);
    if (size <= 0) _exit(0);  // the table goes with us, and with it the connections
    survival.close_the_rest(own);
  }
}

void KeptShare::serve(Survival& survival, int control) {
  auto share = Share::start(options_, survival);
  const std::string said = share ? start(**share, survival) : share.error().message;
  send(control, said.data(), said.size(), 0);
  while (true) pause();
}

std::string KeptShare::start(Share& share, const Survival& survival) {
  if (survival.restarts() != 0) {
    auto recovered = share.recover();
    return recovered ? "recovered " + std::to_string(recovered->size()) : recovered.error().message;
  }
  for (const Place& place : places_) {
    auto mount = share.mount(place.spec);
    if (!mount) return mount.error().message;
    if (move_mount(mount->get(), "", AT_FDCWD, place.path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) return "move_mount";
  }
  return "mounted";
}

}  // namespace berth::fuse::test
