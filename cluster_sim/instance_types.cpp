// What EC2 sells, as far as Berth simulates it: vCPUs, memory, network interfaces, and awsvpc tasks with trunking.
// Figures: DescribeInstanceTypes and the ECS developer guide, "Elastic network interface trunking".

#include <array>

#include "cluster_sim/capacity.hpp"

namespace berth::cluster_sim {
namespace {

constexpr std::array kTypes{
    InstanceType{"t2.nano", 1, 512, 2, 2, 0},
    InstanceType{"t2.micro", 1, 1024, 2, 2, 0},
    InstanceType{"t2.small", 1, 2048, 3, 4, 0},
    InstanceType{"t2.medium", 2, 4096, 3, 6, 0},
    InstanceType{"t2.large", 2, 8192, 3, 12, 0},
    InstanceType{"t2.xlarge", 4, 16384, 3, 15, 0},
    InstanceType{"t2.2xlarge", 8, 32768, 3, 15, 0},
    InstanceType{"t3.nano", 2, 512, 2, 2, 0},
    InstanceType{"t3.micro", 2, 1024, 2, 2, 0},
    InstanceType{"t3.small", 2, 2048, 3, 4, 0},
    InstanceType{"t3.medium", 2, 4096, 3, 6, 0},
    InstanceType{"t3.large", 2, 8192, 3, 12, 0},
    InstanceType{"t3.xlarge", 4, 16384, 4, 15, 0},
    InstanceType{"t3.2xlarge", 8, 32768, 4, 15, 0},
    InstanceType{"m5.large", 2, 8192, 3, 10, 10},
    InstanceType{"m5.xlarge", 4, 16384, 4, 15, 20},
    InstanceType{"m5.2xlarge", 8, 32768, 4, 15, 40},
    InstanceType{"m5.4xlarge", 16, 65536, 8, 30, 60},
    InstanceType{"m5.8xlarge", 32, 131072, 8, 30, 60},
    InstanceType{"m5.12xlarge", 48, 196608, 8, 30, 60},
    InstanceType{"m5.16xlarge", 64, 262144, 15, 50, 120},
    InstanceType{"m5.24xlarge", 96, 393216, 15, 50, 120},
    InstanceType{"m5.metal", 96, 393216, 15, 50, 0},
};

struct FargateSize {
  int cpu, smallest, largest, step;  // MiB
};
constexpr int kGib = 1024;
constexpr std::array kFargateSizes{
    FargateSize{512, 1 * kGib, 4 * kGib, kGib},        FargateSize{1024, 2 * kGib, 8 * kGib, kGib},
    FargateSize{2048, 4 * kGib, 16 * kGib, kGib},      FargateSize{4096, 8 * kGib, 30 * kGib, kGib},
    FargateSize{8192, 16 * kGib, 60 * kGib, 4 * kGib}, FargateSize{16384, 32 * kGib, 120 * kGib, 8 * kGib},
};

}  // namespace

const InstanceType* find_instance_type(std::string_view name) {
  for (const auto& type : kTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

std::vector<const InstanceType*> instance_types() {
  std::vector<const InstanceType*> types;
  for (const auto& type : kTypes) types.push_back(&type);
  return types;
}

bool fargate_size_valid(int cpu, int memory_mib) {
  if (cpu == 256) return memory_mib == 512 || memory_mib == 1024 || memory_mib == 2048;
  for (const auto& size : kFargateSizes) {
    if (size.cpu == cpu)
      return memory_mib >= size.smallest && memory_mib <= size.largest && (memory_mib - size.smallest) % size.step == 0;
  }
  return false;
}

}  // namespace berth::cluster_sim
