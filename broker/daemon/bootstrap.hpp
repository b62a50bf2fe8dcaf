// What an account has before anybody made anything: a default VPC with a subnet in each zone, as in AWS.
// https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc.html
#pragma once

#include "broker/base/error.hpp"
#include "broker/control/control_plane.hpp"

namespace berth::daemon {

// Done once, at the first start: a default VPC that the user deleted does not come back.
Result<> make_default_network(control::ControlPlane& plane);

}  // namespace berth::daemon
