// Launch templates: from requests to records. Inside the EC2 service only.
#pragma once

#include "broker/services/ec2/wire.hpp"

namespace berth::services::ec2 {

// Reads RequestLaunchTemplateData, or the members that RunInstances shares with it, over what `data` holds already.
Outcome<cluster_sim::LaunchTemplateData> read_launch_data(const Json& input, cluster_sim::LaunchTemplateData data);

// The template that LaunchTemplateId or LaunchTemplateName names.
Outcome<const cluster_sim::LaunchTemplate*> named_template(const Cluster& cluster, const Json& input);
// "3", "$Latest", "$Default" or empty (the default) -> the version's number.
Outcome<int> version_number(const cluster_sim::LaunchTemplate& found, const std::string& version);

}  // namespace berth::services::ec2
