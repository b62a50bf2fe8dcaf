#include "broker/services/efs/service.hpp"

#include <memory>

#include <nlohmann/json.hpp>

#include "broker/services/efs/operations.hpp"
#include "broker/services/efs/resources.hpp"

namespace berth::services::efs {

api::Service make_service(Parts parts_given) {
  const auto parts = std::make_shared<const Parts>(std::move(parts_given));
  const auto created = new_file_system(*parts);
  const auto named = named_resource(*parts);
  const auto row = [&](const char* name, const api::ResourcesOf& resources, Operation* operation) {
    return api::Operation{
        name, std::string("elasticfilesystem:") + name, resources,
        [parts, operation](const CallContext& context, const Json& input) { return operation(*parts, context, input); }};
  };
  const auto telling = [parts](api::Operation operation) {
    operation.handle = [parts, handle = std::move(operation.handle)](const CallContext& context, const Json& input) {
      auto answer = handle(context, input);
      if (answer && parts->throughput_changed) parts->throughput_changed();
      return answer;
    };
    return operation;
  };
  return {
      .model = "efs",
      .signing_names = {"elasticfilesystem"},
      .operations =
          {
              telling(row("CreateFileSystem", created, create_file_system)),
              row("DescribeFileSystems", named, describe_file_systems),
              telling(row("UpdateFileSystem", named, update_file_system)),
              telling(row("DeleteFileSystem", named, delete_file_system)),
              row("CreateMountTarget", new_mount_target(*parts), create_mount_target),
              row("DescribeMountTargets", named, describe_mount_targets),
              row("DeleteMountTarget", mount_target_interface(*parts, "ec2:DeleteNetworkInterface"), delete_mount_target),
              row("DescribeMountTargetSecurityGroups", mount_target_interface(*parts, "ec2:DescribeNetworkInterfaceAttribute"),
                  describe_mount_target_security_groups),
              row("ModifyMountTargetSecurityGroups", mount_target_interface(*parts, "ec2:ModifyNetworkInterfaceAttribute"),
                  modify_mount_target_security_groups),
              row("CreateAccessPoint", new_access_point(*parts), create_access_point),
              row("DescribeAccessPoints", named, describe_access_points),
              row("DeleteAccessPoint", named, delete_access_point),
              row("PutFileSystemPolicy", named, put_file_system_policy),
              row("DescribeFileSystemPolicy", named, describe_file_system_policy),
              row("DeleteFileSystemPolicy", named, delete_file_system_policy),
              row("PutLifecycleConfiguration", named, put_lifecycle_configuration),
              row("DescribeLifecycleConfiguration", named, describe_lifecycle_configuration),
              row("PutBackupPolicy", named, put_backup_policy),
              row("DescribeBackupPolicy", named, describe_backup_policy),
              row("PutAccountPreferences", api::any_resource(), put_account_preferences),
              row("DescribeAccountPreferences", api::any_resource(), describe_account_preferences),
              row("UpdateFileSystemProtection", named, update_file_system_protection),
              telling(row("CreateReplicationConfiguration", new_replication(*parts), create_replication_configuration)),
              row("DescribeReplicationConfigurations", named, describe_replication_configurations),
              row("DeleteReplicationConfiguration", named, delete_replication_configuration),
              telling(row("TagResource", named, tag_resource)),
              telling(row("UntagResource", named, untag_resource)),
              row("ListTagsForResource", named, list_tags_for_resource),
              telling(row("CreateTags", named, create_tags)),
              telling(row("DeleteTags", named, delete_tags)),
              row("DescribeTags", named, describe_tags),
          },
  };
}

}  // namespace berth::services::efs
