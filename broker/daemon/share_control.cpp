#include "broker/daemon/share_control.hpp"

#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "broker/base/log.hpp"
#include "broker/control/network_codec.hpp"

namespace berth::daemon {

using control::Control;
using fuse::zones::Allowance;
using fuse::zones::Fault;
using fuse::zones::Network;
using fuse::zones::ThroughputMode;

namespace {

using Parameters = std::map<std::string, std::string>;

constexpr const char* kNetworkKind = "zone-network";
constexpr const char* kNetworkKey = "network";
constexpr const char* kCreditsKind = "burst-credits";  // by file system
constexpr double kPatienceMsMax = 24 * 3600 * 1000.0;
constexpr double kLatencyMsMax = 60'000;

std::string text_of(const Parameters& parameters, const char* name) {
  const auto found = parameters.find(name);
  return found == parameters.end() ? "" : found->second;
}

Result<double> number_of(const Parameters& parameters, const char* name, double max) {
  const std::string text = text_of(parameters, name);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= 0 && value <= max)) {
    return fail(Code::invalid_argument, "{} must be a number of milliseconds from 0 to {}, not `{}`", name, max, text);
  }
  return value;
}

Result<std::string> zone_of(const Network& network, const Parameters& parameters, const char* name) {
  const std::string zone = text_of(parameters, name);
  if (network.has(zone)) return zone;
  return fail(Code::invalid_argument, "there is no zone `{}`; the zones are {}", zone, fmt::join(network.zones(), ", "));
}

Result<Fault> read_fault(const std::string& action, const Parameters& parameters) {
  Fault fault{.kind = action == "isolate" ? Fault::Kind::isolated : Fault::Kind::lost};
  const std::string clients = text_of(parameters, "clients");
  if (clients == "soft")
    fault.clients = Fault::Clients::fail;
  else if (clients == "read-only")
    fault.clients = Fault::Clients::read_only;
  else if (!clients.empty() && clients != "hard")
    return fail(Code::invalid_argument, "clients are hard, soft or read-only");
  if (parameters.contains("patience")) {
    const auto patience = number_of(parameters, "patience", kPatienceMsMax);
    if (!patience) return fail(patience.error());
    fault.patience = std::chrono::milliseconds(std::llround(*patience));
  }
  return fault;
}

std::string describe(const std::string& zone, const Fault& fault) {
  const char* what = fault.kind == Fault::Kind::isolated ? "isolated" : "lost";
  switch (fault.clients) {
    case Fault::Clients::wait: return fmt::format("{} is {}: I/O of its mounts waits until it is restored", zone, what);
    case Fault::Clients::fail:
      return fmt::format("{} is {}: I/O of its mounts fails with EIO after {} ms", zone, what, fault.patience.count());
    case Fault::Clients::read_only: return fmt::format("{} is {}: its mounts can be read only", zone, what);
  }
  return zone;
}

double stored_credits(const Control& c, const std::string& file_system, double now_seconds, const Allowance& allowance) {
  const auto* text = c.documents.find(kCreditsKind, file_system);
  if (text == nullptr) return fuse::zones::kFirstCredits;
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) return fuse::zones::kFirstCredits;
  const double earned = fuse::zones::rates_of(allowance).earned * std::max(0.0, now_seconds - json.value("at", now_seconds));
  return json.value("credits", fuse::zones::kFirstCredits) + earned;
}

}  // namespace

std::optional<Allowance> allowance_of(const fuse::FileSystemRecord& record, bool enforce_all) {
  const auto tag = record.tags.find("berth:throughput");
  const std::string wish = tag == record.tags.end() ? "" : tag->second;
  const bool provisioned = record.throughput_mode == "provisioned";
  if (wish == "free" || record.throughput_mode == "elastic") return std::nullopt;
  if (!provisioned && wish != "enforced" && !enforce_all) return std::nullopt;
  return Allowance{.mode = provisioned ? ThroughputMode::provisioned : ThroughputMode::bursting,
                   .provisioned_mibps = record.provisioned_mibps.value_or(0),
                   .size_bytes = record.size_bytes};
}

void ShareControl::begin() {
  {
    const std::scoped_lock lock(mutex_);
    network_ = plane_.read([](const Control& c) {
      Network network(c.cluster.settings().zones);
      if (const auto* text = c.documents.find(kNetworkKind, kNetworkKey)) {
        if (auto restored = control::restore_network(network, *text); !restored) {
          log::warning("zones not restored", {{"error", restored.error().message}});
        }
      }
      return network;
    });
    share_.set_network(network_);
  }
  apply_throughput();
}

Network ShareControl::network() const {
  const std::scoped_lock lock(mutex_);
  return network_;
}

Result<std::string> ShareControl::apply(Network& network, const std::string& action, const Parameters& parameters) const {
  if (action == "latency") {
    const auto a = zone_of(network, parameters, "a"), b = zone_of(network, parameters, "b");
    const auto milliseconds = number_of(parameters, "ms", kLatencyMsMax);
    if (!a) return fail(a.error());
    if (!b) return fail(b.error());
    if (!milliseconds) return fail(milliseconds.error());
    network.set_latency(*a, *b, std::chrono::microseconds(std::llround(*milliseconds * 1000)));
    return fmt::format("{} to {}: {} ms", *a, *b, *milliseconds);
  }
  const auto zone = zone_of(network, parameters, "zone");
  if (!zone) return fail(zone.error());
  if (action == "restore") {
    network.restore(*zone);
    return fmt::format("{} is back", *zone);
  }
  if (action != "isolate" && action != "lose") return fail(Code::not_found, "a zone can be isolated, lost and restored");
  const auto fault = read_fault(action, parameters);
  if (!fault) return fail(fault.error());
  network.set_fault(*zone, *fault);
  return describe(*zone, *fault);
}

Result<std::string> ShareControl::change(const std::string& action, const Parameters& parameters) {
  const std::scoped_lock lock(mutex_);
  Network changed = network_;
  auto said = apply(changed, action, parameters);
  if (!said) return said;
  auto stored = plane_.with([&](Control& c) { c.documents.put(kNetworkKind, kNetworkKey, control::encode_network(changed)); });
  if (!stored) return fail(stored.error());
  network_ = changed;
  share_.set_network(std::move(changed));
  log::info("zones changed", {{"what", *said}});
  return said;
}

void ShareControl::apply_throughput() {
  struct Wish {
    std::optional<Allowance> allowance;
    double credits = 0;
  };
  save_credits();
  const std::scoped_lock lock(mutex_);
  const auto wishes = plane_.apply([&](const Control& c) {
    std::map<std::string, Wish> all;
    for (const auto& [id, record] : c.catalog.file_systems()) {
      const auto allowance = allowance_of(record, enforce_all_);
      all[id.str()] = {allowance, allowance ? stored_credits(c, id.str(), to_epoch_seconds(c.now), *allowance) : 0};
    }
    return all;
  });
  for (const auto& [id, wish] : wishes) share_.set_throughput(id, wish.allowance, wish.credits);
  for (const auto& held : share_.throughput()) {
    if (!wishes.contains(held.file_system)) share_.set_throughput(held.file_system, std::nullopt);
  }
}

void ShareControl::save_credits() {
  const auto held = share_.throughput();
  if (held.empty()) return;
  plane_.apply([&](Control& c) {
    for (const auto& one : held) {
      c.documents.put(kCreditsKind, one.file_system,
                      nlohmann::json{{"credits", one.credits}, {"at", to_epoch_seconds(c.now)}}.dump());
    }
  });
}

}  // namespace berth::daemon
