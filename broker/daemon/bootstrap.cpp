#include "broker/daemon/bootstrap.hpp"

namespace berth::daemon {

namespace {

constexpr std::uint32_t kDefaultBlock = 172U << 24 | 31U << 16;  // 172.31.0.0/16, a /20 a zone
constexpr std::uint32_t kSubnetSize = 1U << 12;

Result<> make_network(control::Control& c) {
  auto vpc = c.cluster.create_vpc(c.random, cluster_sim::Cidr{kDefaultBlock, 16}, {});
  if (!vpc) return fail(vpc.error());
  c.cluster.edit(*vpc)->is_default = true;
  std::uint32_t address = kDefaultBlock;
  for (const std::string& zone : c.cluster.settings().zones) {
    auto subnet = c.cluster.create_subnet(c.random, *vpc, zone, cluster_sim::Cidr{address, 20}, {});
    if (!subnet) return fail(subnet.error());
    c.cluster.edit(*subnet)->map_public_ip = true;
    address += kSubnetSize;
  }
  return {};
}

}  // namespace

Result<> make_default_network(control::ControlPlane& plane) {
  return plane.with([](control::Control& c) -> Result<> {
    if (c.documents.find("bootstrap", "default-network") != nullptr) return {};
    if (auto made = make_network(c); !made) return made;
    c.documents.put("bootstrap", "default-network", "{}");
    return {};
  });
}

}  // namespace berth::daemon
