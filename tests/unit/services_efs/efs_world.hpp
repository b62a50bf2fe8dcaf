// The EFS service over a real control plane, called as the dispatcher calls it.
#pragma once

#include <map>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "broker/services/efs/service.hpp"
#include "tests/support/control_world.hpp"

namespace berth::services::efs {

using api::Json;

class EfsWorld : public ::testing::Test {
 protected:
  EfsWorld() { make(); }

  void make() { service = make_service(parts()); }

  Parts parts() {
    return {.plane = world.plane(),
            .backing = {.make = [this](const fuse::FileSystemId& id) -> Result<> {
                          if (disk_is_full) return fail(Code::io, "no space left on device");
                          directories.insert(id.str());
                          return {};
                        },
                        .remove = [this](const fuse::FileSystemId& id) -> Result<> {
                          if (disk_is_full) return fail(Code::io, "no space left on device");
                          directories.erase(id.str());
                          return {};
                        },
                        .measure = [](const fuse::FileSystemId&) -> Result<std::uint64_t> { return 8192; }},
            .access_changed = [this] { ++access_changes; }};
  }

  api::Outcome<Json> call(const std::string& operation, const Json& input) {
    for (const auto& row : service.operations)
      if (row.name == operation) return row.handle(context(), input);
    ADD_FAILURE() << operation << " is not in the table";
    return api::refuse("", "");
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
    c.caller.name = "berth-admin";
    c.now = world.clock().now();
    c.region = "us-east-1";
    return c;
  }

  std::string make_file_system(const std::string& token = "t") {
    return must("CreateFileSystem", {{"CreationToken", token}})["FileSystemId"];
  }

  testing::ControlWorld world;
  std::set<std::string> directories;
  bool disk_is_full = false;
  int access_changes = 0;
  api::Service service;
};

}  // namespace berth::services::efs
