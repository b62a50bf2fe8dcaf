#include "broker/runtime/network.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "broker/runtime/files.hpp"
#include "broker/runtime/mounts.hpp"
#include "broker/runtime/netlink.hpp"
#include "broker/runtime/network_namespace.hpp"

namespace berth::runtime {
namespace {

// Docker's default bridge range, for NetworkMode::bridge.
constexpr const char* kBridgeGateway = "172.17.0.1";
constexpr unsigned kBridgePrefixLength = 16;
constexpr unsigned kBridgeHostsMax = 65'000;

// Values that every device of the VPC's namespace gets when it is made.
Result<> configure_router() {
  struct Setting {
    const char* path;
    const char* value;
  };
  constexpr Setting kSettings[] = {
      {"/proc/sys/net/ipv4/ip_forward", "1"},
      // Drop what doesn't come from the address that the device leads to: no task can speak as another.
      {"/proc/sys/net/ipv4/conf/all/rp_filter", "1"},
      {"/proc/sys/net/ipv4/conf/default/rp_filter", "1"},
      // Answer for the neighbours: tasks have their subnet's prefix, but no segment to ask on.
      {"/proc/sys/net/ipv4/conf/default/proxy_arp", "1"},
      {"/proc/sys/net/ipv4/conf/all/send_redirects", "0"},
      {"/proc/sys/net/ipv4/conf/default/send_redirects", "0"},
      {"/proc/sys/net/ipv4/conf/all/accept_redirects", "0"},
      {"/proc/sys/net/ipv4/conf/default/accept_source_route", "0"},
  };
  for (const Setting& setting : kSettings)
    if (auto set = write_control(setting.path, setting.value); !set) return set;
  return {};
}

}  // namespace

std::string Network::device_of(const TaskId& task) { return "t" + task.str().substr(0, 13); }  // IFNAMSIZ is 16

Result<std::unique_ptr<Network>> Network::open(const Paths& paths, unsigned front_door_port) {
  std::unique_ptr<Network> network(new Network(paths, front_door_port));
  if (auto made = make_directories(paths.namespaces(), 0700); !made) return fail(made.error());
  if (is_namespace_mount(network->vpc())) return network;
  if (auto made = network->make_vpc(); !made) {
    network->close();
    return fail(made.error().within("make the VPC's network namespace"));
  }
  return network;
}

Result<> Network::make_vpc() {
  if (auto made = make_network_namespace(vpc()); !made) return made;
  return in_network_namespace(vpc(), []() -> Result<> {
    if (auto configured = configure_router(); !configured) return configured;
    auto netlink = Rtnetlink::open();
    if (!netlink) return fail(netlink.error());
    return netlink->add_address("lo", kTaskEndpointAddress, 32);
  });
}

Result<> Network::add_subnet(const std::string& gateway) {
  {
    const std::lock_guard lock(mutex_);
    if (!gateways_.insert(gateway).second) return {};
  }
  return in_network_namespace(vpc(), [&]() -> Result<> {
    auto netlink = Rtnetlink::open();
    if (!netlink) return fail(netlink.error());
    return netlink->add_address("lo", gateway, 32);
  });
}

NetworkInterface Network::bridge_interface() {
  const auto address_of = [](unsigned host) { return fmt::format("172.17.{}.{}", host / 256, host % 256); };
  const std::lock_guard lock(mutex_);
  unsigned host = 2;
  while (bridge_addresses_.contains(address_of(host)) && host < kBridgeHostsMax) ++host;
  NetworkInterface interface;
  interface.address = address_of(host);
  bridge_addresses_.insert(interface.address);
  // Docker forms the MAC from the address likewise: 02:42 and its four bytes.
  interface.mac = fmt::format("02:42:ac:11:{:02x}:{:02x}", host / 256, host % 256);
  interface.prefix_length = kBridgePrefixLength;
  interface.gateway = kBridgeGateway;
  return interface;
}

void Network::restore(const TaskLaunch& task) {
  const std::lock_guard lock(mutex_);
  if (task.network == NetworkMode::bridge && task.interface) bridge_addresses_.insert(task.interface->address);
}

Result<TaskNetwork> Network::create(TaskLaunch& task) {
  TaskNetwork network;
  network.namespace_path = paths_.network_namespace(task.id.str());
  if (auto made = make_network_namespace(network.namespace_path); !made) return fail(made.error());
  if (task.network != NetworkMode::none) {
    if (task.network == NetworkMode::awsvpc && !task.interface)
      return fail(Code::invalid_argument, "an awsvpc task without a network interface");
    if (task.network == NetworkMode::bridge) task.interface = bridge_interface();
    network.address = task.interface->address;
    if (auto added = add_subnet(task.interface->gateway); !added) return fail(added.error());
    if (auto connected = connect(task, *task.interface); !connected) return fail(connected.error());
  }
  if (auto listening = listen(task, network); !listening) return fail(listening.error());
  return network;
}

Result<> Network::connect(const TaskLaunch& task, const NetworkInterface& interface) {
  const std::string device = device_of(task.id);
  const UniqueFd vpc_namespace(::open(vpc().c_str(), O_RDONLY | O_CLOEXEC));
  if (!vpc_namespace) return fail_errno(errno, "open the VPC's network namespace");
  const auto inside = [&]() -> Result<> {
    auto netlink = Rtnetlink::open();
    if (!netlink) return fail(netlink.error());
    if (auto made = netlink->add_veth("eth0", interface.mac, device, vpc_namespace.get()); !made) return made;
    if (auto added = netlink->add_address("eth0", interface.address, interface.prefix_length); !added) return added;
    if (auto up = netlink->set_up("eth0"); !up) return up;
    return netlink->add_default_route("eth0", interface.gateway);
  };
  const auto outside = [&]() -> Result<> {
    auto netlink = Rtnetlink::open();
    if (!netlink) return fail(netlink.error());
    // Answers for neighbours go out at once, not after up to 0.8 s; each device has its own setting.
    if (auto set = write_control("/proc/sys/net/ipv4/neigh/" + device + "/proxy_delay", "0"); !set) return set;
    if (auto up = netlink->set_up(device); !up) return up;
    return netlink->set_host_route(device, interface.address);
  };
  if (auto done = in_network_namespace(paths_.network_namespace(task.id.str()), inside); !done) return done;
  return in_network_namespace(vpc(), outside);
}

Result<> Network::listen(const TaskLaunch& task, TaskNetwork& network) {
  const bool alone = task.network == NetworkMode::none;
  const std::string device = alone ? std::string() : device_of(task.id);
  const std::string& where = alone ? network.namespace_path : vpc();
  return in_network_namespace(where, [&]() -> Result<> {
    if (alone) {
      auto netlink = Rtnetlink::open();
      if (!netlink) return fail(netlink.error());
      if (auto added = netlink->add_address("lo", kTaskEndpointAddress, 32); !added) return added;
    }
    auto metadata = listen_at(kTaskEndpointAddress, kMetadataPort, device);
    if (!metadata) return fail(metadata.error());
    auto front_door = listen_at(kTaskEndpointAddress, front_door_port_, device);
    if (!front_door) return fail(front_door.error());
    network.metadata = std::move(*metadata);
    network.front_door = std::move(*front_door);
    return {};
  });
}

void Network::remove(const TaskLaunch& task) noexcept {
  const std::string address = task.interface ? task.interface->address : std::string();
  const std::string path = paths_.network_namespace(task.id.str());
  // The devices die with the namespace, but some milliseconds later: the address may be another task's by then.
  if (!address.empty() && is_namespace_mount(path)) {
    (void)in_network_namespace(vpc(), [&]() -> Result<> {
      auto netlink = Rtnetlink::open();
      return netlink ? netlink->remove_host_route(address) : Result<>(fail(netlink.error()));
    });
  }
  drop_network_namespace(path);
  const std::lock_guard lock(mutex_);
  if (task.network == NetworkMode::bridge) bridge_addresses_.erase(address);
}

void Network::close() noexcept { drop_network_namespace(vpc()); }

}  // namespace berth::runtime
