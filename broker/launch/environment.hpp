// What ECS puts into the environment of every container of a task. Inside broker/launch only.
#pragma once

#include <map>
#include <string>

#include "cluster_sim/task.hpp"

namespace berth::launch {

struct InjectedEnvironment {
  std::string credentials_id;  // empty: the task has no task role
  std::string metadata_id;     // the container's
  cluster_sim::LaunchType launch_type = cluster_sim::LaunchType::ec2;
  std::string region;
  unsigned front_door_port = 4580;
};

// Credentials and metadata are ECS's to say. Region and endpoint are left as they are where the user has set them.
void inject(std::map<std::string, std::string>& environment, const InjectedEnvironment& what);

}  // namespace berth::launch
