// Identities: the account's users, roles, managed policies and instance profiles, as one value.
//
// A plain value without a lock: records are shared_ptr<const T>, so a copy costs a few maps of pointers. The control plane
// holds a shared_ptr<const Identities>, copies it to change it, and swaps; readers keep the snapshot that they took.
// Errors carry IAM's own sentences; Code says which of IAM's error codes they are (not_found -> NoSuchEntity,
// already_exists -> EntityAlreadyExists, failed_precondition -> DeleteConflict, resource_exhausted -> LimitExceeded).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"
#include "broker/base/random.hpp"
#include "broker/base/secret.hpp"
#include "credentials/policy/policy.hpp"

namespace berth::credentials {

using Tags = std::map<std::string, std::string>;

struct AccessKey {
  std::string id;  // AKIA...
  Secret secret;
  bool active = true;
  TimePoint created{};
};

struct User {
  std::string name;
  std::string path = "/";
  std::string id;  // AIDA...
  std::string arn;
  TimePoint created{};
  Tags tags;
  std::map<std::string, AccessKey> access_keys;
  std::map<std::string, PolicyPtr> inline_policies;
  std::set<std::string> attached_policies;  // ARNs
  std::string permissions_boundary;         // ARN, or empty
};

struct Role {
  std::string name;
  std::string path = "/";
  std::string id;  // AROA...: another one when the role is made again, so that old sessions die with the old role
  std::string arn;
  std::string description;
  std::chrono::seconds max_session_duration{3600};
  TimePoint created{};
  Tags tags;
  PolicyPtr trust_policy;
  std::map<std::string, PolicyPtr> inline_policies;
  std::set<std::string> attached_policies;
  std::string permissions_boundary;
  // Sessions issued before this are void ("revoke active sessions").
  TimePoint revoked_before = TimePoint::min();
};

struct PolicyVersion {
  PolicyPtr policy;
  TimePoint created{};
};

struct ManagedPolicy {
  std::string name;
  std::string path = "/";
  std::string id;  // ANPA...
  std::string arn;
  std::string description;
  TimePoint created{};
  TimePoint updated{};
  Tags tags;
  std::map<int, PolicyVersion> versions;  // 1 is `v1`
  int default_version = 1;
  int next_version = 2;      // version numbers are not used twice
  bool aws_managed = false;  // built in, can't be changed, not stored

  const PolicyPtr& document() const { return versions.at(default_version).policy; }
};

struct InstanceProfile {
  std::string name;
  std::string path = "/";
  std::string id;  // AIPA...
  std::string arn;
  TimePoint created{};
  Tags tags;
  std::string role;  // name, or empty
};

// A record that a mutation touched; see identities_codec.hpp.
struct Change {
  std::string kind;
  std::string key;
  auto operator<=>(const Change&) const = default;
};

inline constexpr std::string_view kAdministratorName = "berth-admin";

class Identities {
 public:
  template <class T>
  using Records = std::map<std::string, std::shared_ptr<const T>, std::less<>>;
  template <class T>
  using Edit = std::function<Result<>(T&)>;

  Identities() = default;
  // Holds AWS's managed policies that Berth brings, nothing else.
  explicit Identities(std::string account);
  // The first start's: with the administrator, an IAM user with one access key and a policy that allows everything.
  static Identities bootstrap(const std::string& account, Random& random, TimePoint now);

  const std::string& account() const { return account_; }
  const Records<User>& users() const { return users_; }
  const Records<Role>& roles() const { return roles_; }
  const Records<ManagedPolicy>& policies() const { return policies_; }  // by ARN
  const Records<InstanceProfile>& instance_profiles() const { return instance_profiles_; }

  // nullptr where there is none. Pointers live as long as this value is not changed.
  const User* find_user(std::string_view name) const;
  const Role* find_role(std::string_view name) const;
  const Role* find_role_by_arn(std::string_view arn) const;
  const ManagedPolicy* find_policy(std::string_view arn) const;
  const InstanceProfile* find_instance_profile(std::string_view name) const;
  const InstanceProfile* find_instance_profile_by_arn(std::string_view arn) const;
  struct KeyOwner {
    const User* user = nullptr;
    const AccessKey* key = nullptr;
    explicit operator bool() const { return key != nullptr; }
  };
  KeyOwner find_access_key(std::string_view id) const;
  // The administrator's first key, for `berth env`; empty if someone deleted it.
  KeyOwner administrator() const;

  // Each notes what it changed. `create` fills the ARN; ids and times come with the record. `update` hands a copy to `edit`
  // and takes it only if `edit` succeeds. `destroy` refuses while something hangs on the record.
  Result<> create(User user);
  Result<> create(Role role);
  Result<> create(ManagedPolicy policy);
  Result<> create(InstanceProfile profile);
  Result<> update_user(std::string_view name, const Edit<User>& edit);
  Result<> update_role(std::string_view name, const Edit<Role>& edit);
  Result<> update_policy(std::string_view arn, const Edit<ManagedPolicy>& edit);
  Result<> update_instance_profile(std::string_view name, const Edit<InstanceProfile>& edit);
  Result<> destroy_user(std::string_view name);
  Result<> destroy_role(std::string_view name);
  Result<> destroy_policy(std::string_view arn);
  Result<> destroy_instance_profile(std::string_view name);

  // Users and roles that the managed policy is attached to; and those whose boundary it is.
  int attachment_count(std::string_view policy_arn) const;
  int boundary_count(std::string_view policy_arn) const;

  // What was changed since the last call, each record once.
  std::vector<Change> take_changes();

  // For the codec: puts the record without noting a change.
  void restore(User user);
  void restore(Role role);
  void restore(ManagedPolicy policy);
  void restore(InstanceProfile profile);

 private:
  void note(std::string_view kind, std::string_view key);
  void index_keys(const User& user);
  void drop_keys(const User& user);

  std::string account_;
  Records<User> users_;
  Records<Role> roles_;
  Records<ManagedPolicy> policies_;
  Records<InstanceProfile> instance_profiles_;
  std::map<std::string, std::string, std::less<>> user_of_key_;  // access key id -> user name
  std::set<Change> changes_;
};

// The change's kinds.
inline constexpr std::string_view kUserKind = "iam_user";
inline constexpr std::string_view kRoleKind = "iam_role";
inline constexpr std::string_view kPolicyKind = "iam_policy";
inline constexpr std::string_view kInstanceProfileKind = "iam_instance_profile";

// An id as IAM makes them: the prefix (AROA, AIDA, ANPA, AIPA, AKIA, ASIA) and 17 upper-case base32 characters (16 for keys).
std::string make_unique_id(std::string_view prefix, Random& random);
// AKIA + 16 characters, and a secret of 40.
AccessKey make_access_key(Random& random, TimePoint now);

}  // namespace berth::credentials
