// Log lines, launch records, task records, the pool.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <future>

#include "broker/base/thread_sanitizer.hpp"
#include "broker/runtime/bundle.hpp"
#include "broker/runtime/launch_json.hpp"
#include "broker/runtime/log_pump.hpp"
#include "broker/runtime/process.hpp"
#include "broker/runtime/task_record.hpp"
#include "broker/runtime/work.hpp"

namespace berth::runtime {
namespace {

using ::testing::HasSubstr;

const TimePoint kNow{std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) + std::chrono::hours(5) +
                     std::chrono::microseconds(123456)};

TEST(LogLine, HasTheTimeWithNanosecondsTheStreamAndTheText) {
  EXPECT_EQ(format_log_line(kNow, "stdout", "hello"), "2026-11-23T05:00:00.123456000Z stdout hello\n");
}

// A task that prints without end must not fill the disk.
TEST(Log, GivesTheDiskOfItsOldestLinesBackAndIsReadOnFromTheNextWholeLine) {
  constexpr std::uint64_t kMax = 1 << 20;
  char path[] = "/tmp/berth-unit-XXXXXX";
  const UniqueFd file(::mkstemp(path));
  ASSERT_TRUE(file);
  ::unlink(path);
  std::string all;
  for (int i = 0; all.size() < 4 * kMax; ++i) all += format_log_line(kNow, "stdout", fmt::format("line {}", i));
  ASSERT_EQ(::write(file.get(), all.data(), all.size()), static_cast<ssize_t>(all.size()));
  trim_log(file.get(), all.size() * 2);
  std::uint64_t offset = 0;
  EXPECT_EQ(read_log(file.get(), offset, 100), all.substr(0, 100));
  trim_log(file.get(), kMax);
  struct stat info{};
  ASSERT_EQ(::fstat(file.get(), &info), 0);
  if (static_cast<std::uint64_t>(info.st_blocks) * 512 > kMax) GTEST_SKIP() << "/tmp can punch no holes";
  EXPECT_EQ(info.st_size, static_cast<off_t>(all.size()));
  offset = 100;
  const std::string rest = read_log(file.get(), offset, all.size());
  ASSERT_GT(rest.size(), kMax / 4);
  EXPECT_EQ(rest, all.substr(offset));
  EXPECT_TRUE(rest.starts_with("2026-11-23T"));
  EXPECT_EQ(all[offset - 1], '\n');
}

TEST(LineSplitter, WaitsForTheEndOfALine) {
  OutputBuffer buffer{};
  LineSplitter lines("stderr", buffer);
  EXPECT_EQ(lines.feed(kNow, "one\ntw"), format_log_line(kNow, "stderr", "one"));
  EXPECT_EQ(lines.feed(kNow, "o\n\n"), format_log_line(kNow, "stderr", "two") + format_log_line(kNow, "stderr", ""));
  EXPECT_EQ(lines.finish(kNow), "");
}

TEST(LineSplitter, KeepsALastLineWithoutAnEnd) {
  OutputBuffer buffer{};
  LineSplitter lines("stdout", buffer);
  EXPECT_EQ(lines.feed(kNow, "last words"), "");
  EXPECT_EQ(lines.finish(kNow), format_log_line(kNow, "stdout", "last words"));
}

TEST(LineSplitter, CutsLinesThatAreTooLong) {
  OutputBuffer buffer{};
  LineSplitter lines("stdout", buffer);
  const std::string text = lines.feed(kNow, std::string(kLogLineBytesMax + 5, 'x') + "\n");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  EXPECT_THAT(text, HasSubstr("stdout xxxxx\n"));
}

TEST(LineSplitter, AnotherOneGoesOnWithTheBufferOfTheFirst) {
  OutputBuffer buffer{};
  EXPECT_EQ(LineSplitter("stdout", buffer).feed(kNow, "half of "), "");
  EXPECT_EQ(LineSplitter("stdout", buffer).feed(kNow, "a line\n"), format_log_line(kNow, "stdout", "half of a line"));
}

TEST(LineSplitter, LinesThatWereNotDroppedAreGivenAgain) {
  OutputBuffer buffer{};
  {
    LineSplitter dead("stdout", buffer);
    std::copy_n("one\n", 4, dead.space().data());
    EXPECT_EQ(dead.commit(kNow, 4), format_log_line(kNow, "stdout", "one"));
  }
  EXPECT_EQ(LineSplitter("stdout", buffer).finish(kNow), format_log_line(kNow, "stdout", "one"));
}

TEST(LaunchRecord, ComesBackAsItWasWritten) {
  Container container;
  container.name = "app";
  container.image = "host";
  container.essential = false;
  container.entry_point = {"/e"};
  container.command = {"a", "b"};
  container.environment = {{"K", "V"}};
  container.mount_points = {{"data", "/data", true}};
  container.cpu = 10;
  container.memory_mib = 20;
  container.ulimits = {{"nofile", 1, 2}};
  container.stop_timeout = std::chrono::seconds(7);
  container.start_timeout = std::chrono::seconds(8);
  container.depends_on = {{"other", "HEALTHY"}};
  container.health_check = Container::HealthCheck{.command = {"CMD", "x"}, .retries = 9};
  TaskLaunch launch;
  launch.id = TaskId("t1");
  launch.arn = "arn:x";
  launch.interface = NetworkInterface{"eni-1", "02:00:00:00:00:01", "10.0.1.5", 20, "10.0.0.1"};
  launch.volumes = {Volume{.name = "data", .kind = Volume::Kind::efs, .share = fuse::MountSpec{.id = fuse::MountId("t1/data")}}};
  launch.containers = {container};
  launch.cpu = 256;
  launch.hostname = "h";
  const std::string text = write_launch(launch);
  const auto read = read_launch(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(write_launch(*read), text);
  EXPECT_EQ(read->volumes[0].share->id.str(), "t1/data");
  EXPECT_EQ(read->containers[0].health_check->retries, 9u);
  EXPECT_EQ(read->interface->prefix_length, 20u);
}

TEST(LaunchRecord, ADamagedOneIsAnErrorAndNoException) {
  for (const char* text : {"", "{}", "[]", "{\"id\":1}", "null"}) EXPECT_FALSE(read_launch(text)) << text;
}

TEST(TaskRecord, RemembersDescriptorsAndNoticesWhenANumberMeansAnotherFile) {
  VolatileSurvival survival;
  TaskRecord* record = task_record(survival, TaskId("t")).value();
  EXPECT_EQ(task_record(survival, TaskId("t")).value(), record);
  EXPECT_TRUE(has_task_record(survival, TaskId("t")));
  int pipe[2], other[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(other, O_CLOEXEC), 0);
  keep_descriptor(survival, record->metadata, pipe[0]);
  EXPECT_TRUE(is_alive(record->metadata));
  ASSERT_EQ(::dup2(other[0], pipe[0]), pipe[0]);
  EXPECT_FALSE(is_alive(record->metadata));
  close_descriptor(survival, record->metadata);
  EXPECT_NE(::fcntl(pipe[0], F_GETFD), -1) << "closed a descriptor that is another's";
  for (const int fd : {pipe[0], pipe[1], other[0], other[1]}) ::close(fd);
  remove_task_record(survival, TaskId("t"));
  EXPECT_FALSE(has_task_record(survival, TaskId("t")));
}

TEST(Strand, RunsItsWorkInOrderOnManyThreads) {
  const auto pool = std::make_shared<WorkPool>(4);
  const auto strand = std::make_shared<Strand>(pool);
  std::vector<int> seen;
  std::promise<void> done;
  for (int i = 0; i < 1000; ++i) strand->post([&seen, i] { seen.push_back(i); });
  strand->post([&done] { done.set_value(); });
  done.get_future().wait();
  pool->stop();
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST(Strand, LetsGoOfItsWorkWhenThePoolStops) {
  const auto pool = std::make_shared<WorkPool>(1);
  const auto owner = std::make_shared<int>(0);
  const auto strand = std::make_shared<Strand>(pool);
  std::promise<void> begun, go;
  pool->submit([&] {
    begun.set_value();
    go.get_future().wait();
  });
  begun.get_future().wait();
  for (int i = 0; i < 3; ++i) strand->post([owner] {});
  EXPECT_EQ(owner.use_count(), 4);
  go.set_value();
  pool->stop();
  strand->post([owner] {});
  EXPECT_EQ(owner.use_count(), 1);
}

TEST(WorkPool, RunsTheEarlierFirstAndDropsTheRestWhenStopped) {
  WorkPool pool(1);
  std::atomic<bool> late = false;
  std::promise<int> first;
  pool.after(std::chrono::hours(1), [&late] { late = true; });
  pool.submit([&first] { first.set_value(1); });
  EXPECT_EQ(first.get_future().get(), 1);
  pool.stop();
  EXPECT_FALSE(late);
  EXPECT_FALSE(pool.submit([] {}));
}

TEST(RunProgram, CollectsOutputAndExitCode) {
  if (kThreadSanitizer) GTEST_SKIP() << "ThreadSanitizer makes a fork of vfork, and the child's failure stays in the child";
  const auto finished = run_program({.arguments = {"sh", "-c", "echo out; echo err >&2; exit 4"}});
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->exit_code, 4);
  EXPECT_EQ(finished->output, "out\nerr\n");
  EXPECT_FALSE(run_program({.arguments = {"no-such-program-at-all"}}));
  EXPECT_THAT(run_checked({.arguments = {"sh", "-c", "echo why; exit 1"}}).error().message, HasSubstr("why"));
}

TEST(RunProgram, KillsWhatTakesTooLong) {
  const auto finished = run_program({.arguments = {"sleep", "1000"}, .timeout = std::chrono::milliseconds(1)});
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Code::unavailable);
}

TEST(HostsFile, NamesTheTask) {
  EXPECT_EQ(hosts_file("ip-10-0-1-5", "10.0.1.5"), "127.0.0.1 localhost\n10.0.1.5 ip-10-0-1-5\n");
  EXPECT_EQ(hosts_file("x", ""), "127.0.0.1 localhost\n");
}

// One that went on would work against what the next daemon starts.
TEST(RunProgram, DiesWithTheDaemon) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t daemon = ::fork();
  if (daemon == 0) {
    (void)run_program({.arguments = {"sh", "-c", "echo begun; exec sleep 1000"}, .standard_output = writer.get()});
    ::_exit(0);
  }
  writer.reset();
  char text[16];
  ASSERT_EQ(::read(reader.get(), text, sizeof(text)), 6);
  ::kill(daemon, SIGKILL);
  ::waitpid(daemon, nullptr, 0);
  pollfd entry{reader.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&entry, 1, 10'000), 1);
  EXPECT_EQ(::read(reader.get(), text, sizeof(text)), 0);  // nobody has the other end any more
}

TEST(RunProgram, NamesTheProgramThatIsNotThere) {
  if (kThreadSanitizer) GTEST_SKIP() << "ThreadSanitizer makes a fork of vfork, and the child's failure stays in the child";
  const auto finished = run_program({.arguments = {"/nonexistent/program"}});
  ASSERT_FALSE(finished);
  EXPECT_THAT(finished.error().message, HasSubstr("/nonexistent/program"));
}

}  // namespace
}  // namespace berth::runtime
