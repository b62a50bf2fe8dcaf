// What the region offers: zones, instance types, images.

#include <algorithm>

#include "broker/control/control_plane.hpp"
#include "broker/services/ec2/operations.hpp"
#include "broker/services/ec2/wire.hpp"

namespace berth::services::ec2 {
namespace {

using namespace cluster_sim;
using control::Control;

// What a filter sees of an item that is no record of the cluster.
struct Offer {
  std::vector<std::pair<std::string, std::string>> fields;
  Json shown;
};

// Filters by the fields of each offer; every offer of one list has the same.
Outcome<Items> filtered(const Json& input, std::vector<Offer> offers) {
  Items items;
  for (auto& offer : offers) {
    bool passes = true;
    for (const auto& filter : input.value("Filters", Json::array())) {
      const std::string name = text(filter, "Name");
      auto field = std::ranges::find_if(offer.fields, [&](const auto& f) { return f.first == name; });
      if (field == offer.fields.end()) return unknown_filter(name);
      passes = passes && matches_any(texts(filter, "Values"), {field->second});
    }
    if (passes) items.emplace_back(offer.fields.front().second, std::move(offer.shown));
  }
  return items;
}

bool named(const std::vector<std::string>& names, std::string_view name) {
  return names.empty() || std::ranges::find(names, name) != names.end();
}

}  // namespace

Outcome<Json> describe_availability_zones(ControlPlane& plane, const CallContext&, const Json& input) {
  const Settings settings = plane.read([](const Control& c) { return c.cluster.settings(); });
  const auto names = texts(input, "ZoneNames");
  for (const auto& name : names) {
    if (std::ranges::find(settings.zones, name) == settings.zones.end()) {
      return api::refuse("InvalidParameterValue", fmt::format("Invalid availability zone: [{}]", name));
    }
  }
  std::vector<Offer> offers;
  for (const auto& zone : settings.zones) {
    if (!named(names, zone)) continue;
    offers.push_back({{{"zone-name", zone},
                       {"region-name", settings.region},
                       {"state", "available"},
                       {"zone-id", zone_id_of(settings, zone)},
                       {"zone-type", "availability-zone"},
                       {"opt-in-status", "opt-in-not-required"}},
                      {{"ZoneName", zone},
                       {"ZoneId", zone_id_of(settings, zone)},
                       {"RegionName", settings.region},
                       {"State", "available"},
                       {"GroupName", settings.region},
                       {"NetworkBorderGroup", settings.region},
                       {"OptInStatus", "opt-in-not-required"},
                       {"ZoneType", "availability-zone"},
                       {"Messages", Json::array()}}});
  }
  auto items = filtered(input, std::move(offers));
  if (!items) return std::unexpected(items.error());
  return page(Json::object(), "AvailabilityZones", std::move(*items));
}

Outcome<Json> describe_regions(ControlPlane& plane, const CallContext&, const Json& input) {
  const std::string& region = plane.region();
  for (const auto& name : texts(input, "RegionNames")) {
    if (name != region)
      return api::refuse("InvalidParameterValue",
                         fmt::format("Invalid region: [{}]: Berth has the region {} alone", name, region));
  }
  const std::string endpoint = fmt::format("ec2.{}.amazonaws.com", region);
  auto items = filtered(input, {{{{"region-name", region}, {"endpoint", endpoint}, {"opt-in-status", "opt-in-not-required"}},
                                 {{"RegionName", region}, {"Endpoint", endpoint}, {"OptInStatus", "opt-in-not-required"}}}});
  if (!items) return std::unexpected(items.error());
  return page(Json::object(), "Regions", std::move(*items));
}

Outcome<Json> describe_instance_types(ControlPlane&, const CallContext&, const Json& input) {
  const auto names = texts(input, "InstanceTypes");
  for (const auto& name : names) {
    if (!find_instance_type(name)) {
      return api::refuse("InvalidInstanceType", fmt::format("The following supplied instance types do not exist: [{}]", name));
    }
  }
  std::vector<Offer> offers;
  for (const InstanceType* type : instance_types()) {
    if (!named(names, type->name)) continue;
    const std::string name(type->name);
    const bool burstable = name.starts_with("t"), metal = name.ends_with(".metal");
    offers.push_back(
        {{{"instance-type", name},
          {"current-generation", name.starts_with("t2") ? "false" : "true"},
          {"bare-metal", metal ? "true" : "false"},
          {"burstable-performance-supported", burstable ? "true" : "false"},
          {"vcpu-info.default-vcpus", std::to_string(type->vcpus)},
          {"memory-info.size-in-mib", std::to_string(type->memory_mib)},
          {"network-info.maximum-network-interfaces", std::to_string(type->interfaces)}},
         {{"InstanceType", name},
          {"BareMetal", metal},
          {"BurstablePerformanceSupported", burstable},
          {"VCpuInfo", {{"DefaultVCpus", type->vcpus}}},
          {"MemoryInfo", {{"SizeInMiB", type->memory_mib}}},
          {"ProcessorInfo", {{"SupportedArchitectures", {"x86_64"}}}},
          {"SupportedUsageClasses", {"on-demand", "spot"}},
          {"NetworkInfo",
           {{"MaximumNetworkInterfaces", type->interfaces}, {"Ipv4AddressesPerInterface", type->addresses_per_interface}}}}});
  }
  auto items = filtered(input, std::move(offers));
  if (!items) return std::unexpected(items.error());
  return page(input, "InstanceTypes", std::move(*items));
}

// Every type in every zone.
Outcome<Json> describe_instance_type_offerings(ControlPlane& plane, const CallContext&, const Json& input) {
  const Settings settings = plane.read([](const Control& c) { return c.cluster.settings(); });
  const std::string location_type = input.value("LocationType", "region");
  const auto locations = location_type == "availability-zone" ? settings.zones : std::vector{settings.region};
  std::vector<Offer> offers;
  for (const auto& location : locations) {
    for (const InstanceType* type : instance_types()) {
      const std::string name(type->name);
      offers.push_back({{{"key", location + name}, {"instance-type", name}, {"location", location}},
                        {{"InstanceType", name}, {"LocationType", location_type}, {"Location", location}}});
    }
  }
  auto items = filtered(input, std::move(offers));
  if (!items) return std::unexpected(items.error());
  return page(input, "InstanceTypeOfferings", std::move(*items));
}

Outcome<Json> describe_images(ControlPlane&, const CallContext&, const Json& input) {
  const auto ids = texts(input, "ImageIds"), owners = texts(input, "Owners");
  for (const auto& id : ids) {
    const auto all = images();
    if (std::ranges::find(all, id, &Image::id) == all.end())
      return api::refuse("InvalidAMIID.NotFound", fmt::format("The image id '[{}]' does not exist", id));
  }
  std::vector<Offer> offers;
  for (const Image* image : images()) {
    if (!named(ids, image->id) || !named(owners, "amazon")) continue;
    const std::string id(image->id), name(image->name);
    offers.push_back({{{"image-id", id},
                       {"name", name},
                       {"description", std::string(image->description)},
                       {"owner-alias", "amazon"},
                       {"state", "available"},
                       {"architecture", "x86_64"},
                       {"image-type", "machine"},
                       {"is-public", "true"},
                       {"root-device-type", "ebs"},
                       {"virtualization-type", "hvm"}},
                      {{"ImageId", id},
                       {"Name", name},
                       {"Description", std::string(image->description)},
                       {"ImageOwnerAlias", "amazon"},
                       {"State", "available"},
                       {"Architecture", "x86_64"},
                       {"ImageType", "machine"},
                       {"Public", true},
                       {"RootDeviceType", "ebs"},
                       {"RootDeviceName", "/dev/xvda"},
                       {"VirtualizationType", "hvm"},
                       {"Hypervisor", "xen"},
                       {"PlatformDetails", "Linux/UNIX"}}});
  }
  auto items = filtered(input, std::move(offers));
  if (!items) return std::unexpected(items.error());
  return page(input, "Images", std::move(*items));
}

}  // namespace berth::services::ec2
