#include "cluster_sim/images.hpp"

#include <array>

namespace berth::cluster_sim {
namespace {

constexpr std::array kImages{
    Image{kEcsOptimizedImageId, "al2023-ami-ecs-hvm-berth-x86_64",
          "Amazon Linux AMI amzn-ami-2023 x86_64 ECS HVM, as Berth simulates it", true},
    Image{kPlainImageId, "al2023-ami-berth-x86_64", "Amazon Linux 2023 AMI x86_64 HVM, as Berth simulates it", false},
};

}  // namespace

std::vector<const Image*> images() {
  std::vector<const Image*> all;
  for (const auto& image : kImages) all.push_back(&image);
  return all;
}

const Image* find_image(std::string_view id) {
  static constexpr std::string_view kParameter = "resolve:ssm:/aws/service/";
  if (id.starts_with(kParameter)) {
    const std::string_view rest = id.substr(kParameter.size());
    if (rest.starts_with("ecs/optimized-ami/")) id = kEcsOptimizedImageId;
    if (rest.starts_with("ami-amazon-linux-latest/")) id = kPlainImageId;
  }
  for (const auto& image : kImages) {
    if (image.id == id) return &image;
  }
  return nullptr;
}

}  // namespace berth::cluster_sim
