#include "broker/control/records.hpp"

#include <nlohmann/json.hpp>

#include "broker/control/catalog_codec.hpp"
#include "broker/control/cluster_codec.hpp"
#include "credentials/identities_codec.hpp"

namespace berth::control {

namespace {

// Documents have kinds that their services choose: the prefix keeps them apart from the libraries'.
constexpr std::string_view kDocumentPrefix = "document/";
constexpr std::string_view kIdentityPrefix = "iam_";

std::string prefixed(std::string_view kind) { return std::string{kDocumentPrefix}.append(kind); }

}  // namespace

void take_identities(credentials::Identities& identities, store::Batch& batch) {
  for (auto& change : identities.take_changes()) {
    auto text = credentials::encode(identities, change);
    batch.push_back({std::move(change.kind), std::move(change.key), std::move(text)});
  }
}

void take_catalog(fuse::Catalog& catalog, store::Batch& batch) {
  for (auto& change : catalog.take_changes()) {
    auto text = encode_catalog_record(catalog, change);
    batch.push_back({std::move(change.kind), std::move(change.key), std::move(text)});
  }
}

void take_cluster(cluster_sim::Cluster& cluster, store::Batch& batch) {
  for (auto& change : cluster.take_changes()) {
    auto text = encode(cluster, change);
    batch.push_back({std::move(change.kind), std::move(change.key), std::move(text)});
  }
}

void take_documents(Documents& documents, store::Batch& batch) {
  for (auto& change : documents.take_changes()) {
    const std::string* text = documents.find(change.kind, change.key);
    batch.push_back({prefixed(change.kind), std::move(change.key), text ? std::optional{*text} : std::nullopt});
  }
}

Result<> restore_record(Control& control, credentials::Identities& identities, const store::RecordChange& record) {
  const std::string_view kind = record.kind;
  const std::string& text = record.value.value();
  if (kind.starts_with(kDocumentPrefix)) {
    control.documents.restore(std::string{kind.substr(kDocumentPrefix.size())}, record.key, text);
    return {};
  }
  if (kind == kCloudKind) return {};
  if (kind.starts_with(kIdentityPrefix)) return credentials::restore(identities, kind, record.key, text);
  if (is_catalog_kind(kind)) return restore_catalog_record(control.catalog, kind, text);
  if (is_cluster_kind(kind)) return restore(control.cluster, kind, record.key, text);
  return fail(Code::failed_precondition, "a kind of record that this Berth doesn't know");
}

std::string encode_cloud(const Cloud& cloud) {
  return nlohmann::json{{"account", cloud.account}, {"region", cloud.region}, {"zones", cloud.zones}}.dump();
}

Result<Cloud> parse_cloud(std::string_view text) {
  try {
    const auto json = nlohmann::json::parse(text);
    return Cloud{json.at("account").get<std::string>(), json.at("region").get<std::string>(),
                 json.at("zones").get<std::vector<std::string>>()};
  } catch (const nlohmann::json::exception&) {
    return fail(Code::failed_precondition, "the record of the cloud's settings is damaged");
  }
}

}  // namespace berth::control
