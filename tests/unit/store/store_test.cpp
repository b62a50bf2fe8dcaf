#include "broker/store/store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <fstream>
#include <future>
#include <latch>
#include <map>
#include <thread>

#include "tests/unit/store/temporary_folder.hpp"

namespace berth::store {
namespace {

using Records = std::map<std::pair<std::string, std::string>, std::string>;

Records load_all(Store& store) {
  Records records;
  const auto loaded = store.load([&](std::string_view kind, std::string_view key, std::string_view value) -> Result<> {
    records[{std::string{kind}, std::string{key}}] = std::string{value};
    return {};
  });
  EXPECT_TRUE(loaded) << loaded.error().message;
  return records;
}

std::unique_ptr<Store> open_store(const std::string& path, Store::Options options = {}) {
  auto store = Store::open(path, std::move(options));
  EXPECT_TRUE(store) << store.error().message;
  return std::move(*store);
}

void execute(const std::string& path, const char* sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
  sqlite3_close(database);
}

TEST(Store, KeepsRecordsOverAReopenAndDeletesThem) {
  const TemporaryFolder folder;
  {
    auto store = open_store(folder.file("berth.db"));
    store->submit({{"task", "a", "1"}, {"task", "b", "2"}, {"vpc", "a", std::string("\0x", 2)}});
    ASSERT_TRUE(store->wait(store->submit({{"task", "a", "3"}, {"task", "b", std::nullopt}, {"task", "never", std::nullopt}})));
  }
  auto store = open_store(folder.file("berth.db"));
  EXPECT_EQ(load_all(*store), (Records{{{"task", "a"}, "3"}, {{"vpc", "a"}, std::string("\0x", 2)}}));
}

TEST(Store, TheDestructorCommitsWhatIsQueued) {
  const TemporaryFolder folder;
  open_store(folder.file("berth.db"))->submit({{"task", "a", "1"}});
  EXPECT_EQ(load_all(*open_store(folder.file("berth.db"))).size(), 1U);
}

TEST(Store, OnlyItsOwnerMayReadTheDatabase) {
  const TemporaryFolder folder;
  auto store = open_store(folder.file("berth.db"));
  ASSERT_TRUE(store->wait(store->submit({{"task", "a", "1"}})));
  for (const char* name : {"berth.db", "berth.db-wal"}) {
    struct stat status{};
    ASSERT_EQ(::stat(folder.file(name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777, 0600U) << name;
  }
}

// A child acknowledges each batch over a pipe after wait(); killed at any moment, what it acknowledged is there.
TEST(Store, WhatWasAcknowledgedSurvivesSigkill) {
  const TemporaryFolder folder;
  const std::string path = folder.file("berth.db");
  int acknowledged = -1;
  for (int round = 0; round < 5; ++round) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto store = Store::open(path);
      if (!store) ::_exit(1);
      for (int i = acknowledged + 1;; ++i) {
        const std::string number = std::to_string(i);
        if (!(*store)->wait((*store)->submit({{"n", number, number}, {"pair", number, number}}))) ::_exit(2);
        if (::write(ends[1], &i, sizeof i) != sizeof i) ::_exit(3);
      }
    }
    ::close(ends[1]);
    const int until = acknowledged + 20 + 7 * round;
    while (acknowledged < until)
      ASSERT_EQ(::read(ends[0], &acknowledged, sizeof acknowledged), static_cast<ssize_t>(sizeof(int)));
    ::kill(child, SIGKILL);
    while (::read(ends[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged) {
    }
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));

    auto store = open_store(path);
    const Records records = load_all(*store);
    for (int i = 0; i <= acknowledged; ++i) ASSERT_TRUE(records.contains({"n", std::to_string(i)})) << i;
    for (const auto& [id, value] : records) ASSERT_TRUE(records.contains({"pair", id.second})) << "half a batch: " << id.second;
  }
}

TEST(Store, ManyWaitersShareOneCommit) {
  const TemporaryFolder folder;
  constexpr std::size_t kThreads = 16;
  std::promise<void> first_begun, all_queued;
  std::vector<std::size_t> groups;
  Store::Options options;
  options.before_commit = [&](std::size_t batches) {
    groups.push_back(batches);
    if (groups.size() > 1) return;
    first_begun.set_value();
    all_queued.get_future().wait();  // the first commit takes as long as the others need to queue up
  };
  auto store = open_store(folder.file("berth.db"), std::move(options));
  const Ticket first = store->submit({{"n", "first", "1"}});
  first_begun.get_future().wait();
  std::latch submitted{kThreads};
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const Ticket ticket = store->submit({{"n", std::to_string(i), "1"}});
      submitted.count_down();
      EXPECT_TRUE(store->wait(ticket));
    });
  }
  submitted.wait();
  all_queued.set_value();
  threads.clear();
  EXPECT_TRUE(store->wait(first));
  EXPECT_EQ(groups, (std::vector<std::size_t>{1, kThreads}));
  EXPECT_EQ(store->statistics().commits, 2U);
  EXPECT_EQ(store->statistics().batches, kThreads + 1);
}

// A limit on the size of files stands in for a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limited{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limited);
  }
  ~FileSizeLimit() { lift(); }
  void lift() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = SIG_DFL;
};

TEST(Store, AFullDiskFailsTheCallAndRefusesLaterOnesUntilThereIsSpace) {
  const TemporaryFolder folder;
  std::promise<void> recovered;
  std::atomic<Ticket> wanted = 0;
  Store::Options options;
  options.retry_interval = std::chrono::milliseconds{1};
  options.on_durable = [&](Ticket durable) {
    if (wanted != 0 && durable >= wanted) recovered.set_value(), wanted = 0;
  };
  auto store = open_store(folder.file("berth.db"), std::move(options));
  ASSERT_TRUE(store->wait(store->submit({{"n", "before", "1"}})));

  FileSizeLimit limit{64 << 10};
  const Ticket big = store->submit({{"n", "big", std::string(1 << 20, 'x')}});
  const auto failed = store->wait(big);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::unavailable);
  EXPECT_THAT(failed.error().message, testing::HasSubstr("can't store changes"));
  EXPECT_FALSE(store->writable());
  const Ticket later = store->submit({{"n", "later", "1"}});
  EXPECT_FALSE(store->wait(later)) << "nothing may pass by what could not be stored";

  wanted = later;
  limit.lift();
  recovered.get_future().wait();
  EXPECT_TRUE(store->wait(later));
  EXPECT_TRUE(store->writable());
  store.reset();
  EXPECT_EQ(load_all(*open_store(folder.file("berth.db"))).size(), 3U);
}

TEST(Store, RefusesTheDatabaseOfANewerBerth) {
  const TemporaryFolder folder;
  open_store(folder.file("berth.db")).reset();
  execute(folder.file("berth.db"), "UPDATE meta SET value='99' WHERE name='schema_version'");
  const auto store = Store::open(folder.file("berth.db"));
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::failed_precondition);
  EXPECT_THAT(store.error().message, testing::HasSubstr("newer Berth (its schema is version 99"));
}

TEST(Store, RefusesWhatIsNotItsDatabase) {
  const TemporaryFolder folder;
  std::ofstream(folder.file("text")) << std::string(4096, 'x');
  const auto text = Store::open(folder.file("text"));
  ASSERT_FALSE(text);
  EXPECT_THAT(text.error().message, testing::HasSubstr("not a database of Berth's"));

  execute(folder.file("other.db"), "CREATE TABLE notes(text)");
  const auto other = Store::open(folder.file("other.db"));
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, testing::HasSubstr("another program's"));

  EXPECT_FALSE(Store::open(folder.file("no/such/folder.db")));
}

}  // namespace
}  // namespace berth::store
