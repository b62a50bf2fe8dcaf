#include "credentials/identities.hpp"

#include <algorithm>

#include "broker/base/arn.hpp"
#include "broker/base/check.hpp"
#include "credentials/aws_managed_policies.hpp"
#include "credentials/secret_key.hpp"

namespace berth::credentials {

namespace {

constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::string_view kAdministratorPolicy =
    R"({"Version":"2012-10-17","Statement":[{"Sid":"Everything","Effect":"Allow","Action":"*","Resource":"*"}]})";

template <class T>
const T* find(const Identities::Records<T>& records, std::string_view key) {
  const auto found = records.find(key);
  return found == records.end() ? nullptr : found->second.get();
}

std::unexpected<Error> no_such(std::string_view kind, std::string_view name) {
  return fail(Code::not_found, "The {} with name {} cannot be found.", kind, name);
}

template <class T>
Result<> edit_record(Identities::Records<T>& records, std::string_view key, const Identities::Edit<T>& edit,
                     std::string_view kind) {
  const auto found = records.find(key);
  if (found == records.end()) return no_such(kind, key);
  T copy = *found->second;
  if (auto done = edit(copy); !done) return done;
  found->second = std::make_shared<const T>(std::move(copy));
  return {};
}

}  // namespace

std::string make_unique_id(std::string_view prefix, Random& random) {
  const bool key = prefix == "AKIA" || prefix == "ASIA";
  return std::string(prefix) + random.text(key ? 16 : 17, kBase32);
}

AccessKey make_access_key(Random& random, TimePoint now) {
  return AccessKey{make_unique_id("AKIA", random), make_secret_key(random), true, now};
}

Identities::Identities(std::string account) : account_(std::move(account)) {
  for (const auto& policy : aws_managed_policies()) policies_.emplace(policy->arn, policy);
}

Identities Identities::bootstrap(const std::string& account, Random& random, TimePoint now) {
  Identities identities(account);
  auto everything = Policy::parse(kAdministratorPolicy, PolicyKind::identity);
  BERTH_CHECK(everything.has_value());
  User administrator;
  administrator.name = kAdministratorName;
  administrator.id = make_unique_id("AIDA", random);
  administrator.created = now;
  administrator.inline_policies.emplace("administrator", *std::move(everything));
  AccessKey key = make_access_key(random, now);
  administrator.access_keys.emplace(key.id, std::move(key));
  BERTH_CHECK(identities.create(std::move(administrator)).has_value());
  return identities;
}

const User* Identities::find_user(std::string_view name) const { return find(users_, name); }
const Role* Identities::find_role(std::string_view name) const { return find(roles_, name); }
const ManagedPolicy* Identities::find_policy(std::string_view arn) const { return find(policies_, arn); }
const InstanceProfile* Identities::find_instance_profile(std::string_view name) const { return find(instance_profiles_, name); }

const Role* Identities::find_role_by_arn(std::string_view arn) const {
  const Role* role = find_role(arn.substr(arn.rfind('/') + 1));
  return role && role->arn == arn ? role : nullptr;
}

const InstanceProfile* Identities::find_instance_profile_by_arn(std::string_view arn) const {
  const InstanceProfile* profile = find_instance_profile(arn.substr(arn.rfind('/') + 1));
  return profile && profile->arn == arn ? profile : nullptr;
}

Identities::KeyOwner Identities::find_access_key(std::string_view id) const {
  const auto name = user_of_key_.find(id);
  if (name == user_of_key_.end()) return {};
  const User* user = find_user(name->second);
  return {user, &user->access_keys.at(name->first)};
}

Identities::KeyOwner Identities::administrator() const {
  const User* user = find_user(kAdministratorName);
  if (!user || user->access_keys.empty()) return {};
  return {user, &user->access_keys.begin()->second};
}

int Identities::attachment_count(std::string_view policy_arn) const {
  const auto attached = [key = std::string(policy_arn)](const auto& entry) {
    return entry.second->attached_policies.contains(key);
  };
  return static_cast<int>(std::ranges::count_if(users_, attached) + std::ranges::count_if(roles_, attached));
}

int Identities::boundary_count(std::string_view policy_arn) const {
  const auto bounded = [policy_arn](const auto& entry) { return entry.second->permissions_boundary == policy_arn; };
  return static_cast<int>(std::ranges::count_if(users_, bounded) + std::ranges::count_if(roles_, bounded));
}

std::vector<Change> Identities::take_changes() {
  std::vector<Change> changes(changes_.begin(), changes_.end());
  changes_.clear();
  return changes;
}

void Identities::note(std::string_view kind, std::string_view key) {
  changes_.insert(Change{std::string(kind), std::string(key)});
}

void Identities::index_keys(const User& user) {
  for (const auto& [id, key] : user.access_keys) user_of_key_.insert_or_assign(id, user.name);
}

void Identities::drop_keys(const User& user) {
  for (const auto& [id, key] : user.access_keys) user_of_key_.erase(id);
}

Result<> Identities::create(User user) {
  if (find_user(user.name)) return fail(Code::already_exists, "User with name {} already exists.", user.name);
  user.arn = Arn{.service = "iam", .account = account_, .resource = "user" + user.path + user.name}.str();
  note(kUserKind, user.name);
  restore(std::move(user));
  return {};
}

Result<> Identities::create(Role role) {
  if (find_role(role.name)) return fail(Code::already_exists, "Role with name {} already exists.", role.name);
  BERTH_CHECK(role.trust_policy != nullptr);
  role.arn = Arn{.service = "iam", .account = account_, .resource = "role" + role.path + role.name}.str();
  note(kRoleKind, role.name);
  restore(std::move(role));
  return {};
}

Result<> Identities::create(ManagedPolicy policy) {
  const auto same_name = [&](const auto& entry) { return !entry.second->aws_managed && entry.second->name == policy.name; };
  if (std::ranges::any_of(policies_, same_name)) {
    return fail(Code::already_exists, "A policy called {} already exists. Duplicate names are not allowed.", policy.name);
  }
  BERTH_CHECK(policy.versions.contains(policy.default_version));
  policy.arn = Arn{.service = "iam", .account = account_, .resource = "policy" + policy.path + policy.name}.str();
  note(kPolicyKind, policy.arn);
  restore(std::move(policy));
  return {};
}

Result<> Identities::create(InstanceProfile profile) {
  if (find_instance_profile(profile.name)) return fail(Code::already_exists, "Instance Profile {} already exists.", profile.name);
  profile.arn = Arn{.service = "iam", .account = account_, .resource = "instance-profile" + profile.path + profile.name}.str();
  note(kInstanceProfileKind, profile.name);
  restore(std::move(profile));
  return {};
}

Result<> Identities::update_user(std::string_view name, const Edit<User>& edit) {
  const auto before = users_.find(name);
  const auto old = before == users_.end() ? nullptr : before->second;
  if (auto done = edit_record(users_, name, edit, "user"); !done) return done;
  drop_keys(*old);
  index_keys(*find_user(name));
  note(kUserKind, name);
  return {};
}

Result<> Identities::update_role(std::string_view name, const Edit<Role>& edit) {
  if (auto done = edit_record(roles_, name, edit, "role"); !done) return done;
  note(kRoleKind, name);
  return {};
}

Result<> Identities::update_policy(std::string_view arn, const Edit<ManagedPolicy>& edit) {
  const auto* policy = find_policy(arn);
  if (!policy) return fail(Code::not_found, "Policy {} was not found.", arn);
  if (policy->aws_managed) return fail(Code::permission_denied, "Policy {} is managed by AWS and can't be changed.", arn);
  if (auto done = edit_record(policies_, arn, edit, "policy"); !done) return done;
  note(kPolicyKind, arn);
  return {};
}

Result<> Identities::update_instance_profile(std::string_view name, const Edit<InstanceProfile>& edit) {
  if (!find_instance_profile(name)) return fail(Code::not_found, "Instance Profile {} cannot be found.", name);
  if (auto done = edit_record(instance_profiles_, name, edit, "instance profile"); !done) return done;
  note(kInstanceProfileKind, name);
  return {};
}

Result<> Identities::destroy_user(std::string_view name) {
  const User* user = find_user(name);
  if (!user) return no_such("user", name);
  if (!user->access_keys.empty()) return fail(Code::failed_precondition, "Cannot delete entity, must delete access keys first.");
  if (!user->inline_policies.empty()) return fail(Code::failed_precondition, "Cannot delete entity, must delete policies first.");
  if (!user->attached_policies.empty())
    return fail(Code::failed_precondition, "Cannot delete entity, must detach all policies first.");
  note(kUserKind, name);
  users_.erase(users_.find(name));
  return {};
}

Result<> Identities::destroy_role(std::string_view name) {
  const Role* role = find_role(name);
  if (!role) return no_such("role", name);
  const auto holds_it = [name](const auto& entry) { return entry.second->role == name; };
  if (std::ranges::any_of(instance_profiles_, holds_it)) {
    return fail(Code::failed_precondition, "Cannot delete entity, must remove roles from instance profile first.");
  }
  if (!role->attached_policies.empty())
    return fail(Code::failed_precondition, "Cannot delete entity, must detach all policies first.");
  if (!role->inline_policies.empty()) return fail(Code::failed_precondition, "Cannot delete entity, must delete policies first.");
  note(kRoleKind, name);
  roles_.erase(roles_.find(name));
  return {};
}

Result<> Identities::destroy_policy(std::string_view arn) {
  const auto* policy = find_policy(arn);
  if (!policy) return fail(Code::not_found, "Policy {} was not found.", arn);
  if (policy->aws_managed) return fail(Code::permission_denied, "Policy {} is managed by AWS and can't be changed.", arn);
  if (attachment_count(arn) + boundary_count(arn) > 0) {
    return fail(Code::failed_precondition, "Cannot delete a policy attached to entities.");
  }
  if (policy->versions.size() > 1) {
    return fail(Code::failed_precondition,
                "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The "
                "default version "
                "is deleted with the policy.");
  }
  note(kPolicyKind, arn);
  policies_.erase(policies_.find(arn));
  return {};
}

Result<> Identities::destroy_instance_profile(std::string_view name) {
  const auto* profile = find_instance_profile(name);
  if (!profile) return fail(Code::not_found, "Instance Profile {} cannot be found.", name);
  if (!profile->role.empty())
    return fail(Code::failed_precondition, "Cannot delete entity, must remove roles from instance profile first.");
  note(kInstanceProfileKind, name);
  instance_profiles_.erase(instance_profiles_.find(name));
  return {};
}

void Identities::restore(User user) {
  index_keys(user);
  auto name = user.name;
  users_.insert_or_assign(std::move(name), std::make_shared<const User>(std::move(user)));
}

void Identities::restore(Role role) {
  auto name = role.name;
  roles_.insert_or_assign(std::move(name), std::make_shared<const Role>(std::move(role)));
}

void Identities::restore(ManagedPolicy policy) {
  auto arn = policy.arn;
  policies_.insert_or_assign(std::move(arn), std::make_shared<const ManagedPolicy>(std::move(policy)));
}

void Identities::restore(InstanceProfile profile) {
  auto name = profile.name;
  instance_profiles_.insert_or_assign(std::move(name), std::make_shared<const InstanceProfile>(std::move(profile)));
}

}  // namespace berth::credentials
