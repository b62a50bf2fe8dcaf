// IAM's and STS's tables over a real control plane, called as the dispatcher calls them: resources first, then the handler.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "broker/api/operation.hpp"
#include "tests/support/control_world.hpp"

namespace berth::testing {

class IdentityWorld : public ::testing::Test {
 protected:
  using Json = api::Json;

  static const api::Operation& row(const api::Service& service, const std::string& name) {
    for (const auto& operation : service.operations) {
      if (operation.name == name) return operation;
    }
    throw std::runtime_error(name + " is not in the table of " + service.model);
  }

  api::Outcome<Json> call(const api::Service& service, const std::string& name, const Json& input) {
    const auto& operation = row(service, name);
    accesses = {};
    if (!operation.needs_no_permission) {
      auto found = operation.resources(context(), input);
      if (!found) return std::unexpected(found.error());
      accesses = *std::move(found);
    }
    return operation.handle(context(), input);
  }

  Json must(const api::Service& service, const std::string& name, const Json& input) {
    auto answer = call(service, name, input);
    if (!answer) throw std::runtime_error(name + ": " + answer.error().code + ": " + answer.error().message);
    return *std::move(answer);
  }

  // `Code: message`, or the answer that should not have come.
  std::string refusal(const api::Service& service, const std::string& name, const Json& input) {
    const auto answer = call(service, name, input);
    return answer ? "answered " + answer->dump() : answer.error().code + ": " + answer.error().message;
  }

  api::CallContext context() {
    api::CallContext context;
    context.caller = caller;
    context.account = kAccount;
    context.now = world.clock().now();
    context.region = "us-east-1";
    return context;
  }

  ControlWorld world;
  // Who calls; the administrator at first.
  credentials::Principal caller{.kind = credentials::Principal::Kind::user,
                                .account = kAccount,
                                .arn = "arn:aws:iam::123456789012:user/berth-admin",
                                .unique_id = world.plane().identities()->find_user("berth-admin")->id,
                                .name = "berth-admin",
                                .access_key_id = world.plane().identities()->administrator().key->id};
  std::vector<api::ResourceAccess> accesses;  // of the last call
};

}  // namespace berth::testing
