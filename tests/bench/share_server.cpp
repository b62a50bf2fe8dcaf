// bench_share_server LOCK [LINGER]: serves a share as the daemon does (the real keeper, survival and all) and nothing else, so
// that only the share is measured; LINGER as Share::Options::linger, in microseconds. Commands come as lines on standard input,
// each is answered by a line: `ok ...` or `failed ...`.
//
//   mount ID BACKING PLACE ZONE [io_uring | point]  one mount, of a client in that zone; through an access point whose POSIX user
//                                is root
//   many COUNT BACKING PLACE     COUNT mounts at PLACE/0, PLACE/1, ... : seconds for all, seconds for the slowest
//   detach COUNT                 the same ended: seconds for all
//   stats                        mounts, operations, inodes known, whether by passthrough
//
// A daemon says `ready PID MOUNTS` when it serves, MOUNTS being those of a dead one that it serves again. SIGTERM ends it.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sstream>
#include <string>

#include <fmt/format.h>

#include "broker/base/log.hpp"
#include "broker/keeper/keeper.hpp"
#include "fuse/share.hpp"

namespace {

using berth::Result;
using berth::fuse::MountId;
using berth::fuse::Share;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

void say(const std::string& line) {
  [[maybe_unused]] const auto written = write(STDOUT_FILENO, (line + "\n").data(), line.size() + 1);
}

// Unbuffered: the next daemon reads on.
bool read_line(std::string& line) {
  line.clear();
  char c = 0;
  while (read(STDIN_FILENO, &c, 1) == 1) {
    if (c == '\n') return true;
    line += c;
  }
  return false;
}

Result<> mount(Share& share, const std::string& id, const std::string& backing, const std::string& place, const std::string& zone,
               const std::string& way = "") {
  berth::fuse::MountSpec spec;
  spec.file_system = "fs-bench";
  spec.ends = {.client = zone, .target = zone};
  spec.id = MountId(id);
  spec.backing_directory = backing;
  spec.rights = {.write = true, .root_access = true};
  spec.io_uring = way == "io_uring";
  if (way == "point") spec.identity = berth::fuse::PosixUser{.uid = 0, .gid = 0, .secondary_gids = {}};
  auto made = share.mount(spec);
  if (!made) return berth::fail(made.error());
  if (move_mount(made->get(), "", AT_FDCWD, place.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return berth::fail_errno(errno, "move_mount");
  }
  return {};
}

std::string many_id(unsigned i) { return "many/" + std::to_string(i); }

std::string many(Share& share, unsigned count, const std::string& backing, const std::string& place) {
  const auto begun = Clock::now();
  Seconds slowest{};
  for (unsigned i = 0; i < count; ++i) {
    const auto before = Clock::now();
    if (auto made = mount(share, many_id(i), backing, place + "/" + std::to_string(i), "a"); !made) {
      return fmt::format("failed at {}: {}", i, made.error().message);
    }
    slowest = std::max(slowest, Seconds(Clock::now() - before));
  }
  return fmt::format("ok {} {}", Seconds(Clock::now() - begun).count(), slowest.count());
}

std::string detach(Share& share, unsigned count) {
  const auto begun = Clock::now();
  for (unsigned i = 0; i < count; ++i) share.detach(MountId(many_id(i)));
  return fmt::format("ok {}", Seconds(Clock::now() - begun).count());
}

std::string stats(const Share& share) {
  std::uint64_t operations = 0;
  std::uint64_t inodes = 0;
  bool passthrough = true;
  const auto all = share.stats();
  for (const auto& one : all) {
    operations += one.operations;
    inodes += one.known_inodes;
    passthrough = passthrough && one.passthrough;
  }
  return fmt::format("ok {} {} {} {}", all.size(), operations, inodes, passthrough ? 1 : 0);
}

std::string answer(Share& share, const std::string& line) {
  std::istringstream words(line);
  std::string command, id, backing, place, zone;
  unsigned count = 0;
  words >> command;
  if (command == "mount" && words >> id >> backing >> place >> zone) {
    std::string way;
    words >> way;
    auto made = mount(share, id, backing, place, zone, way);
    return made ? "ok" : "failed " + made.error().message;
  }
  if (command == "many" && words >> count >> backing >> place) return many(share, count, backing, place);
  if (command == "detach" && words >> count) return detach(share, count);
  if (command == "stats") return stats(share);
  return "failed: what is `" + line + "`?";
}

int serve(berth::Survival& survival, const Share::Options& how) {
  auto share = Share::start(how, survival);
  if (!share) return say("failed " + share.error().message), 1;
  std::size_t mounts = 0;
  if (survival.restarts() != 0) {
    auto recovered = (*share)->recover();
    if (!recovered) return say("failed " + recovered.error().message), 1;
    mounts = recovered->size();
  }
  say(fmt::format("ready {} {}", getpid(), mounts));
  std::string line;
  while (read_line(line)) say(answer(**share, line));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) return std::fprintf(stderr, "usage: bench_share_server LOCK [LINGER]\n"), 2;
  Share::Options how;
  if (argc == 3) how.linger = std::chrono::microseconds(std::atoi(argv[2]));
  berth::keeper::KeeperOptions options;
  options.lock_path = argv[1];
  options.private_mounts = false;  // the bench has a namespace of its own
  options.restarts.deaths_max = options.restarts.at_once = 1000;
  const auto ended =
      berth::keeper::run(options, [&](berth::Survival& survival, berth::ChildExits&) { return serve(survival, how); });
  if (!ended) return std::fprintf(stderr, "%s\n", ended.error().message.c_str()), 1;
  return *ended;
}
