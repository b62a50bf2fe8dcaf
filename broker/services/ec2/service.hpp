// The EC2 API, as far as a cluster needs it: VPCs, subnets, security groups, interfaces, launch templates, instances, tags.
// Over cluster_sim; the network is simulated but for the addresses, which tasks really have.
#pragma once

#include "broker/api/operation.hpp"

namespace berth::control {
class ControlPlane;
}

namespace berth::services::ec2 {

// `plane` outlives the service.
api::Service make_ec2(control::ControlPlane& plane);

}  // namespace berth::services::ec2
