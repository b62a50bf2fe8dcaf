// The machine images that Berth's EC2 can boot. Made up, like the ids: what matters is whether the ECS agent is in them.
#pragma once

#include <string_view>
#include <vector>

namespace berth::cluster_sim {

struct Image {
  std::string_view id, name, description;
  bool ecs_optimized = false;  // brings the ECS agent
};

inline constexpr std::string_view kEcsOptimizedImageId = "ami-0ec50000000000001";
inline constexpr std::string_view kPlainImageId = "ami-0ba5e000000000001";

std::vector<const Image*> images();
// By id, or by `resolve:ssm:` and the name of one of the public parameters under /aws/service/ecs/optimized-ami/ (the
// ECS-optimized image) and /aws/service/ami-amazon-linux-latest/ (the plain one). nullptr where there is none.
const Image* find_image(std::string_view id);

}  // namespace berth::cluster_sim
