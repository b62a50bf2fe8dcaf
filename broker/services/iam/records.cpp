#include "broker/base/clock.hpp"
#include "broker/services/iam/support.hpp"

namespace berth::services::iam {

namespace {

Json boundary_json(const std::string& arn) { return {{"PermissionsBoundaryType", "Policy"}, {"PermissionsBoundaryArn", arn}}; }

template <class Record>
void add_whole(Json& json, const Record& record) {
  if (!record.tags.empty()) json["Tags"] = tags_json(record.tags);
  if (!record.permissions_boundary.empty()) json["PermissionsBoundary"] = boundary_json(record.permissions_boundary);
}

}  // namespace

Json to_json(const credentials::Role& role, bool whole) {
  Json json = {{"Path", role.path},
               {"RoleName", role.name},
               {"RoleId", role.id},
               {"Arn", role.arn},
               {"CreateDate", to_epoch_seconds(role.created)},
               {"AssumeRolePolicyDocument", wire_document(*role.trust_policy)},
               {"MaxSessionDuration", role.max_session_duration.count()}};
  if (!role.description.empty()) json["Description"] = role.description;
  if (whole) add_whole(json, role);
  return json;
}

Json to_json(const credentials::User& user, bool whole) {
  Json json = {{"Path", user.path},
               {"UserName", user.name},
               {"UserId", user.id},
               {"Arn", user.arn},
               {"CreateDate", to_epoch_seconds(user.created)}};
  if (whole) add_whole(json, user);
  return json;
}

Json to_json(const Identities& identities, const credentials::ManagedPolicy& policy, bool whole) {
  Json json = {{"PolicyName", policy.name},
               {"PolicyId", policy.id},
               {"Arn", policy.arn},
               {"Path", policy.path},
               {"DefaultVersionId", fmt::format("v{}", policy.default_version)},
               {"AttachmentCount", identities.attachment_count(policy.arn)},
               {"PermissionsBoundaryUsageCount", identities.boundary_count(policy.arn)},
               {"IsAttachable", true},
               {"CreateDate", to_epoch_seconds(policy.created)},
               {"UpdateDate", to_epoch_seconds(policy.updated)}};
  if (!whole) return json;
  if (!policy.description.empty()) json["Description"] = policy.description;
  if (!policy.tags.empty()) json["Tags"] = tags_json(policy.tags);
  return json;
}

Json to_json(const Identities& identities, const credentials::InstanceProfile& profile) {
  Json json = {{"Path", profile.path},
               {"InstanceProfileName", profile.name},
               {"InstanceProfileId", profile.id},
               {"Arn", profile.arn},
               {"CreateDate", to_epoch_seconds(profile.created)},
               {"Roles", Json::array()}};
  if (const auto* role = identities.find_role(profile.role)) json["Roles"].push_back(to_json(*role, false));
  if (!profile.tags.empty()) json["Tags"] = tags_json(profile.tags);
  return json;
}

}  // namespace berth::services::iam
