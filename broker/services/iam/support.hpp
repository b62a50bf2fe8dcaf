// What IAM's handlers share: errors, policy documents, tags, pages. Inside the IAM service only.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "broker/services/iam/operations.hpp"
#include "credentials/identities.hpp"

namespace berth::services::iam {

using credentials::Identities;

// IAM's name for what went wrong in the identities.
api::ApiError api_error(const Error& error);
std::unexpected<api::ApiError> no_such_entity(std::string message);

// edit(control, identities) under the control lock.
template <class Edit>
Outcome<Json> mutate(ControlPlane& plane, const Edit& edit) {
  return plane.with([&](control::Control& control) -> Outcome<Json> { return edit(control, control.edit_identities()); });
}

// {} or the error: for operations that answer nothing.
Outcome<Json> done(const Result<>& result);

// IAM counts a document without its white space.
std::size_t counted_size(std::string_view document);
Outcome<credentials::PolicyPtr> parse_identity_policy(const std::string& document);
// Also checks that the account's users and roles it names are there.
Outcome<credentials::PolicyPtr> parse_trust_policy(const Identities& identities, const std::string& document);
// Documents travel percent-encoded in IAM's answers.
std::string wire_document(const credentials::Policy& policy);

Outcome<credentials::Tags> read_tags(const Json& input);
// Adds to `tags`; LimitExceeded beyond 50.
Outcome<Json> merge_tags(credentials::Tags& tags, const Json& input, std::string_view quota);
Json tags_json(const credentials::Tags& tags);

// The boundary must be a managed policy that is there.
Outcome<std::string> read_boundary(const Identities& identities, const Json& input);

// One page of `items` (key and JSON, sorted by key) as {member: [...], IsTruncated, Marker}, by the input's Marker and MaxItems.
using Items = std::vector<std::pair<std::string, Json>>;
Outcome<Json> page(const Items& items, const char* member, const Json& input);

// Records as IAM shows them. `whole`: as Get shows them; List leaves tags and boundary out.
Json to_json(const credentials::Role& role, bool whole);
Json to_json(const credentials::User& user, bool whole);
Json to_json(const Identities& identities, const credentials::ManagedPolicy& policy, bool whole);
Json to_json(const Identities& identities, const credentials::InstanceProfile& profile);

}  // namespace berth::services::iam
