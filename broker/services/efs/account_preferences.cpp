// Account preferences: how long the ids of new resources are. EFS has given long ones only since October 2021.
#include <nlohmann/json.hpp>

#include "broker/services/efs/operations.hpp"

namespace berth::services::efs {

using api::refuse;

namespace {

Json describe_preference() {
  return {{"ResourceIdPreference", {{"ResourceIdType", "LONG_ID"}, {"Resources", {"FILE_SYSTEM", "MOUNT_TARGET"}}}}};
}

}  // namespace

Outcome<Json> put_account_preferences(const Parts&, const CallContext&, const Json& input) {
  if (input.at("ResourceIdType") != "LONG_ID")
    return refuse("BadRequest", "ResourceIdType must be LONG_ID: EFS gives no short ids any more");
  return describe_preference();
}

// There is one page.
Outcome<Json> describe_account_preferences(const Parts&, const CallContext&, const Json&) { return describe_preference(); }

}  // namespace berth::services::efs
