#include "broker/api/registry.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include <fmt/ranges.h>

#include "broker/base/check.hpp"
#include "broker/protocol/codec.hpp"

namespace berth::api {

namespace {

std::unique_ptr<const Entry> entry_for(Service service) {
  auto entry = std::make_unique<Entry>();
  entry->service = std::move(service);
  entry->model = protocol::Model::find(entry->service.model);
  BERTH_CHECK(entry->model != nullptr);
  for (const Operation& row : entry->service.operations) {
    BERTH_CHECK(entry->model->operation(row.name) != nullptr);
    BERTH_CHECK(row.resources && row.handle && (row.needs_no_permission || !row.action.empty()));
    BERTH_CHECK(entry->rows.emplace(row.name, &row).second);
  }
  return entry;
}

// `GET /` is an operation of no one, `POST /` of many: only what names an operation counts.
bool names_operation(const Entry& entry, const http::Request& request) {
  return protocol::operation_of(*entry.model, request).has_value();
}

}  // namespace

ResourcesOf any_resource() {
  return [](const CallContext&, const Json&) -> Outcome<std::vector<ResourceAccess>> { return std::vector<ResourceAccess>(1); };
}

const Operation* Entry::row(std::string_view operation) const {
  const auto found = rows.find(operation);
  return found == rows.end() ? nullptr : found->second;
}

bool Entry::signs_as(std::string_view signing_name) const {
  return std::ranges::find(service.signing_names, signing_name) != service.signing_names.end();
}

Registry::Registry(std::vector<Service> services) {
  for (Service& service : services) entries_.push_back(entry_for(std::move(service)));
}

const Entry* Registry::by_model(std::string_view model) const {
  for (const auto& entry : entries_) {
    if (entry->service.model == model) return entry.get();
  }
  return nullptr;
}

const Entry* Registry::by_signing_name(std::string_view name) const {
  for (const auto& entry : entries_) {
    if (entry->signs_as(name)) return entry.get();
  }
  return nullptr;
}

const Entry* Registry::by_content(const http::Request& request) const {
  for (const auto& entry : entries_) {
    if (names_operation(*entry, request)) return entry.get();
  }
  return nullptr;
}

std::string Registry::signing_names() const {
  std::vector<std::string> names;
  for (const auto& entry : entries_)
    names.insert(names.end(), entry->service.signing_names.begin(), entry->service.signing_names.end());
  std::ranges::sort(names);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace berth::api
