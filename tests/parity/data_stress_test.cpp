// Data through two mounts of one file system while the daemon is killed again and again.
//
// BERTH_STRESS_KILLS=<n> makes it longer, BERTH_STRESS_SEED=<s> another run.
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/kernel_share/kept_share.hpp"
#include "tests/parity/data_stress.hpp"
#include "tests/parity/setting.hpp"
#include "tests/support/requirements.hpp"

namespace berth::parity {
namespace {

using namespace fuse::test;

// Processes that stress a file each and say so after every few steps.
class Stressors {
 public:
  Stressors(const std::vector<std::string>& mounts, unsigned processes, bool maps) {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) std::abort();
    progress_.reset(ends[0]);
    const UniqueFd other(ends[1]);
    for (unsigned i = 0; i < processes; ++i) {
      const pid_t process = fork();
      if (process == 0) {
        progress_.reset();
        run(mounts, i, maps, other.get());
      }
      processes_.push_back(process);
    }
  }
  ~Stressors() {
    for (const pid_t process : processes_) kill(process, SIGKILL);
    for (const pid_t process : processes_) waitpid(process, nullptr, 0);
  }
  Stressors(const Stressors&) = delete;
  Stressors& operator=(const Stressors&) = delete;

  // What went wrong; empty where nothing did.
  std::string wait_for_rounds(int rounds) {
    std::array<char, 4096> buffer{};
    for (int i = 0; i < rounds; ++i) {
      const ssize_t size = recv(progress_.get(), buffer.data(), buffer.size(), 0);
      if (size <= 0) return "all processes ended";
      if (buffer[0] != '.') return {buffer.data(), static_cast<std::size_t>(size)};
    }
    return {};
  }

 private:
  [[noreturn]] static void run(const std::vector<std::string>& mounts, unsigned number, bool maps, int progress) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::vector<std::string> paths;
    for (const std::string& mount : mounts) paths.push_back(fmt::format("{}/data{}", mount, number));
    std::string said = ".";
    try {
      DataStress stress(paths, setting("BERTH_STRESS_SEED", 1) + number, maps);
      while (send(progress, said.data(), said.size(), MSG_NOSIGNAL) == 1) {
        for (int step = 0; step < 20; ++step) stress.step();
      }
    } catch (const std::exception& failure) {
      said = failure.what();
      send(progress, said.data(), std::min<std::size_t>(said.size(), 4000), MSG_NOSIGNAL);
    }
    _exit(1);
  }

  UniqueFd progress_;
  std::vector<pid_t> processes_;
};

class Data : public testing::TestWithParam<fuse::test::Way> {};

INSTANTIATE_TEST_SUITE_P(Share, Data, testing::ValuesIn(fuse::test::kWays), fuse::test::name_of_way);

TEST_P(Data, IsWhatWasWrittenThroughTwoMountsAndManyKillsOfTheDaemon) {
  BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
  const TemporaryDirectory temporary;
  ASSERT_EQ(::mkdir((temporary / "backing").c_str(), 0777), 0);
  std::vector<Place> places;
  for (const char* name : {"a", "b"}) {
    places.push_back({.spec = {.id = fuse::MountId(std::string("stress/") + name),
                               .backing_directory = temporary / "backing",
                               .rights = {.write = true, .root_access = true}},
                      .path = temporary / name});
  }
  KeptShare share(places, GetParam().options());
  ASSERT_EQ(share.first(), "mounted");
  Stressors stressors({temporary / "a", temporary / "b"}, 2, GetParam().passthrough);
  const std::uint64_t kills = setting("BERTH_STRESS_KILLS", 10);
  for (std::uint64_t i = 0; i < kills; ++i) {
    ASSERT_EQ(stressors.wait_for_rounds(6), "") << "after " << i << " kills";
    ASSERT_EQ(share.kill_daemon(), "recovered 2");
  }
  EXPECT_EQ(stressors.wait_for_rounds(10), "");
}

}  // namespace
}  // namespace berth::parity
