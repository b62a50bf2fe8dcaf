#include "cluster_sim/address_pool.hpp"

namespace berth::cluster_sim {
namespace {

std::uint32_t first_usable(const Subnet& subnet) { return subnet.block.address + 4; }
std::uint32_t last_usable(const Subnet& subnet) {
  const std::uint64_t size = std::uint64_t{1} << (32 - subnet.block.prefix_length);
  return subnet.block.address + static_cast<std::uint32_t>(size - 2);
}

// The set is ordered: the first gap in it is the lowest free address.
std::uint32_t lowest_free(const Subnet& subnet) {
  std::uint32_t candidate = first_usable(subnet);
  for (auto at = subnet.used.lower_bound(candidate); at != subnet.used.end() && *at == candidate; ++at) ++candidate;
  return candidate;
}

}  // namespace

Result<std::uint32_t> take_address(Subnet& subnet, std::uint32_t wanted) {
  if (wanted == 0) {
    if (subnet.free_addresses() == 0) return fail(Code::resource_exhausted, "subnet `{}` has no free address", subnet.id.str());
    wanted = lowest_free(subnet);
  } else if (wanted < first_usable(subnet) || wanted > last_usable(subnet)) {
    return fail(Code::invalid_argument, "address `{}` is reserved or not in subnet `{}`", address_text(wanted), subnet.id.str());
  } else if (subnet.used.contains(wanted)) {
    return fail(Code::already_exists, "address `{}` is in use", address_text(wanted));
  }
  subnet.used.insert(wanted);
  return wanted;
}

}  // namespace berth::cluster_sim
