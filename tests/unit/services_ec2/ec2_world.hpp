// EC2 and Auto Scaling over a real control plane, called as the dispatcher calls them.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "broker/services/autoscaling/service.hpp"
#include "broker/services/ec2/service.hpp"
#include "tests/support/control_world.hpp"

namespace berth::services::ec2 {

using api::Json;

class Ec2World : public ::testing::Test {
 protected:
  static const api::Operation* find(const api::Service& service, const std::string& operation) {
    for (const auto& row : service.operations) {
      if (row.name == operation) return &row;
    }
    return nullptr;
  }
  api::Outcome<Json> call(const std::string& operation, const Json& input) {
    const api::Operation* row = find(ec2, operation);
    if (!row) row = find(autoscaling, operation);
    if (!row) throw std::runtime_error(operation + " is not in the tables");
    if (auto resources = row->resources(context(), input); !resources) return std::unexpected(resources.error());
    return row->handle(context(), input);
  }
  // The answer of a call that must succeed.
  Json must(const std::string& operation, const Json& input) {
    auto answer = call(operation, input);
    if (!answer) ADD_FAILURE() << operation << ": " << answer.error().code << ": " << answer.error().message;
    return answer.value_or(Json::object());
  }
  // The error code of a call that must fail.
  std::string code_of(const std::string& operation, const Json& input) {
    const auto answer = call(operation, input);
    return answer ? "answered " + answer->dump() : answer.error().code;
  }
  api::CallContext context() {
    api::CallContext c;
    c.caller.account = c.account = testing::kAccount;
    c.caller.arn = "arn:aws:iam::123456789012:user/berth-admin";
    c.now = world.clock().now();
    c.region = "us-east-1";
    return c;
  }

  std::string make_vpc() { return must("CreateVpc", {{"CidrBlock", "10.0.0.0/16"}})["Vpc"]["VpcId"]; }
  std::string make_subnet(const std::string& vpc, const std::string& block = "10.0.1.0/24",
                          const std::string& zone = "us-east-1a") {
    return must("CreateSubnet", {{"VpcId", vpc}, {"CidrBlock", block}, {"AvailabilityZone", zone}})["Subnet"]["SubnetId"];
  }

  testing::ControlWorld world;
  api::Service ec2 = make_ec2(world.plane());
  api::Service autoscaling = services::autoscaling::make_autoscaling(world.plane());
};

}  // namespace berth::services::ec2
