#include "broker/services/iam/service.hpp"

#include <nlohmann/json.hpp>

#include "broker/services/iam/operations.hpp"
#include "broker/services/iam/resources.hpp"

namespace berth::services::iam {

api::Service make_iam(ControlPlane& plane) {
  const auto role = role_resource(plane);
  const auto user = user_resource(plane);
  const auto policy = policy_resource(plane);
  const auto profile = instance_profile_resource(plane);
  const auto any = api::any_resource();
  const auto row = [&plane](const char* name, const api::ResourcesOf& resources, Operation* operation) {
    return api::Operation{
        name, std::string("iam:") + name, resources,
        [&plane, operation](const CallContext& context, const Json& input) { return operation(plane, context, input); }};
  };
  return {
      .model = "iam",
      .signing_names = {"iam"},
      .operations =
          {
              row("CreateRole", role, create_role),
              row("GetRole", role, get_role),
              row("ListRoles", any, list_roles),
              row("UpdateRole", role, update_role),
              row("DeleteRole", role, delete_role),
              row("UpdateAssumeRolePolicy", role, update_assume_role_policy),
              row("TagRole", role, tag_role),
              row("UntagRole", role, untag_role),
              row("ListRoleTags", role, list_role_tags),
              row("PutRolePermissionsBoundary", role, put_role_permissions_boundary),
              row("DeleteRolePermissionsBoundary", role, delete_role_permissions_boundary),
              row("PutRolePolicy", role, put_role_policy),
              row("GetRolePolicy", role, get_role_policy),
              row("DeleteRolePolicy", role, delete_role_policy),
              row("ListRolePolicies", role, list_role_policies),
              row("AttachRolePolicy", role, attach_role_policy),
              row("DetachRolePolicy", role, detach_role_policy),
              row("ListAttachedRolePolicies", role, list_attached_role_policies),
              row("CreatePolicy", policy, create_policy),
              row("GetPolicy", policy, get_policy),
              row("ListPolicies", any, list_policies),
              row("DeletePolicy", policy, delete_policy),
              row("CreatePolicyVersion", policy, create_policy_version),
              row("GetPolicyVersion", policy, get_policy_version),
              row("ListPolicyVersions", policy, list_policy_versions),
              row("DeletePolicyVersion", policy, delete_policy_version),
              row("SetDefaultPolicyVersion", policy, set_default_policy_version),
              row("CreateInstanceProfile", profile, create_instance_profile),
              row("GetInstanceProfile", profile, get_instance_profile),
              row("ListInstanceProfiles", any, list_instance_profiles),
              row("DeleteInstanceProfile", profile, delete_instance_profile),
              row("AddRoleToInstanceProfile", profile_and_passed_role(plane), add_role_to_instance_profile),
              row("RemoveRoleFromInstanceProfile", profile, remove_role_from_instance_profile),
              row("ListInstanceProfilesForRole", role, list_instance_profiles_for_role),
              row("CreateUser", user, create_user),
              row("GetUser", user, get_user),
              row("ListUsers", any, list_users),
              row("DeleteUser", user, delete_user),
              row("PutUserPolicy", user, put_user_policy),
              row("GetUserPolicy", user, get_user_policy),
              row("DeleteUserPolicy", user, delete_user_policy),
              row("ListUserPolicies", user, list_user_policies),
              row("AttachUserPolicy", user, attach_user_policy),
              row("DetachUserPolicy", user, detach_user_policy),
              row("ListAttachedUserPolicies", user, list_attached_user_policies),
              row("CreateAccessKey", user, create_access_key),
              row("ListAccessKeys", user, list_access_keys),
              row("UpdateAccessKey", user, update_access_key),
              row("DeleteAccessKey", user, delete_access_key),
          },
  };
}

}  // namespace berth::services::iam
