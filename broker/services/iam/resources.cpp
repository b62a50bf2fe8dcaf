#include "broker/services/iam/resources.hpp"

#include <nlohmann/json.hpp>

#include "broker/base/arn.hpp"
#include "broker/control/control_plane.hpp"

namespace berth::services::iam {

namespace {

using api::CallContext;
using api::Json;
using api::ResourceAccess;
using credentials::Identities;
using Resources = api::Outcome<std::vector<ResourceAccess>>;

// Keys that the input brings whatever it names.
void add_request_keys(ResourceAccess& access, const Json& input) {
  if (input.contains("Tags")) {
    for (const auto& tag : input["Tags"]) {
      const auto key = tag.at("Key").get<std::string>();
      access.conditions.emplace("aws:RequestTag/" + key, tag.value("Value", ""));
      access.conditions.emplace("aws:TagKeys", key);
    }
  }
  if (input.contains("TagKeys")) {
    for (const auto& key : input["TagKeys"]) access.conditions.emplace("aws:TagKeys", key.get<std::string>());
  }
  if (input.contains("PermissionsBoundary"))
    access.conditions.emplace("iam:PermissionsBoundary", input["PermissionsBoundary"].get<std::string>());
  if (input.contains("PolicyArn")) access.conditions.emplace("iam:PolicyARN", input["PolicyArn"].get<std::string>());
}

// The record's ARN and tags; what is not there yet has the ARN that it would get.
template <class Record>
ResourceAccess access_to(const Record* record, const Identities& identities, std::string_view type, const std::string& name,
                         const Json& input) {
  ResourceAccess access;
  const auto path = input.value("Path", "/");
  access.arn = record ? record->arn
                      : Arn{.service = "iam", .account = identities.account(), .resource = std::string(type) + path + name}.str();
  if (record) {
    for (const auto& [key, value] : record->tags) {
      access.conditions.emplace("aws:ResourceTag/" + key, value);
      access.conditions.emplace("iam:ResourceTag/" + key, value);
    }
  }
  add_request_keys(access, input);
  return access;
}

ResourceAccess role_access(const Identities& identities, const Json& input) {
  const auto name = input.at("RoleName").get<std::string>();
  const auto* role = identities.find_role(name);
  auto access = access_to(role, identities, "role", name, input);
  // IAM's iam:PermissionsBoundary also speaks of the boundary that the role has.
  if (role && !role->permissions_boundary.empty() && !input.contains("PermissionsBoundary")) {
    access.conditions.emplace("iam:PermissionsBoundary", role->permissions_boundary);
  }
  return access;
}

ResourceAccess profile_access(const Identities& identities, const Json& input) {
  const auto name = input.at("InstanceProfileName").get<std::string>();
  return access_to(identities.find_instance_profile(name), identities, "instance-profile", name, input);
}

}  // namespace

api::ResourcesOf role_resource(control::ControlPlane& plane) {
  return [&plane](const CallContext&, const Json& input) -> Resources {
    return std::vector{role_access(*plane.identities(), input)};
  };
}

api::ResourcesOf user_resource(control::ControlPlane& plane) {
  return [&plane](const CallContext& context, const Json& input) -> Resources {
    const auto identities = plane.identities();
    const auto name = input.value("UserName", context.caller.name);
    return std::vector{access_to(identities->find_user(name), *identities, "user", name, input)};
  };
}

api::ResourcesOf policy_resource(control::ControlPlane& plane) {
  return [&plane](const CallContext&, const Json& input) -> Resources {
    const auto identities = plane.identities();
    if (!input.contains("PolicyArn")) {
      return std::vector{access_to<credentials::ManagedPolicy>(nullptr, *identities, "policy", input.at("PolicyName"), input)};
    }
    const auto arn = input["PolicyArn"].get<std::string>();
    auto access = access_to(identities->find_policy(arn), *identities, "policy", "", input);
    access.arn = arn;
    return std::vector{std::move(access)};
  };
}

api::ResourcesOf instance_profile_resource(control::ControlPlane& plane) {
  return [&plane](const CallContext&, const Json& input) -> Resources {
    return std::vector{profile_access(*plane.identities(), input)};
  };
}

api::ResourcesOf profile_and_passed_role(control::ControlPlane& plane) {
  return [&plane](const CallContext&, const Json& input) -> Resources {
    const auto identities = plane.identities();
    auto role = role_access(*identities, input);
    role.action = "iam:PassRole";
    role.conditions.emplace("iam:PassedToService", "ec2.amazonaws.com");
    return std::vector{profile_access(*identities, input), std::move(role)};
  };
}

}  // namespace berth::services::iam
