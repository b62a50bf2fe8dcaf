// The handlers behind the table in service.cpp. Inside the EFS service only.
#pragma once

#include "broker/api/operation.hpp"
#include "broker/services/efs/service.hpp"

namespace berth::services::efs {

using api::CallContext;
using api::Json;
using api::Outcome;

using Operation = Outcome<Json>(const Parts&, const CallContext&, const Json&);

Operation create_file_system, describe_file_systems, update_file_system, delete_file_system;
Operation create_mount_target, describe_mount_targets, delete_mount_target;
Operation describe_mount_target_security_groups, modify_mount_target_security_groups;
Operation create_access_point, describe_access_points, delete_access_point;
Operation put_file_system_policy, describe_file_system_policy, delete_file_system_policy;
Operation put_lifecycle_configuration, describe_lifecycle_configuration;
Operation put_backup_policy, describe_backup_policy;
Operation put_account_preferences, describe_account_preferences;
Operation update_file_system_protection;
Operation create_replication_configuration, describe_replication_configurations, delete_replication_configuration;
Operation tag_resource, untag_resource, list_tags_for_resource;
Operation create_tags, delete_tags, describe_tags;

}  // namespace berth::services::efs
