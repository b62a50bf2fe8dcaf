#include "tests/parity/duel.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>

#include <fmt/format.h>

#include "fuse/backing_kind.hpp"
#include "tests/parity/attributes.hpp"
#include "tests/parity/perform.hpp"

namespace berth::parity {
namespace {

constexpr std::size_t kMessageBytes = 16384;

// Does the steps that it is told, on both sides; what differs, empty where nothing does.
class Fighter {
 public:
  Fighter(const Ground& ground, unsigned mount)
      : ground_(ground),
        native_{ground.native, ground.access_times, {}},
        mounted_{ground.mounts[mount], ground.access_times, {}} {}

  std::string step(const Step& step) {
    compare_times(step);  // from here on; what changed before is not told from a new inode with an old number
    become(ground_.enforced ? *ground_.enforced : actors()[step.actor]);
    const Outcome expected = perform(step, native_);
    become(actors()[step.actor]);
    Outcome got = perform(step, mounted_);
    // The kernel says close to FUSE without waiting, so a lock may last a moment longer than its open file.
    for (int tries = 0; locks(step.op) && got != expected && tries < 20'000; ++tries) {
      sched_yield();
      got = perform(step, mounted_);
    }
    become(actors()[0]);
    if (step.op == Op::tmpfile && expected.error == EOPNOTSUPP && got.error == EACCES) return compare_times(step);
    if (expected == got || both_refuse(expected, got)) return compare_times(step);
    return fmt::format("native: {}\nmount:  {}", describe(expected), describe(got));
  }

 private:
  // A link in the middle of a path may lead elsewhere next time: names of the root only.
  std::string compare_times(const Step& step) {
    if (!ground_.change_times || step.path.contains('/')) return {};
    const std::string expected = native_times_.look(native_.root + "/" + step.path);
    const std::string got = mounted_times_.look(mounted_.root + "/" + step.path);
    return expected == got ? "" : fmt::format("times changed: `{}` natively, `{}` on the mount", expected, got);
  }

  static bool locks(Op op) { return op == Op::flock || op == Op::posix_lock || op == Op::description_lock || op == Op::get_lock; }

  // Behind an access point the daemon alone knows who may search a directory, so where several things are wrong it may find
  // another one first.
  bool both_refuse(const Outcome& expected, const Outcome& got) const {
    return ground_.enforced && expected.result < 0 && got.result < 0 && expected.error == EACCES;
  }

  const Ground& ground_;
  Side native_;
  Side mounted_;
  ChangedTimes native_times_;
  ChangedTimes mounted_times_;
};

class Process {
 public:
  Process(const Ground& ground, const std::vector<Step>& steps, unsigned mount) {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) std::abort();
    control_.reset(ends[0]);
    UniqueFd other(ends[1]);
    process_ = fork();
    if (process_ != 0) return;
    control_.reset();
    run(Fighter(ground, mount), steps, other.get());
  }
  ~Process() {
    control_.reset();
    waitpid(process_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  std::string step(std::size_t index) {
    send(control_.get(), &index, sizeof(index), MSG_NOSIGNAL);
    std::string text(kMessageBytes, '\0');
    const ssize_t size = recv(control_.get(), text.data(), text.size(), 0);
    if (size <= 0) return "the process died";
    text.resize(static_cast<std::size_t>(size) - 1);
    return text;
  }

 private:
  [[noreturn]] static void run(Fighter fighter, const std::vector<Step>& steps, int control) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    umask(022);
    std::size_t index = 0;
    while (recv(control, &index, sizeof(index), 0) == sizeof(index)) {
      const std::string text = fighter.step(steps[index]).substr(0, kMessageBytes - 1) + "\n";
      send(control, text.data(), text.size(), MSG_NOSIGNAL);
    }
    _exit(0);
  }

  UniqueFd control_;
  pid_t process_ = -1;
};

std::string first_different_lines(const std::string& expected, const std::string& got, const std::string& where) {
  std::istringstream a(expected);
  std::istringstream b(got);
  std::string line_a;
  std::string line_b;
  while (true) {
    const bool more_a = static_cast<bool>(std::getline(a, line_a));
    const bool more_b = static_cast<bool>(std::getline(b, line_b));
    if (!more_a && !more_b) return {};
    if (!more_a || !more_b || line_a != line_b) {
      return fmt::format("trees differ at {}\nnative: {}\nmount:  {}", where, more_a ? line_a : "-", more_b ? line_b : "-");
    }
  }
}

// The native tree is read as often as the other, because reading changes access times.
std::string compare_trees(const Ground& ground) {
  for (const std::string& mount : ground.mounts) {
    if (ground.enforced) become(*ground.enforced);
    const std::string expected = snapshot(ground.native, ground.access_times);
    become(actors()[0]);
    if (auto text = first_different_lines(expected, snapshot(mount, ground.access_times), mount); !text.empty()) return text;
  }
  return {};
}

// An NFS client removes the last of what was open a moment after it is closed; elsewhere what is in the way is an error.
void remove_tree(const std::string& path) {
  const UniqueFd above(open(std::filesystem::path(path).parent_path().c_str(), O_PATH | O_CLOEXEC));
  const auto kind = fuse::BackingKind::of(above.get());
  std::error_code error;
  for (int tries = 0; kind && kind->renames_held_files() && tries < 1000; ++tries) {
    std::filesystem::remove_all(path, error);
    if (!error) return;
    sched_yield();
  }
  std::filesystem::remove_all(path);
}

// A tree of its own for each duel: the trees are removed behind the mounts' backs, who may remember the names.
Ground fresh(Ground ground) {
  static int number = 0;
  const std::string suffix = "-" + std::to_string(++number);
  for (std::string* path : {&ground.native, &ground.backing, &ground.mounts[0], &ground.mounts[1]}) *path += suffix;
  return ground;
}

}  // namespace

std::optional<Difference> duel(const Ground& where, const std::vector<Step>& steps) {
  const Ground ground = fresh(where);
  for (const std::string& tree : {ground.native, ground.backing}) {
    remove_tree(tree);
    if (mkdir(tree.c_str(), 0777) != 0 || chmod(tree.c_str(), 0777) != 0) return Difference{0, "can't make " + tree};
  }
  std::optional<Difference> found;
  {
    Process first(ground, steps, 0);
    Process second(ground, steps, 1);
    for (std::size_t i = 0; i < steps.size() && !found; ++i) {
      std::string text = (steps[i].mount == 0 ? first : second).step(i);
      const bool compares = (i + 1) % ground.compare_every == 0 || i + 1 == steps.size();
      if (text.empty() && compares) text = compare_trees(ground);
      if (!text.empty()) found = Difference{i, text};
    }
  }
  remove_tree(ground.native);
  remove_tree(ground.backing);
  return found;
}

std::vector<Step> shorten(const Ground& ground, std::vector<Step> steps) {
  for (std::size_t part = steps.size() / 2; part > 0; part /= 2) {
    for (std::size_t at = 0; at + 1 < steps.size();) {
      std::vector<Step> fewer(steps);
      const auto from = fewer.begin() + static_cast<std::ptrdiff_t>(at);
      fewer.erase(from, from + static_cast<std::ptrdiff_t>(std::min(part, fewer.size() - at)));
      const auto still = duel(ground, fewer);
      if (!still) {
        at += part;
        continue;
      }
      fewer.resize(still->step + 1);
      steps = std::move(fewer);
    }
  }
  return steps;
}

}  // namespace berth::parity
