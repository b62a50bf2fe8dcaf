#include "broker/control/network_codec.hpp"

#include <nlohmann/json.hpp>

namespace berth::control {

using Json = nlohmann::json;
using fuse::zones::Fault;

std::string encode_network(const fuse::zones::Network& network) {
  Json latencies = Json::array(), faults = Json::array();
  for (const auto& [zones, latency] : network.latencies()) {
    latencies.push_back({{"a", zones.first}, {"b", zones.second}, {"microseconds", latency.count()}});
  }
  for (const auto& [zone, fault] : network.faults()) {
    faults.push_back({{"zone", zone},
                      {"kind", static_cast<int>(fault.kind)},
                      {"clients", static_cast<int>(fault.clients)},
                      {"patience_ms", fault.patience.count()}});
  }
  return Json{{"latencies", latencies}, {"faults", faults}}.dump();
}

Result<> restore_network(fuse::zones::Network& network, std::string_view text) {
  try {
    const Json json = Json::parse(text);
    for (const Json& entry : json.at("latencies")) {
      const auto a = entry.at("a").get<std::string>(), b = entry.at("b").get<std::string>();
      if (network.has(a) && network.has(b)) {
        network.set_latency(a, b, std::chrono::microseconds(entry.at("microseconds").get<std::int64_t>()));
      }
    }
    for (const Json& entry : json.at("faults")) {
      const auto zone = entry.at("zone").get<std::string>();
      if (!network.has(zone)) continue;
      network.set_fault(zone, {static_cast<Fault::Kind>(entry.at("kind").get<int>()),
                               static_cast<Fault::Clients>(entry.at("clients").get<int>()),
                               std::chrono::milliseconds(entry.at("patience_ms").get<std::int64_t>())});
    }
    return {};
  } catch (const Json::exception& error) {
    return fail(Code::invalid_argument, "the network between the zones can't be read: {}", error.what());
  }
}

}  // namespace berth::control
