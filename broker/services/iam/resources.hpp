// Which resources and condition keys IAM's operations bring to the policy decision. Inside the IAM service only.
#pragma once

#include "broker/api/operation.hpp"

namespace berth::control {
class ControlPlane;
}

namespace berth::services::iam {

api::ResourcesOf role_resource(control::ControlPlane& plane);
api::ResourcesOf user_resource(control::ControlPlane& plane);  // without a UserName: the caller
api::ResourcesOf policy_resource(control::ControlPlane& plane);
api::ResourcesOf instance_profile_resource(control::ControlPlane& plane);
// Adding a role to a profile hands the role on: iam:PassRole is checked too.
api::ResourcesOf profile_and_passed_role(control::ControlPlane& plane);

}  // namespace berth::services::iam
