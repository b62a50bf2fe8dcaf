#include "broker/services/efs/resources.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "broker/control/control_plane.hpp"
#include "broker/services/efs/records.hpp"

namespace berth::services::efs {

using api::CallContext;
using api::Json;
using api::Outcome;
using api::ResourceAccess;
using control::Control;

namespace {

std::string arn_of(const control::ControlPlane& plane, std::string_view resource) {
  return fmt::format("arn:aws:elasticfilesystem:{}:{}:{}", plane.region(), plane.account(), resource);
}

void add_request_tags(ResourceAccess& access, const Json& input) {
  if (const auto tags = input.find("Tags"); tags != input.end())
    for (const auto& tag : *tags) {
      const auto key = tag.at("Key").get<std::string>();
      access.conditions.emplace("aws:RequestTag/" + key, tag.at("Value").get<std::string>());
      access.conditions.emplace("aws:TagKeys", key);
    }
  if (const auto keys = input.find("TagKeys"); keys != input.end())
    for (const auto& key : *keys) access.conditions.emplace("aws:TagKeys", key.get<std::string>());
}

void add_resource_tags(ResourceAccess& access, const fuse::Tags& tags) {
  for (const auto& [key, value] : tags) access.conditions.emplace("aws:ResourceTag/" + key, value);
}

// What the input names, as "file-system/fs-..." or "access-point/fsap-..."; "file-system/*" where it names nothing.
std::string named_in(const Json& input, const fuse::Catalog& catalog) {
  const auto text = [&](const char* member) { return bare_id(input.value(member, std::string())); };
  for (const auto& id : {text("FileSystemId"), text("SourceFileSystemId"), text("ResourceId"), text("AccessPointId")}) {
    if (id.starts_with("fs-")) return "file-system/" + id;
    if (id.starts_with("fsap-")) return "access-point/" + id;
  }
  const auto* target = catalog.find(fuse::MountTargetId(text("MountTargetId")));
  return target != nullptr ? "file-system/" + target->file_system.str() : std::string("file-system/*");
}

ResourceAccess access_to(const std::string& name, const control::ControlPlane& plane, const fuse::Catalog& catalog) {
  ResourceAccess access{.arn = arn_of(plane, name)};
  if (const auto* file_system = catalog.find(fuse::FileSystemId(bare_id(name)))) {
    add_resource_tags(access, file_system->tags);
    access.resource_policy = file_system->policy;
  } else if (const auto* access_point = catalog.find(fuse::AccessPointId(bare_id(name)))) {
    add_resource_tags(access, access_point->tags);
  }
  return access;
}

// Who makes something with tags must be allowed to tag it.
// https://docs.aws.amazon.com/efs/latest/ug/API_CreateFileSystem.html
void ask_to_tag(std::vector<ResourceAccess>& accesses, const std::string& arn, const char* create_action, const Json& input) {
  if (const auto tags = input.find("Tags"); tags == input.end() || tags->empty()) return;
  ResourceAccess access{.arn = arn, .conditions = {}, .action = "elasticfilesystem:TagResource", .resource_policy = {}};
  access.conditions.emplace("elasticfilesystem:CreateAction", create_action);
  add_request_tags(access, input);
  accesses.push_back(std::move(access));
}

ResourceAccess ec2_access(const control::ControlPlane& plane, const char* action, const std::string& resource = "") {
  return {.arn = resource.empty() ? "*" : fmt::format("arn:aws:ec2:{}:{}:{}", plane.region(), plane.account(), resource),
          .conditions = {},
          .action = action,
          .resource_policy = {}};
}

}  // namespace

api::ResourcesOf new_access_point(const Parts& parts) {
  return [&plane = parts.plane, named = named_resource(parts)](const CallContext& context, const Json& input) {
    auto accesses = named(context, input);
    if (accesses) ask_to_tag(*accesses, arn_of(plane, "access-point/*"), "CreateAccessPoint", input);
    return accesses;
  };
}

api::ResourcesOf new_mount_target(const Parts& parts) {
  return [&plane = parts.plane, named = named_resource(parts)](const CallContext& context, const Json& input) {
    auto accesses = named(context, input);
    if (!accesses) return accesses;
    accesses->push_back(ec2_access(plane, "ec2:DescribeSubnets"));
    accesses->push_back(ec2_access(plane, "ec2:DescribeNetworkInterfaces"));
    accesses->push_back(ec2_access(plane, "ec2:CreateNetworkInterface", "subnet/" + input.at("SubnetId").get<std::string>()));
    accesses->push_back(ec2_access(plane, "ec2:CreateNetworkInterface", "network-interface/*"));
    return accesses;
  };
}

api::ResourcesOf mount_target_interface(const Parts& parts, const char* action) {
  return [&plane = parts.plane, named = named_resource(parts), action](const CallContext& context, const Json& input) {
    auto accesses = named(context, input);
    if (!accesses) return accesses;
    const auto interface = plane.read([&](const Control& c) {
      const auto* target = c.catalog.find(fuse::MountTargetId(input.at("MountTargetId").get<std::string>()));
      return target == nullptr ? std::string("*") : target->interface;
    });
    accesses->push_back(ec2_access(plane, action, "network-interface/" + interface));
    return accesses;
  };
}

api::ResourcesOf named_resource(const Parts& parts) {
  return [&plane = parts.plane](const CallContext&, const Json& input) -> Outcome<std::vector<ResourceAccess>> {
    auto access = plane.read([&](const Control& c) { return access_to(named_in(input, c.catalog), plane, c.catalog); });
    add_request_tags(access, input);
    return std::vector{std::move(access)};
  };
}

api::ResourcesOf new_replication(const Parts& parts) {
  return [&plane = parts.plane](const CallContext&, const Json& input) -> Outcome<std::vector<ResourceAccess>> {
    const auto access_to_file_system = [&](const std::string& id) {
      return plane.read([&](const Control& c) { return access_to("file-system/" + bare_id(id), plane, c.catalog); });
    };
    std::vector accesses{access_to_file_system(input.at("SourceFileSystemId"))};
    for (const auto& destination : input.at("Destinations")) {
      if (destination.contains("FileSystemId")) {
        accesses.push_back(access_to_file_system(destination.at("FileSystemId")));
      } else {
        accesses.push_back({.arn = arn_of(plane, "file-system/*"),
                            .conditions = {{"elasticfilesystem:Encrypted", "true"}},
                            .action = "elasticfilesystem:CreateFileSystem",
                            .resource_policy = {}});
      }
      if (destination.contains("RoleArn"))
        accesses.push_back({.arn = destination.at("RoleArn"),
                            .conditions = {{"iam:PassedToService", "elasticfilesystem.amazonaws.com"}},
                            .action = "iam:PassRole",
                            .resource_policy = {}});
    }
    return accesses;
  };
}

api::ResourcesOf new_file_system(const Parts& parts) {
  return [&plane = parts.plane](const CallContext&, const Json& input) -> Outcome<std::vector<ResourceAccess>> {
    ResourceAccess access{.arn = arn_of(plane, "file-system/*")};
    access.conditions.emplace("elasticfilesystem:Encrypted", input.value("Encrypted", false) ? "true" : "false");
    add_request_tags(access, input);
    std::vector accesses{std::move(access)};
    ask_to_tag(accesses, arn_of(plane, "file-system/*"), "CreateFileSystem", input);
    return accesses;
  };
}

}  // namespace berth::services::efs
