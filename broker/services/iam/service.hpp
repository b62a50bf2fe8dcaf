// The IAM API (2010-05-08): roles, managed policies, users with access keys, instance profiles.
//
// Reads take a snapshot of the identities; changes copy them under the control lock. All checks come before the first change,
// so that a refused call leaves nothing behind.
#pragma once

#include "broker/api/operation.hpp"

namespace berth::control {
class ControlPlane;
}

namespace berth::services::iam {

// `plane` outlives the service.
api::Service make_iam(control::ControlPlane& plane);

}  // namespace berth::services::iam
