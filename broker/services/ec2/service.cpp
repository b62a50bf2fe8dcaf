#include "broker/services/ec2/service.hpp"

#include "broker/control/control_plane.hpp"
#include "broker/services/ec2/operations.hpp"
#include "broker/services/ec2/tags.hpp"
#include "broker/services/ec2/wire.hpp"

namespace berth::services::ec2 {
namespace {

using api::ResourceAccess;
using api::ResourcesOf;
using Accesses = Outcome<std::vector<ResourceAccess>>;

std::string arn_of(const ControlPlane& plane, std::string_view type, std::string_view id) {
  // Images are nobody's.
  return fmt::format("arn:aws:ec2:{}:{}:{}/{}", plane.region(), type == "image" ? "" : plane.account(), type, id);
}

void add_request_tags(ResourceAccess& access, const Json& tags) {
  for (const auto& tag : tags) {
    access.conditions.emplace("aws:RequestTag/" + text(tag, "Key"), text(tag, "Value"));
    access.conditions.emplace("aws:TagKeys", text(tag, "Key"));
  }
}

ResourceAccess access_to(const ControlPlane& plane, std::string_view type, const std::string& id) {
  ResourceAccess access{.arn = arn_of(plane, type, id), .conditions = {}, .action = {}, .resource_policy = {}};
  const auto tags = plane.read([&](const control::Control& c) {
    const Tags* found = find_tags(c.cluster, id);
    return found ? *found : Tags{};
  });
  for (const auto& [key, value] : tags) access.conditions.emplace("aws:ResourceTag/" + key, value);
  return access;
}

// What is to be made, with the tags it is to have.
ResourceAccess access_to_new(const ControlPlane& plane, std::string_view type, const Json& input) {
  ResourceAccess access{.arn = arn_of(plane, type, "*"), .conditions = {}, .action = {}, .resource_policy = {}};
  for (const auto& specification : input.value("TagSpecifications", Json::array())) {
    if (text(specification, "ResourceType") == type) add_request_tags(access, specification.value("Tags", Json::array()));
  }
  return access;
}

// A new `type`, and what the members of the request name (a subnet in a VPC).
ResourcesOf made(ControlPlane& plane, std::string type, std::vector<std::pair<std::string, std::string>> named = {}) {
  return [&plane, type = std::move(type), named = std::move(named)](const CallContext&, const Json& input) -> Accesses {
    std::vector<ResourceAccess> accesses{access_to_new(plane, type, input)};
    for (const auto& [member, of_type] : named) {
      if (const std::string id = text(input, member.c_str()); !id.empty()) accesses.push_back(access_to(plane, of_type, id));
    }
    return accesses;
  };
}

// What a member names, one id or several; every one of the type where it isn't there.
ResourcesOf named(ControlPlane& plane, std::string member, std::string type) {
  return [&plane, member = std::move(member), type = std::move(type)](const CallContext&, const Json& input) -> Accesses {
    auto ids = texts(input, member.c_str());
    if (const std::string id = text(input, member.c_str()); !id.empty()) ids.push_back(id);
    if (ids.empty()) ids.emplace_back("*");
    std::vector<ResourceAccess> accesses;
    for (const auto& id : ids) accesses.push_back(access_to(plane, type, id));
    return accesses;
  };
}

// A launch template goes by id or by name.
ResourcesOf named_launch_template(ControlPlane& plane) {
  return [&plane](const CallContext&, const Json& input) -> Accesses {
    std::string id = text(input, "LaunchTemplateId");
    if (const std::string name = text(input, "LaunchTemplateName"); id.empty()) {
      id = plane.read([&](const control::Control& c) {
        for (const auto& [key, found] : c.cluster.launch_templates()) {
          if (found.name == name) return key.str();
        }
        return std::string("*");
      });
    }
    return std::vector{access_to(plane, "launch-template", id)};
  };
}

ResourcesOf tagged(ControlPlane& plane) {
  return [&plane](const CallContext&, const Json& input) -> Accesses {
    std::vector<ResourceAccess> accesses;
    for (const auto& id : texts(input, "Resources")) {
      const std::string type = resource_type(id);
      if (type.empty()) return api::refuse("InvalidID", fmt::format("The ID '{}' is not valid", id));
      accesses.push_back(access_to(plane, type, id));
      add_request_tags(accesses.back(), input.value("Tags", Json::array()));
    }
    return accesses;
  };
}

// RunInstances touches all that an instance is made of; the role that it gets must be passed to it.
ResourcesOf launched(ControlPlane& plane) {
  return [&plane](const CallContext&, const Json& input) -> Accesses {
    std::vector<ResourceAccess> accesses{access_to_new(plane, "instance", input),
                                         access_to_new(plane, "network-interface", input), access_to_new(plane, "volume", input)};
    if (const std::string image = text(input, "ImageId"); !image.empty()) {
      const auto* found = cluster_sim::find_image(image);
      accesses.push_back(access_to(plane, "image", found ? std::string(found->id) : image));
    }
    if (const std::string subnet = text(input, "SubnetId"); !subnet.empty())
      accesses.push_back(access_to(plane, "subnet", subnet));
    for (const auto& group : texts(input, "SecurityGroupIds")) accesses.push_back(access_to(plane, "security-group", group));
    auto profile = input.find("IamInstanceProfile");
    if (profile == input.end()) return accesses;
    const std::string arn = text(*profile, "Arn"), name = arn.empty() ? text(*profile, "Name") : arn.substr(arn.rfind('/') + 1);
    const auto identities = plane.identities();
    const auto* found = identities->find_instance_profile(name);
    const auto* role = found ? identities->find_role(found->role) : nullptr;
    if (role)
      accesses.push_back({.arn = role->arn,
                          .conditions = {{"iam:PassedToService", "ec2.amazonaws.com"}},
                          .action = "iam:PassRole",
                          .resource_policy = {}});
    return accesses;
  };
}

}  // namespace

api::Service make_ec2(ControlPlane& plane) {
  const auto row = [&plane](const char* name, ResourcesOf resources, Operation* operation) {
    return api::Operation{name, std::string("ec2:") + name, std::move(resources),
                          [&plane, operation](const CallContext& context, const Json& input) -> Outcome<Json> {
                            if (input.value("DryRun", false))
                              return api::refuse("DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
                            return operation(plane, context, input);
                          }};
  };
  const auto any = api::any_resource();
  return {
      .model = "ec2",
      .signing_names = {"ec2"},
      .operations =
          {
              row("CreateVpc", made(plane, "vpc"), create_vpc),
              row("DescribeVpcs", any, describe_vpcs),
              row("DeleteVpc", named(plane, "VpcId", "vpc"), delete_vpc),
              row("ModifyVpcAttribute", named(plane, "VpcId", "vpc"), modify_vpc_attribute),
              row("DescribeVpcAttribute", named(plane, "VpcId", "vpc"), describe_vpc_attribute),
              row("CreateSubnet", made(plane, "subnet", {{"VpcId", "vpc"}}), create_subnet),
              row("DescribeSubnets", any, describe_subnets),
              row("DeleteSubnet", named(plane, "SubnetId", "subnet"), delete_subnet),
              row("ModifySubnetAttribute", named(plane, "SubnetId", "subnet"), modify_subnet_attribute),
              row("CreateSecurityGroup", made(plane, "security-group", {{"VpcId", "vpc"}}), create_security_group),
              row("DescribeSecurityGroups", any, describe_security_groups),
              row("DeleteSecurityGroup", named(plane, "GroupId", "security-group"), delete_security_group),
              row("AuthorizeSecurityGroupIngress", named(plane, "GroupId", "security-group"), authorize_ingress),
              row("AuthorizeSecurityGroupEgress", named(plane, "GroupId", "security-group"), authorize_egress),
              row("RevokeSecurityGroupIngress", named(plane, "GroupId", "security-group"), revoke_ingress),
              row("RevokeSecurityGroupEgress", named(plane, "GroupId", "security-group"), revoke_egress),
              row("CreateNetworkInterface", made(plane, "network-interface", {{"SubnetId", "subnet"}}), create_network_interface),
              row("DescribeNetworkInterfaces", any, describe_network_interfaces),
              row("DeleteNetworkInterface", named(plane, "NetworkInterfaceId", "network-interface"), delete_network_interface),
              row("CreateLaunchTemplate", made(plane, "launch-template"), create_launch_template),
              row("CreateLaunchTemplateVersion", named_launch_template(plane), create_launch_template_version),
              row("ModifyLaunchTemplate", named_launch_template(plane), modify_launch_template),
              row("DeleteLaunchTemplate", named_launch_template(plane), delete_launch_template),
              row("DescribeLaunchTemplates", any, describe_launch_templates),
              row("DescribeLaunchTemplateVersions", any, describe_launch_template_versions),
              row("RunInstances", launched(plane), run_instances),
              row("TerminateInstances", named(plane, "InstanceIds", "instance"), terminate_instances),
              row("RebootInstances", named(plane, "InstanceIds", "instance"), reboot_instances),
              row("DescribeInstances", any, describe_instances),
              row("DescribeInstanceStatus", any, describe_instance_status),
              row("DescribeAvailabilityZones", any, describe_availability_zones),
              row("DescribeRegions", any, describe_regions),
              row("DescribeInstanceTypes", any, describe_instance_types),
              row("DescribeInstanceTypeOfferings", any, describe_instance_type_offerings),
              row("DescribeImages", any, describe_images),
              row("CreateTags", tagged(plane), create_tags),
              row("DeleteTags", tagged(plane), delete_tags),
              row("DescribeTags", any, describe_tags),
          },
  };
}

}  // namespace berth::services::ec2
