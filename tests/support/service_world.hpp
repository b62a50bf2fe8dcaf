// Services over a real control plane, called as the dispatcher calls them: resources first, then the handler. `World` is
// ControlWorld or one that is made from it; what derives from this puts its services' tables into `services()`.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "broker/api/operation.hpp"
#include "tests/support/control_world.hpp"

namespace berth::testing {

template <class World = ControlWorld>
class ServiceWorld : public ::testing::Test {
 protected:
  using Json = api::Json;

  // Where two services have an operation of one name, the first one's is called.
  virtual std::vector<const api::Service*> services() const = 0;

  const api::Operation& row(const std::string& name) const {
    for (const auto* service : services()) {
      for (const auto& operation : service->operations) {
        if (operation.name == name) return operation;
      }
    }
    throw std::runtime_error(name + " is in no table");
  }

  virtual api::Outcome<Json> call(const std::string& name, const Json& input) {
    const auto& operation = row(name);
    accesses = {};
    if (!operation.needs_no_permission) {
      auto found = operation.resources(context(), input);
      if (!found) return std::unexpected(found.error());
      accesses = *std::move(found);
    }
    return operation.handle(context(), input);
  }

  // The answer of a call that must succeed.
  Json must(const std::string& name, const Json& input) {
    auto answer = call(name, input);
    if (!answer) throw std::runtime_error(name + ": " + answer.error().code + ": " + answer.error().message);
    return *std::move(answer);
  }
  // "Code: message" of a call that must fail; or the answer that should not have come.
  std::string refusal(const std::string& name, const Json& input) {
    const auto answer = call(name, input);
    return answer ? "answered " + answer->dump() : answer.error().code + ": " + answer.error().message;
  }
  std::string code_of(const std::string& name, const Json& input) {
    const auto answer = call(name, input);
    return answer ? "answered " + answer->dump() : answer.error().code;
  }
  // What the dispatcher would authorize.
  std::vector<api::ResourceAccess> resources(const std::string& name, const Json& input) {
    auto list = row(name).resources(context(), input);
    if (!list) throw std::runtime_error(name + ": " + list.error().message);
    return *std::move(list);
  }

  api::CallContext context() {
    api::CallContext context;
    context.caller = caller;
    context.account = kAccount;
    context.now = world.clock().now();
    context.region = "us-east-1";
    return context;
  }

  World world;
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
