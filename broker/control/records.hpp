// The control state as records of the store: what changed, and back again. Each part of the state has kinds of its own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/control/control_plane.hpp"
#include "broker/store/store.hpp"

namespace berth::control {

// Adds what the part changed since the last call.
void take_identities(credentials::Identities& identities, store::Batch& batch);
void take_catalog(fuse::Catalog& catalog, store::Batch& batch);
void take_cluster(cluster_sim::Cluster& cluster, store::Batch& batch);
void take_documents(Documents& documents, store::Batch& batch);

// Puts the record back into the part whose kind it is; `identities` stands for Control::identities, which is const.
Result<> restore_record(Control& control, credentials::Identities& identities, const store::RecordChange& record);

// What a state directory is made for, once and for all.
struct Cloud {
  std::string account, region;
  std::vector<std::string> zones;
};
inline constexpr std::string_view kCloudKind = "cloud";
std::string encode_cloud(const Cloud& cloud);
Result<Cloud> parse_cloud(std::string_view text);

}  // namespace berth::control
