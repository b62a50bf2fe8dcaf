// fuse/zones: the network between zones, EFS's throughput arithmetic, and the gates that hold requests back.
#include <fcntl.h>
#include <linux/fuse.h>

#include <cstring>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "fuse/zones/gates.hpp"

namespace berth::fuse::zones {
namespace {

using namespace std::chrono_literals;

const TimePoint kStart{1'700'000'000s};
const Ends kRegional{.client = "a", .target = "a"};
const Ends kOneZone{.client = "a", .target = "a", .one_zone = true};
const Ends kAcross{.client = "b", .target = "a", .one_zone = true};

Network three_zones() { return Network({"a", "b", "c"}); }

TEST(ZoneNetwork, NothingSetIsPlain) {
  EXPECT_TRUE(three_zones().path(kRegional).plain());
  EXPECT_TRUE(Network().path({}).plain());
}

TEST(ZoneNetwork, LatencyGoesBothWaysAndCanBeTakenAway) {
  Network network = three_zones();
  network.set_latency("b", "a", 3ms);
  EXPECT_EQ(network.path(kAcross).latency, 3ms);
  EXPECT_EQ(network.latency("a", "b"), 3ms);
  network.set_latency("a", "b", 0ms);
  EXPECT_EQ(network, three_zones());
}

TEST(ZoneNetwork, AChangeOfARegionalFileSystemWaitsForTheNearestOtherZone) {
  Network network = three_zones();
  network.set_latency("a", "b", 3ms);
  network.set_latency("a", "c", 7ms);
  EXPECT_EQ(network.path(kRegional).commit, 3ms);
  EXPECT_EQ(network.path(kRegional).latency, 0ms);
  EXPECT_EQ(network.path(kOneZone).commit, 0ms);
  network.set_fault("b", {});
  EXPECT_EQ(network.path(kRegional).commit, 7ms);
}

TEST(ZoneNetwork, ALostZoneCutsItsClientsAndItsOneZoneFileSystems) {
  Network network = three_zones();
  network.set_fault("a", {.kind = Fault::Kind::lost});
  EXPECT_NE(network.path(kRegional).fault, nullptr);
  EXPECT_NE(network.path(kOneZone).fault, nullptr);
  EXPECT_NE(network.path(kAcross).fault, nullptr);
  EXPECT_EQ(network.path({.client = "b", .target = "b"}).fault, nullptr);
  network.restore("a");
  EXPECT_TRUE(network.path(kRegional).plain());
}

TEST(ZoneNetwork, AnIsolatedZoneKeepsWhatIsWhollyInIt) {
  Network network = three_zones();
  network.set_fault("a", {.kind = Fault::Kind::isolated});
  EXPECT_NE(network.path(kRegional).fault, nullptr);  // the rest of the file system is beyond the border
  EXPECT_EQ(network.path(kOneZone).fault, nullptr);
  EXPECT_NE(network.path(kAcross).fault, nullptr);
}

TEST(Throughput, BurstingRatesFollowTheSize) {
  const Rates small = rates_of({});
  EXPECT_DOUBLE_EQ(small.baseline, 1 * kMiB);
  EXPECT_DOUBLE_EQ(small.burst, 100 * kMiB);
  EXPECT_DOUBLE_EQ(small.credits_max, 2.1 * kTiB);
  const Rates hundred = rates_of({.size_bytes = static_cast<std::uint64_t>(100 * kGiB)});
  EXPECT_DOUBLE_EQ(hundred.baseline, 5000 * kKiB);
  const Rates large = rates_of({.size_bytes = static_cast<std::uint64_t>(2 * kTiB)});
  EXPECT_DOUBLE_EQ(large.baseline, 100 * kMiB);
  EXPECT_DOUBLE_EQ(large.burst, 200 * kMiB);
  EXPECT_DOUBLE_EQ(large.credits_max, 4.2 * kTiB);
}

TEST(Throughput, ProvisionedCountsUnlessTheSizeEarnsMore) {
  Allowance allowance{.mode = ThroughputMode::provisioned, .provisioned_mibps = 8};
  EXPECT_DOUBLE_EQ(rates_of(allowance).burst, 8 * kMiB);
  EXPECT_DOUBLE_EQ(rates_of(allowance).baseline, 8 * kMiB);
  allowance.size_bytes = static_cast<std::uint64_t>(2 * kTiB);
  EXPECT_DOUBLE_EQ(rates_of(allowance).baseline, 100 * kMiB);
  EXPECT_FALSE(rates_of({.mode = ThroughputMode::elastic}).limited);
}

TEST(Throughput, ReadsAreMeteredAtAThirdAndEverythingInSteps) {
  EXPECT_DOUBLE_EQ(metered_read(3 << 20), kMiB);
  EXPECT_DOUBLE_EQ(metered_write(1 << 20), kMiB);
  EXPECT_DOUBLE_EQ(metered_write(1), 4 * kKiB);
  EXPECT_DOUBLE_EQ(metered_metadata(), 4 * kKiB);
}

TEST(ThroughputBucket, BurstsWhileThereAreCreditsThenFallsToTheBaseline) {
  const Rates rates = rates_of({});
  Bucket bucket(10 * kMiB, kStart);
  TimePoint now = kStart;
  for (int i = 0; i < 10; ++i) now = bucket.take(rates, kMiB, now);
  EXPECT_EQ(now - kStart, 90ms);  // ten at 100 MiB/s, the last of which has only begun
  EXPECT_NEAR(bucket.credits(rates, now), 0.09 * kMiB, 1000);
  for (int i = 0; i < 10; ++i) now = bucket.take(rates, kMiB, now);
  EXPECT_GT(now - kStart, 8s);
  EXPECT_LT(now - kStart, 11s);
}

TEST(ThroughputBucket, CreditsGrowAtTheBaselineUpToTheirLimit) {
  const Rates rates = rates_of({});
  Bucket bucket(0, kStart);
  EXPECT_DOUBLE_EQ(bucket.credits(rates, kStart + 60s), 60 * kMiB);
  EXPECT_DOUBLE_EQ(bucket.permitted(rates, kStart), rates.baseline);
  EXPECT_DOUBLE_EQ(bucket.permitted(rates, kStart + 1s), rates.burst);
  EXPECT_DOUBLE_EQ(bucket.credits(rates, kStart + std::chrono::hours(24 * 365)), rates.credits_max);
}

TEST(ThroughputBucket, HoldsTheRateOverAnyNumberOfSmallRequests) {
  const Rates rates = rates_of({.mode = ThroughputMode::provisioned, .provisioned_mibps = 1});
  Bucket bucket(0, kStart);
  TimePoint now = kStart;
  for (int i = 0; i < 2560; ++i) now = std::max(now, bucket.take(rates, metered_write(4096), now));
  EXPECT_NEAR(std::chrono::duration<double>(now - kStart).count(), 10, 0.01);
}

std::vector<std::byte> message(std::uint32_t opcode, std::uint64_t unique, std::uint32_t size = 0, std::uint32_t flags = 0) {
  struct {
    fuse_in_header head;
    union {
      fuse_read_in read;
      fuse_write_in write;
      fuse_open_in open;
      fuse_interrupt_in interrupt;
    } body;
  } m{};
  m.head.opcode = opcode;
  m.head.unique = unique;
  m.head.pid = 77;
  m.head.len = sizeof(m);
  if (opcode == FUSE_READ) m.body.read.size = size;
  if (opcode == FUSE_WRITE) m.body.write.size = size;
  if (opcode == FUSE_OPEN) m.body.open.flags = flags;
  if (opcode == FUSE_INTERRUPT) m.body.interrupt.unique = size;
  std::vector<std::byte> bytes(sizeof(m));
  std::memcpy(bytes.data(), &m, sizeof(m));
  return bytes;
}

std::uint64_t unique_of(const Gates::Due& due) {
  fuse_in_header head{};
  std::memcpy(&head, due.message.data(), sizeof(head));
  return head.unique;
}

class GatesOfZones : public testing::Test {
 protected:
  using Kind = Gates::Verdict::Kind;

  Kind ask(std::uint32_t opcode, std::uint64_t unique, std::uint32_t size = 0, std::uint32_t flags = 0) {
    verdict_ = gates_.judge(1, message(opcode, unique, size, flags));
    return verdict_.kind;
  }
  void set_fault(Fault fault) {
    Network network = three_zones();
    network.set_fault("a", fault);
    gates_.set_network(network);
  }

  ManualClock clock_{kStart};
  std::set<std::uint32_t> killed_;
  Gates gates_{clock_, [this](std::uint32_t pid) { return killed_.contains(pid); }};
  std::atomic<bool> gated_ = false;
  Gates::Verdict verdict_;
};

TEST_F(GatesOfZones, AMountWithAFreeWayIsNotGated) {
  gates_.join(1, kRegional, "fs-1", false, gated_);
  gates_.set_network(three_zones());
  EXPECT_FALSE(gated_);
  set_fault({});
  EXPECT_TRUE(gated_);
  gates_.set_network(three_zones());
  EXPECT_FALSE(gated_);
  gates_.set_throughput("fs-1", Allowance{});
  EXPECT_TRUE(gated_);
  gates_.set_throughput("fs-1", std::nullopt);
  EXPECT_FALSE(gated_);
}

TEST_F(GatesOfZones, AMountThatComesWhileItsZoneIsLostIsGated) {
  set_fault({});
  gates_.join(1, kRegional, "fs-1", false, gated_);
  EXPECT_TRUE(gated_);
}

TEST_F(GatesOfZones, RequestsOfALostZoneWaitForItAndThenComeInTheirOrder) {
  gates_.join(1, kRegional, "fs-1", false, gated_);
  set_fault({});
  EXPECT_EQ(ask(FUSE_LOOKUP, 2), Kind::parked);
  EXPECT_EQ(ask(FUSE_WRITE, 4, 100), Kind::parked);
  clock_.advance(std::chrono::hours(1000));
  EXPECT_FALSE(gates_.take());
  EXPECT_EQ(gates_.state(1).parked, 2U);
  gates_.set_network(three_zones());
  EXPECT_EQ(unique_of(gates_.take().value()), 2U);
  EXPECT_EQ(unique_of(gates_.take().value()), 4U);
  EXPECT_FALSE(gates_.take());
}

TEST_F(GatesOfZones, WhatLetsGoNeverWaits) {
  gates_.join(1, kRegional, "fs-1", false, gated_);
  set_fault({});
  for (const std::uint32_t opcode : {FUSE_FORGET, FUSE_BATCH_FORGET, FUSE_RELEASE, FUSE_RELEASEDIR, FUSE_FLUSH, FUSE_INIT}) {
    EXPECT_EQ(ask(opcode, 2), Kind::pass) << opcode;
  }
}

TEST_F(GatesOfZones, APatienceIsNotBegunAnewWhenTheNetworkChangesElsewhere) {
  gates_.join(1, kRegional, "fs-1", false, gated_);
  const Fault soft{Fault::Kind::lost, Fault::Clients::fail, 10s};
  set_fault(soft);
  EXPECT_EQ(ask(FUSE_GETATTR, 2), Kind::parked);
  clock_.advance(6s);
  Network network = three_zones();
  network.set_fault("a", soft);
  network.set_fault("c", soft);
  gates_.set_network(network);
  clock_.advance(4s);
  const auto due = gates_.take();
  ASSERT_TRUE(due);
  EXPECT_EQ(due->error, EIO);
}

TEST_F(GatesOfZones, AWaitingThreadThatIsKilledIsLetGoAndNoOtherIs) {
  gates_.join(1, kRegional, "fs-1", false, gated_);
  set_fault({});
  EXPECT_EQ(ask(FUSE_LOOKUP, 2), Kind::parked);
  EXPECT_EQ(ask(FUSE_INTERRUPT, 3, 999), Kind::pass);  // of a request that does not wait here
  EXPECT_EQ(ask(FUSE_INTERRUPT, 3, 2), Kind::done);
  EXPECT_FALSE(gates_.take());
  killed_.insert(77);
  const auto due = gates_.take();
  ASSERT_TRUE(due);
  EXPECT_EQ(due->error, EINTR);
  EXPECT_EQ(gates_.state(1).parked, 0U);
}

TEST_F(GatesOfZones, AReadOnlyCopyRefusesWhatWouldChangeIt) {
  gates_.join(1, kRegional, "fs-1", false, gated_);
  set_fault({Fault::Kind::lost, Fault::Clients::read_only});
  EXPECT_EQ(ask(FUSE_READ, 2, 4096), Kind::pass);
  EXPECT_EQ(ask(FUSE_OPEN, 4, 0, O_RDONLY), Kind::pass);
  for (const std::uint32_t opcode : {FUSE_WRITE, FUSE_MKDIR, FUSE_UNLINK, FUSE_RENAME2, FUSE_SETATTR, FUSE_CREATE}) {
    EXPECT_EQ(ask(opcode, 6), Kind::refused) << opcode;
    EXPECT_EQ(verdict_.error, EROFS);
  }
  EXPECT_EQ(ask(FUSE_OPEN, 8, 0, O_RDWR), Kind::refused);
  EXPECT_EQ(ask(FUSE_OPEN, 8, 0, O_RDONLY | O_TRUNC), Kind::refused);
}

TEST_F(GatesOfZones, LatencyHoldsARequestUntilExactlyThen) {
  gates_.join(1, kRegional, "fs-1", false, gated_);
  Network network = three_zones();
  network.set_latency("a", "a", 2ms);
  network.set_latency("a", "b", 3ms);
  network.set_latency("a", "c", 9ms);
  gates_.set_network(network);
  EXPECT_EQ(ask(FUSE_MKDIR, 2), Kind::parked);  // 2 ms, and 3 until the second zone has it
  EXPECT_EQ(ask(FUSE_LOOKUP, 4), Kind::parked);
  clock_.advance(2ms - 1us);
  EXPECT_FALSE(gates_.take());
  clock_.advance(1us);
  EXPECT_EQ(unique_of(gates_.take().value()), 4U);
  EXPECT_FALSE(gates_.take());
  clock_.advance(3ms);
  EXPECT_EQ(unique_of(gates_.take().value()), 2U);
}

TEST_F(GatesOfZones, AllMountsOfAFileSystemShareItsThroughput) {
  std::atomic<bool> other = false, stranger = false;
  gates_.join(1, kRegional, "fs-1", false, gated_);
  gates_.join(2, kRegional, "fs-1", false, other);
  gates_.join(3, kRegional, "fs-2", false, stranger);
  gates_.set_throughput("fs-1", Allowance{.mode = ThroughputMode::provisioned, .provisioned_mibps = 1});
  EXPECT_TRUE(other);
  EXPECT_FALSE(stranger);
  EXPECT_EQ(ask(FUSE_WRITE, 2, 1 << 20), Kind::pass);
  EXPECT_EQ(gates_.judge(2, message(FUSE_WRITE, 4, 1 << 20)).kind, Kind::parked);
  EXPECT_EQ(gates_.judge(3, message(FUSE_WRITE, 6, 1 << 20)).kind, Kind::pass);
  clock_.advance(1s - 1us);
  EXPECT_FALSE(gates_.take());
  clock_.advance(1us);
  EXPECT_EQ(gates_.take().value().client, 2U);
}

TEST_F(GatesOfZones, ALimitThatIsLiftedLetsGoOfWhatItHeld) {
  gates_.join(1, kRegional, "fs-1", false, gated_);
  gates_.set_throughput("fs-1", Allowance{.mode = ThroughputMode::provisioned, .provisioned_mibps = 1});
  EXPECT_EQ(ask(FUSE_WRITE, 2, 1 << 20), Kind::pass);
  EXPECT_EQ(ask(FUSE_WRITE, 4, 1 << 20), Kind::parked);
  gates_.set_throughput("fs-1", std::nullopt);
  EXPECT_TRUE(gates_.take());
}

TEST_F(GatesOfZones, TheCreditsOutliveAChangeOfTheAllowance) {
  gates_.set_throughput("fs-1", Allowance{}, 10 * kMiB);
  gates_.set_throughput("fs-1", Allowance{.size_bytes = 1 << 30}, 99 * kMiB);
  EXPECT_DOUBLE_EQ(gates_.throughput().at(0).credits, 10 * kMiB);
}

TEST_F(GatesOfZones, WhatIsMeteredIsCopiedByReadsAndWrites) {
  gates_.join(1, kRegional, "fs-1", true, gated_);
  EXPECT_TRUE(gated_);
  EXPECT_EQ(ask(FUSE_READ, 2, 4096), Kind::pass);
  EXPECT_EQ(ask(FUSE_COPY_FILE_RANGE, 4), Kind::refused);
  EXPECT_EQ(verdict_.error, EOPNOTSUPP);
}

TEST_F(GatesOfZones, AMountThatEndsTakesItsRequestsAlong) {
  gates_.join(1, kRegional, "fs-1", false, gated_);
  set_fault({});
  EXPECT_EQ(ask(FUSE_LOOKUP, 2), Kind::parked);
  EXPECT_EQ(ask(FUSE_INTERRUPT, 3, 2), Kind::done);
  gates_.leave(1);
  killed_.insert(77);
  gates_.set_network({});
  EXPECT_FALSE(gates_.take());
}

}  // namespace
}  // namespace berth::fuse::zones
