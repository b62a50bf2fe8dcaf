// VPCs, subnets with their address pools, network interfaces, security groups: records of the simulated network.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"
#include "cluster_sim/ids.hpp"

namespace berth::cluster_sim {

using Tags = std::map<std::string, std::string>;

// An IPv4 block: host order address and prefix length.
struct Cidr {
  std::uint32_t address = 0;
  unsigned prefix_length = 0;
  bool contains(std::uint32_t other) const;
  bool contains(const Cidr& other) const;
  bool overlaps(const Cidr& other) const;
  std::string str() const;  // 10.0.1.0/24
  auto operator<=>(const Cidr&) const = default;
};
// Refuses host bits and anything that is not an IPv4 block.
Result<Cidr> parse_cidr(std::string_view text);
std::string address_text(std::uint32_t address);
Result<std::uint32_t> parse_address(std::string_view text);

struct Vpc {
  VpcId id;
  Cidr block;
  bool is_default = false;
  bool dns_support = true, dns_hostnames = false;
  Tags tags;
};

struct Subnet {
  SubnetId id;
  VpcId vpc;
  std::string zone;     // us-east-1a
  std::string zone_id;  // use1-az1
  Cidr block;
  bool map_public_ip = false;
  Tags tags;
  // AWS keeps the first four addresses and the last of each subnet.
  std::set<std::uint32_t> used;
  std::uint32_t gateway() const { return block.address + 1; }
  std::uint32_t free_addresses() const;
};

struct SecurityGroup {
  SecurityGroupId id;
  VpcId vpc;
  std::string name, description;
  Tags tags;
  struct Rule {
    bool egress = false;
    std::string protocol;  // "tcp", "udp", "icmp", "-1"
    int from_port = -1, to_port = -1;
    std::vector<std::string> cidrs;
    std::vector<SecurityGroupId> groups;
  };
  std::vector<Rule> rules;
};

struct Interface {
  InterfaceId id;
  SubnetId subnet;
  std::uint32_t address = 0;
  std::string mac;
  std::string description;
  std::vector<SecurityGroupId> security_groups;
  std::string owner;  // "task/<id>", "instance/<id>", "mount-target/<id>", "" where a user made it
  std::string attachment_id;
  Tags tags;
};

}  // namespace berth::cluster_sim
