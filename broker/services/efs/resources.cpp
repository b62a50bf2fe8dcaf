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
  for (const auto& id : {text("FileSystemId"), text("ResourceId"), text("AccessPointId")}) {
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

}  // namespace

api::ResourcesOf named_resource(const Parts& parts) {
  return [&plane = parts.plane](const CallContext&, const Json& input) -> Outcome<std::vector<ResourceAccess>> {
    auto access = plane.read([&](const Control& c) { return access_to(named_in(input, c.catalog), plane, c.catalog); });
    add_request_tags(access, input);
    return std::vector{std::move(access)};
  };
}

api::ResourcesOf new_file_system(const Parts& parts) {
  return [&plane = parts.plane](const CallContext&, const Json& input) -> Outcome<std::vector<ResourceAccess>> {
    ResourceAccess access{.arn = arn_of(plane, "file-system/*")};
    access.conditions.emplace("elasticfilesystem:Encrypted", input.value("Encrypted", false) ? "true" : "false");
    add_request_tags(access, input);
    return std::vector{std::move(access)};
  };
}

}  // namespace berth::services::efs
