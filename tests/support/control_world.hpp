// A real control plane over a real store in a directory of its own, with a clock and chance that the test holds.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "broker/base/clock.hpp"
#include "broker/base/random.hpp"
#include "broker/control/control_plane.hpp"
#include "broker/store/store.hpp"

namespace berth::testing {

inline constexpr const char* kAccount = "123456789012";

class ControlWorld {
 public:
  ControlWorld() {
    std::string name = (std::filesystem::temp_directory_path() / "berth-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    directory_ = name;
    open();
  }
  ~ControlWorld() {
    plane_.reset();
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  ControlWorld(const ControlWorld&) = delete;
  ControlWorld& operator=(const ControlWorld&) = delete;

  // What a daemon that starts again would find.
  void restart() {
    plane_.reset();
    store_.reset();
    open();
  }

  control::ControlPlane& plane() { return *plane_; }
  const std::string& directory() const { return directory_; }
  ManualClock& clock() { return clock_; }
  Random& random() { return random_; }

  struct Network {
    cluster_sim::VpcId vpc;
    cluster_sim::SubnetId subnet_a, subnet_b;
  };
  // A VPC with a subnet in each of the two zones.
  Network make_network() {
    Network network;
    decide([&](control::Control& c) {
      network.vpc = c.cluster.create_vpc(c.random, *cluster_sim::parse_cidr("10.0.0.0/16"), {}).value();
      network.subnet_a =
          c.cluster.create_subnet(c.random, network.vpc, "us-east-1a", *cluster_sim::parse_cidr("10.0.1.0/24"), {}).value();
      network.subnet_b =
          c.cluster.create_subnet(c.random, network.vpc, "us-east-1b", *cluster_sim::parse_cidr("10.0.2.0/24"), {}).value();
    });
    return network;
  }

  template <class F>
  void decide(F&& f) {
    const auto done = plane_->with([&](control::Control& c) { f(c); });
    if (!done) throw std::runtime_error(done.error().message);
  }

 private:
  void open() {
    auto store = store::Store::open(directory_ + "/berth.db");
    if (!store) throw std::runtime_error(store.error().message);
    store_ = std::move(*store);
    auto plane = control::ControlPlane::open({.account = kAccount}, *store_, clock_, random_);
    if (!plane) throw std::runtime_error(plane.error().message);
    plane_ = std::move(*plane);
  }

  std::string directory_;
  ManualClock clock_{*parse_time("2026-11-23T05:00:00Z")};
  SeededRandom random_{1};
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<control::ControlPlane> plane_;
};

}  // namespace berth::testing
