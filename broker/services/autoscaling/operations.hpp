// The handlers behind the table in service.cpp. Inside the Auto Scaling service only.
#pragma once

#include "broker/api/operation.hpp"

namespace berth::control {
class ControlPlane;
}

namespace berth::services::autoscaling {

using api::CallContext;
using api::Json;
using api::Outcome;
using control::ControlPlane;

using Operation = Outcome<Json>(ControlPlane&, const CallContext&, const Json&);

Operation create_auto_scaling_group, update_auto_scaling_group, delete_auto_scaling_group, describe_auto_scaling_groups;
Operation set_desired_capacity, set_instance_protection, terminate_instance;
Operation describe_auto_scaling_instances, describe_scaling_activities;
Operation create_or_update_tags, delete_tags, describe_tags;

}  // namespace berth::services::autoscaling
