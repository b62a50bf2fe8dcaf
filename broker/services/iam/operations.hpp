// The handlers behind the table in service.cpp. Inside the IAM service only.
#pragma once

#include "broker/api/operation.hpp"
#include "broker/control/control_plane.hpp"

namespace berth::services::iam {

using api::CallContext;
using api::Json;
using api::Outcome;
using api::refuse;
using control::ControlPlane;

using Operation = Outcome<Json>(ControlPlane&, const CallContext&, const Json&);

// roles.cpp
Operation create_role, get_role, list_roles, update_role, delete_role, update_assume_role_policy;
Operation tag_role, untag_role, list_role_tags, put_role_permissions_boundary, delete_role_permissions_boundary;
// owner_policies.cpp
Operation put_role_policy, get_role_policy, delete_role_policy, list_role_policies;
Operation attach_role_policy, detach_role_policy, list_attached_role_policies;
Operation put_user_policy, get_user_policy, delete_user_policy, list_user_policies;
Operation attach_user_policy, detach_user_policy, list_attached_user_policies;
// policies.cpp
Operation create_policy, get_policy, list_policies, delete_policy;
Operation create_policy_version, get_policy_version, list_policy_versions, delete_policy_version, set_default_policy_version;
// users.cpp
Operation create_user, get_user, list_users, delete_user;
Operation create_access_key, list_access_keys, update_access_key, delete_access_key;
// instance_profiles.cpp
Operation create_instance_profile, get_instance_profile, list_instance_profiles, delete_instance_profile;
Operation add_role_to_instance_profile, remove_role_from_instance_profile, list_instance_profiles_for_role;

}  // namespace berth::services::iam
