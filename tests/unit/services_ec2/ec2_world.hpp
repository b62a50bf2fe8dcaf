// EC2 and Auto Scaling over a real control plane.
#pragma once

#include <string>
#include <vector>

#include "broker/services/autoscaling/service.hpp"
#include "broker/services/ec2/service.hpp"
#include "tests/support/service_world.hpp"

namespace berth::services::ec2 {

using api::Json;

class Ec2World : public testing::ServiceWorld<> {
 protected:
  std::vector<const api::Service*> services() const override { return {&ec2, &autoscaling}; }

  std::string make_vpc() { return must("CreateVpc", {{"CidrBlock", "10.0.0.0/16"}})["Vpc"]["VpcId"]; }
  std::string make_subnet(const std::string& vpc, const std::string& block = "10.0.1.0/24",
                          const std::string& zone = "us-east-1a") {
    return must("CreateSubnet", {{"VpcId", vpc}, {"CidrBlock", block}, {"AvailabilityZone", zone}})["Subnet"]["SubnetId"];
  }

  api::Service ec2 = make_ec2(world.plane());
  api::Service autoscaling = services::autoscaling::make_autoscaling(world.plane());
};

}  // namespace berth::services::ec2
