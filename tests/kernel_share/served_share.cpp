#include "tests/kernel_share/served_share.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <utility>

#include "broker/base/survival.hpp"

namespace berth::fuse::test {
namespace {

constexpr const char* kAllOverRing = "BERTH_TEST_IO_URING";

std::string place_mount(Share& share, const Place& place) {
  MountSpec spec = place.spec;
  if (std::getenv(kAllOverRing) != nullptr) spec.io_uring = true;
  auto mount = share.mount(spec);
  if (!mount) return mount.error().message;
  if (move_mount(mount->get(), "", AT_FDCWD, place.path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return "move_mount: " + std::string(std::strerror(errno));
  }
  return {};
}

// A network as words, one clause a line: both ends of the control socket are this program.
std::string words_of(const zones::Network& network) {
  std::ostringstream words;
  for (const auto& zone : network.zones()) words << "zone " << zone << '\n';
  for (const auto& [zones, latency] : network.latencies()) {
    words << "latency " << zones.first << ' ' << zones.second << ' ' << latency.count() << '\n';
  }
  for (const auto& [zone, fault] : network.faults()) {
    words << "fault " << zone << ' ' << static_cast<int>(fault.kind) << ' ' << static_cast<int>(fault.clients) << ' '
          << fault.patience.count() << '\n';
  }
  return words.str();
}

zones::Network read_network(const std::string& text) {
  std::istringstream words(text);
  std::vector<zones::Zone> names;
  zones::Network network;
  for (std::string clause, a, b; words >> clause >> a;) {
    long long number = 0;
    int kind = 0, clients = 0;
    if (clause == "zone") {
      names.push_back(a);
      network = zones::Network(names);
    } else if (clause == "latency") {
      words >> b >> number;
      network.set_latency(a, b, std::chrono::microseconds(number));
    } else {
      words >> kind >> clients >> number;
      network.set_fault(a, {static_cast<zones::Fault::Kind>(kind), static_cast<zones::Fault::Clients>(clients),
                            std::chrono::milliseconds(number)});
    }
  }
  return network;
}

std::string set_throughput(Share& share, const std::string& text) {
  std::istringstream words(text);
  std::string file_system;
  int mode = -1;
  double provisioned = 0, credits = 0;
  std::uint64_t size = 0;
  words >> file_system >> mode >> provisioned >> size >> credits;
  if (mode < 0) return share.set_throughput(file_system, std::nullopt), "ok";
  share.set_throughput(file_system, zones::Allowance{static_cast<zones::ThroughputMode>(mode), provisioned, size}, credits);
  return "ok";
}

zones::Network network;  // of the server

std::string advance(Share& share, const Clock* clock, const std::string& microseconds) {
  const_cast<MovedClock&>(dynamic_cast<const MovedClock&>(*clock)).advance(std::chrono::microseconds(std::stoll(microseconds)));
  share.set_network(network);  // looks at the clock
  return "ok";
}

std::string parked_of(Share& share, const std::string& id) {
  for (const auto& mount : share.stats()) {
    if (mount.id.str() == id) return std::to_string(mount.way.parked);
  }
  return "0";
}

std::string answer_command(Share& share, const Clock* clock, const std::string& command) {
  const std::string id = command.size() > 4 ? command.substr(4) : std::string{};
  if (command.starts_with("netw")) return share.set_network(network = read_network(id)), "ok";
  if (command.starts_with("thru")) return set_throughput(share, id);
  if (command.starts_with("time")) return advance(share, clock, id);
  if (command.starts_with("park")) return parked_of(share, id);
  if (command.starts_with("stat")) return std::to_string(share.stats().size());
  if (command.starts_with("pass")) return share.stats().at(0).passthrough ? "yes" : "no";
  if (command.starts_with("ring")) return share.stats().at(0).io_uring ? "yes" : "no";
  if (command.starts_with("drop")) return share.detach(MountId(id)), "ok";
  if (command.starts_with("rgt")) {
    const int bits = command[3] - '0';
    const Rights rights{.mount = (bits & 4) == 0, .write = (bits & 1) != 0, .root_access = (bits & 2) != 0};
    return share.set_rights(MountId(id), rights) ? "ok" : "no";
  }
  return "what";
}

[[noreturn]] void serve(int control, const std::vector<Place>& places, const Share::Options& options) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  VolatileSurvival survival;
  auto share = Share::start(options, survival);
  std::string error = share ? "" : share.error().message;
  for (const Place& place : places) {
    if (error.empty()) error = place_mount(**share, place);
  }
  const std::string ready = error.empty() ? "ready" : error;
  send(control, ready.data(), ready.size(), 0);
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t size = recv(control, buffer.data(), buffer.size(), 0);
    if (size <= 0) _exit(0);
    const std::string reply = answer_command(**share, options.clock, std::string(buffer.data(), static_cast<std::size_t>(size)));
    send(control, reply.data(), reply.size(), 0);
  }
}

bool enter_private_namespace() {
  return unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

}  // namespace

std::string why_no_mounts() {
  static const std::string reason = []() -> std::string {
    if (geteuid() != 0) return "root";
    if (::access("/dev/fuse", R_OK | W_OK) != 0) return "/dev/fuse";
    if (!enter_private_namespace()) return "a mount namespace of its own (unshare)";
    return {};
  }();
  return reason.empty() && std::getenv(kAllOverRing) != nullptr ? why_no_ring() : reason;
}

std::string why_no_ring() {
  static const std::string reason = []() -> std::string {
    std::string before;
    if (!(std::ifstream(kRingSwitch) >> before)) return "FUSE over io_uring (kernel 6.14)";
    if (before == "Y") return {};
    if (!(std::ofstream(kRingSwitch) << 1 << std::flush)) return std::string("to write ") + kRingSwitch;
    std::atexit([] { std::ofstream(kRingSwitch) << 0; });
    return {};
  }();
  return reason;
}

bool kernel_is_at_least(int major, int minor) {
  struct utsname kernel{};
  int its_major = 0, its_minor = 0;
  const bool known = uname(&kernel) == 0 && std::sscanf(kernel.release, "%d.%d", &its_major, &its_minor) == 2;
  return known && std::pair(its_major, its_minor) >= std::pair(major, minor);
}

ServedShare::ServedShare(const std::vector<Place>& places, Share::Options options) {
  for (const Place& place : places) {
    std::filesystem::create_directories(place.path);
    paths_.push_back(place.path);
  }
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    error_ = "socketpair";
    return;
  }
  control_.reset(ends[0]);
  const UniqueFd other(ends[1]);
  server_ = fork();
  if (server_ == 0) {
    control_.reset();
    serve(other.get(), places, options);
  }
  const std::string ready = ask("");
  if (ready != "ready") error_ = ready;
}

ServedShare::~ServedShare() {
  if (server_ > 0) {
    kill(server_, SIGKILL);
    waitpid(server_, nullptr, 0);
  }
  for (const std::string& path : paths_) umount2(path.c_str(), MNT_DETACH);
}

std::string ServedShare::ask(const std::string& command) {
  if (!command.empty()) send(control_.get(), command.data(), command.size(), 0);
  std::array<char, 512> buffer{};
  const ssize_t size = recv(control_.get(), buffer.data(), buffer.size(), 0);
  return size <= 0 ? "server died" : std::string(buffer.data(), static_cast<std::size_t>(size));
}

bool ServedShare::set_rights(const MountId& id, Rights rights) {
  const char bits = static_cast<char>('0' + (rights.write ? 1 : 0) + (rights.root_access ? 2 : 0) + (rights.mount ? 0 : 4));
  return ask(std::string("rgt") + bits + id.str()) == "ok";
}

void ServedShare::detach(const MountId& id) { ask("drop" + id.str()); }

void ServedShare::wait_for_init() {
  struct stat attributes{};
  for (const std::string& path : paths_) stat(path.c_str(), &attributes);  // answered after what is agreed with the kernel
}

bool ServedShare::passthrough() {
  wait_for_init();
  return ask("pass") == "yes";
}

bool ServedShare::over_ring() {
  wait_for_init();
  return ask("ring") == "yes";
}

std::size_t ServedShare::mounts_alive() { return std::stoul(ask("stat")); }

void ServedShare::set_network(const zones::Network& network_now) { ask("netw" + words_of(network_now)); }

void ServedShare::set_throughput(const std::string& file_system, const zones::Allowance& allowance, double credits) {
  std::ostringstream words;
  words << "thru" << file_system << ' ' << static_cast<int>(allowance.mode) << ' ' << allowance.provisioned_mibps << ' '
        << allowance.size_bytes << ' ' << std::fixed << credits;
  ask(words.str());
}

void ServedShare::no_throughput(const std::string& file_system) { ask("thru" + file_system + " -1 0 0 0"); }
void ServedShare::advance(std::chrono::microseconds by) { ask("time" + std::to_string(by.count())); }
std::size_t ServedShare::parked(const MountId& id) { return std::stoul(ask("park" + id.str())); }

void ServedShare::wait_for_parked(const MountId& id, std::size_t count) {
  while (parked(id) != count) sched_yield();
}

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "berth-share-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) std::abort();
  path_ = name;
  ::chmod(path_.c_str(), 0755);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string output_of(const std::string& command, const As& as) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return "pipe";
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  const pid_t child = fork();
  if (child == 0) {
    dup2(writing.get(), 1);
    if (become(as)) execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  writing.reset();
  std::string text;
  std::array<char, 4096> buffer{};
  for (ssize_t size = 0; (size = read(reading.get(), buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  waitpid(child, nullptr, 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

int shell(const std::string& command, const As& as) {
  return in_child(as, [&] {
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    return 127;
  });
}

}  // namespace berth::fuse::test
