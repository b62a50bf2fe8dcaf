#include "broker/launch/environment.hpp"

#include <fmt/format.h>

namespace berth::launch {

namespace {

// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4.html
constexpr std::string_view kEndpoint = "http://169.254.170.2";

}  // namespace

void inject(std::map<std::string, std::string>& environment, const InjectedEnvironment& what) {
  if (!what.credentials_id.empty())
    environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/credentials/" + what.credentials_id;
  environment["ECS_CONTAINER_METADATA_URI"] = fmt::format("{}/v3/{}", kEndpoint, what.metadata_id);
  environment["ECS_CONTAINER_METADATA_URI_V4"] = fmt::format("{}/v4/{}", kEndpoint, what.metadata_id);
  environment["ECS_AGENT_URI"] = fmt::format("{}/api/{}", kEndpoint, what.metadata_id);
  environment["AWS_EXECUTION_ENV"] = what.launch_type == cluster_sim::LaunchType::fargate ? "AWS_ECS_FARGATE" : "AWS_ECS_EC2";
  // One of the two says that the user has decided; the agent then sets neither.
  if (!environment.contains("AWS_REGION") && !environment.contains("AWS_DEFAULT_REGION")) {
    environment["AWS_REGION"] = what.region;
    environment["AWS_DEFAULT_REGION"] = what.region;
  }
  environment.try_emplace("AWS_ENDPOINT_URL", fmt::format("{}:{}", kEndpoint, what.front_door_port));
}

}  // namespace berth::launch
