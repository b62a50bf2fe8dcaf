// The EC2 Auto Scaling API: groups by launch template or mixed instances policy, over cluster_sim.
#pragma once

#include "broker/api/operation.hpp"

namespace berth::control {
class ControlPlane;
}

namespace berth::services::autoscaling {

// `plane` outlives the service.
api::Service make_autoscaling(control::ControlPlane& plane);

}  // namespace berth::services::autoscaling
