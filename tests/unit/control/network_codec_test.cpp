#include "broker/control/network_codec.hpp"

#include <gtest/gtest.h>

namespace berth::control {
namespace {

using namespace std::chrono_literals;
using fuse::zones::Fault;
using fuse::zones::Network;

TEST(NetworkCodec, WhatIsWrittenIsReadBack) {
  Network network({"a", "b", "c"});
  network.set_latency("c", "a", 1500us);
  network.set_latency("b", "b", 1us);
  network.set_fault("a", {Fault::Kind::isolated, Fault::Clients::fail, 250ms});
  network.set_fault("b", {Fault::Kind::lost, Fault::Clients::read_only});
  Network back({"a", "b", "c"});
  ASSERT_TRUE(restore_network(back, encode_network(network)));
  EXPECT_EQ(back, network);
}

TEST(NetworkCodec, ZonesThatAreNoMoreAreLeftOut) {
  Network network({"a", "b"});
  network.set_latency("a", "b", 1ms);
  network.set_fault("b", {});
  Network fewer({"a"});
  ASSERT_TRUE(restore_network(fewer, encode_network(network)));
  EXPECT_EQ(fewer, Network({"a"}));
  EXPECT_FALSE(restore_network(fewer, "not JSON"));
  EXPECT_FALSE(restore_network(fewer, "{}"));
}

}  // namespace
}  // namespace berth::control
