#include <charconv>

#include "broker/base/arn.hpp"
#include "broker/services/iam/support.hpp"

namespace berth::services::iam {

namespace {

constexpr std::size_t kPolicySizeMax = 6144;
constexpr std::size_t kVersionsMax = 5;

std::unexpected<api::ApiError> not_found(const std::string& arn) { return no_such_entity("Policy " + arn + " was not found."); }

Outcome<credentials::PolicyPtr> read_document(const Json& input) {
  const auto document = input.at("PolicyDocument").get<std::string>();
  if (counted_size(document) > kPolicySizeMax)
    return refuse("LimitExceeded", fmt::format("Cannot exceed quota for PolicySize: {}", kPolicySizeMax));
  return parse_identity_policy(document);
}

Outcome<std::string> read_arn(const Json& input) {
  auto arn = input.at("PolicyArn").get<std::string>();
  const auto parsed = parse_arn(arn);
  if (!parsed || parsed->service != "iam" || !parsed->resource.starts_with("policy/"))
    return refuse("InvalidInput", "ARN " + arn + " is not valid.");
  return arn;
}

// `v3` -> 3; 0 for anything else.
int version_number(std::string_view id) {
  int number = 0;
  if (!id.starts_with('v')) return 0;
  const auto [end, error] = std::from_chars(id.data() + 1, id.data() + id.size(), number);
  return error == std::errc{} && end == id.data() + id.size() ? number : 0;
}

std::unexpected<api::ApiError> no_such_version(const std::string& arn, const std::string& version) {
  return no_such_entity("Policy " + arn + " version " + version + " does not exist or is not attachable.");
}

Json version_json(const credentials::ManagedPolicy& policy, int number, bool whole) {
  const auto& version = policy.versions.at(number);
  Json json = {{"VersionId", fmt::format("v{}", number)},
               {"IsDefaultVersion", number == policy.default_version},
               {"CreateDate", to_epoch_seconds(version.created)}};
  if (whole) json["Document"] = wire_document(*version.policy);
  return json;
}

// Finds the policy and one version of it, then changes the policy.
template <class Edit>
Outcome<Json> edit_version(ControlPlane& plane, const Json& input, const Edit& edit) {
  const auto arn = read_arn(input);
  if (!arn) return std::unexpected(arn.error());
  const auto id = input.at("VersionId").get<std::string>();
  return mutate(plane, [&](control::Control& control, Identities& identities) -> Outcome<Json> {
    const auto* policy = identities.find_policy(*arn);
    if (!policy) return not_found(*arn);
    const int number = version_number(id);
    if (!policy->versions.contains(number)) return no_such_version(*arn, id);
    return done(identities.update_policy(*arn, [&](credentials::ManagedPolicy& changed) {
      changed.updated = control.now;
      return edit(changed, number);
    }));
  });
}

bool wanted(const Identities& identities, const credentials::ManagedPolicy& policy, const Json& input) {
  const auto scope = input.value("Scope", "All");
  if ((scope == "AWS" && !policy.aws_managed) || (scope == "Local" && policy.aws_managed)) return false;
  const auto usage = input.value("PolicyUsageFilter", "");
  if (usage == "PermissionsPolicy" && identities.attachment_count(policy.arn) == 0) return false;
  if (usage == "PermissionsBoundary" && identities.boundary_count(policy.arn) == 0) return false;
  if (input.value("OnlyAttached", false) && identities.attachment_count(policy.arn) == 0) return false;
  return policy.path.starts_with(input.value("PathPrefix", "/"));
}

}  // namespace

Outcome<Json> create_policy(ControlPlane& plane, const CallContext&, const Json& input) {
  auto document = read_document(input);
  if (!document) return std::unexpected(document.error());
  auto tags = read_tags(input);
  if (!tags) return std::unexpected(tags.error());
  return mutate(plane, [&](control::Control& control, Identities& identities) -> Outcome<Json> {
    credentials::ManagedPolicy policy;
    policy.name = input.at("PolicyName");
    policy.path = input.value("Path", "/");
    policy.id = credentials::make_unique_id("ANPA", control.random);
    policy.description = input.value("Description", "");
    policy.created = policy.updated = control.now;
    policy.tags = *tags;
    policy.versions.emplace(1, credentials::PolicyVersion{*document, control.now});
    const auto arn =
        Arn{.service = "iam", .account = identities.account(), .resource = "policy" + policy.path + policy.name}.str();
    if (auto created = identities.create(std::move(policy)); !created) return std::unexpected(api_error(created.error()));
    return Json{{"Policy", to_json(identities, *identities.find_policy(arn), true)}};
  });
}

Outcome<Json> get_policy(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto arn = read_arn(input);
  if (!arn) return std::unexpected(arn.error());
  const auto identities = plane.identities();
  const auto* policy = identities->find_policy(*arn);
  if (!policy) return not_found(*arn);
  return Json{{"Policy", to_json(*identities, *policy, true)}};
}

Outcome<Json> list_policies(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto identities = plane.identities();
  Items items;
  for (const auto& [arn, policy] : identities->policies()) {
    if (wanted(*identities, *policy, input)) items.emplace_back(arn, to_json(*identities, *policy, false));
  }
  return page(items, "Policies", input);
}

Outcome<Json> delete_policy(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto arn = read_arn(input);
  if (!arn) return std::unexpected(arn.error());
  return mutate(plane, [&](control::Control&, Identities& identities) { return done(identities.destroy_policy(*arn)); });
}

Outcome<Json> create_policy_version(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto arn = read_arn(input);
  if (!arn) return std::unexpected(arn.error());
  const auto document = read_document(input);
  if (!document) return std::unexpected(document.error());
  return mutate(plane, [&](control::Control& control, Identities& identities) -> Outcome<Json> {
    int number = 0;
    auto made = identities.update_policy(*arn, [&](credentials::ManagedPolicy& policy) -> Result<> {
      if (policy.versions.size() >= kVersionsMax) {
        return fail(
            Code::resource_exhausted,
            "A managed policy can have up to {} versions. Before you create a new version, you must delete an existing version.",
            kVersionsMax);
      }
      number = policy.next_version++;
      policy.versions.emplace(number, credentials::PolicyVersion{*document, control.now});
      policy.updated = control.now;
      if (input.value("SetAsDefault", false)) policy.default_version = number;
      return {};
    });
    if (!made) return std::unexpected(api_error(made.error()));
    return Json{{"PolicyVersion", version_json(*identities.find_policy(*arn), number, false)}};
  });
}

Outcome<Json> get_policy_version(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto arn = read_arn(input);
  if (!arn) return std::unexpected(arn.error());
  const auto identities = plane.identities();
  const auto* policy = identities->find_policy(*arn);
  if (!policy) return not_found(*arn);
  const auto id = input.at("VersionId").get<std::string>();
  if (!policy->versions.contains(version_number(id))) return no_such_version(*arn, id);
  return Json{{"PolicyVersion", version_json(*policy, version_number(id), true)}};
}

Outcome<Json> list_policy_versions(ControlPlane& plane, const CallContext&, const Json& input) {
  const auto arn = read_arn(input);
  if (!arn) return std::unexpected(arn.error());
  const auto identities = plane.identities();
  const auto* policy = identities->find_policy(*arn);
  if (!policy) return not_found(*arn);
  Items items;  // the newest first, as IAM lists them; the marker's order is that of the padded, inverted number
  for (auto version = policy->versions.rbegin(); version != policy->versions.rend(); ++version) {
    items.emplace_back(fmt::format("{:010}", 1'000'000'000 - version->first), version_json(*policy, version->first, false));
  }
  return page(items, "Versions", input);
}

Outcome<Json> delete_policy_version(ControlPlane& plane, const CallContext&, const Json& input) {
  return edit_version(plane, input, [](credentials::ManagedPolicy& policy, int number) -> Result<> {
    if (number == policy.default_version)
      return fail(Code::failed_precondition, "Cannot delete the default version of a policy.");
    policy.versions.erase(number);
    return {};
  });
}

Outcome<Json> set_default_policy_version(ControlPlane& plane, const CallContext&, const Json& input) {
  return edit_version(plane, input, [](credentials::ManagedPolicy& policy, int number) -> Result<> {
    policy.default_version = number;
    return {};
  });
}

}  // namespace berth::services::iam
