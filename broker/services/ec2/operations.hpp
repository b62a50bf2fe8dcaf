// The handlers behind the table in service.cpp. Inside the EC2 service only.
#pragma once

#include "broker/api/operation.hpp"

namespace berth::control {
class ControlPlane;
}

namespace berth::services::ec2 {

using api::CallContext;
using api::Json;
using api::Outcome;
using control::ControlPlane;

using Operation = Outcome<Json>(ControlPlane&, const CallContext&, const Json&);

Operation create_vpc, describe_vpcs, delete_vpc, modify_vpc_attribute, describe_vpc_attribute;
Operation create_subnet, describe_subnets, delete_subnet, modify_subnet_attribute;
Operation create_security_group, describe_security_groups, delete_security_group;
Operation authorize_ingress, authorize_egress, revoke_ingress, revoke_egress;
Operation create_network_interface, describe_network_interfaces, delete_network_interface;
Operation create_launch_template, create_launch_template_version, modify_launch_template, delete_launch_template;
Operation describe_launch_templates, describe_launch_template_versions;
Operation run_instances, terminate_instances, reboot_instances, describe_instances, describe_instance_status;
Operation describe_availability_zones, describe_regions, describe_instance_types, describe_instance_type_offerings,
    describe_images;
Operation create_tags, delete_tags, describe_tags;

}  // namespace berth::services::ec2
