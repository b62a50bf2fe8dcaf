// What the reactor's workers agree by: who waits at the epoll, who is stuck, whether requests are long.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "fuse/pace.hpp"
#include "fuse/post.hpp"
#include "fuse/standby.hpp"
#include "fuse/worker_watch.hpp"

namespace berth::fuse {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(Post, HasOneAtATime) {
  Post post;
  EXPECT_EQ(post.take(), Post::Taken::yes);
  EXPECT_EQ(post.take(milliseconds(1)), Post::Taken::no);
  post.leave();
  EXPECT_EQ(post.take(milliseconds(1)), Post::Taken::yes);
}

TEST(Post, WhoWaitsComesWhenItIsLeft) {
  Post post;
  ASSERT_EQ(post.take(), Post::Taken::yes);
  auto next = std::async(std::launch::async, [&] { return post.take(); });
  post.leave();
  EXPECT_EQ(next.get(), Post::Taken::yes);
}

TEST(Post, WhoWaitsIsToldThatItIsClosed) {
  Post post;
  ASSERT_EQ(post.take(), Post::Taken::yes);
  auto next = std::async(std::launch::async, [&] { return post.take(); });
  post.close();
  EXPECT_EQ(next.get(), Post::Taken::closed);
}

TEST(WorkerWatch, TellsOfAWorkerThatDoesNotComeOnAndOfNoOther) {
  std::promise<std::pair<unsigned, MountNumber>> stuck;
  std::atomic<bool> told = false;
  WorkerWatch watch([&](unsigned worker, MountNumber mount) {
    if (!told.exchange(true)) stuck.set_value({worker, mount});
  });
  watch.start();
  watch.begin(3, 7);
  auto found = stuck.get_future();
  // The other one is never at the same request for long.
  do {
    watch.begin(1, 5);
    watch.end(1);
  } while (found.wait_for(microseconds(100)) != std::future_status::ready);
  EXPECT_EQ(found.get(), (std::pair<unsigned, MountNumber>{3, 7}));
}

TEST(WorkerWatch, LooksAgainAfterAQuietTime) {
  std::atomic<unsigned> told = 0;
  WorkerWatch watch([&](unsigned, MountNumber) { ++told; });
  watch.start();
  for (unsigned round = 1; round <= 2; ++round) {
    while (watch.looking()) std::this_thread::yield();
    const unsigned before = told;
    watch.begin(0, 1);
    while (told == before) std::this_thread::yield();
    watch.end(0);
  }
}

TEST(Pace, OneLongRequestMakesTheNextOnesExpectedToBe) {
  Pace pace;
  pace.served(microseconds(900));
  EXPECT_FALSE(pace.slow());
  pace.served(milliseconds(2));
  EXPECT_TRUE(pace.slow());
}

TEST(Pace, AsManyShortOnesEndThat) {
  Pace pace;
  pace.stuck();
  int served = 0;
  for (; pace.slow(); ++served) pace.served(microseconds(10));
  EXPECT_EQ(served, 32);
}

class Called final : public Standby {
 public:
  unsigned times = 0;

 private:
  void call() override { ++times; }
};

TEST(Standby, IsCalledByItsOwnThreadOnly) {
  Called called;
  std::jthread([] { Standby::about_to_wait(); }).join();
  EXPECT_EQ(called.times, 0U);
  Standby::about_to_wait();
  EXPECT_EQ(called.times, 1U);
}

}  // namespace
}  // namespace berth::fuse
