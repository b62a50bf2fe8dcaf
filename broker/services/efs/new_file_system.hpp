// What CreateFileSystem and a replication that makes its own destination have in common. Inside the EFS service only.
#pragma once

#include <string>

#include "broker/api/operation.hpp"
#include "broker/base/error.hpp"
#include "broker/control/control_plane.hpp"
#include "broker/services/efs/service.hpp"
#include "fuse/catalog.hpp"

namespace berth::services::efs {

// FileSystemLimitExceeded where the account has no room for another one.
api::Outcome<void> check_room(const fuse::Catalog& catalog);
// Makes it a One Zone file system.
api::Outcome<void> set_zone(fuse::FileSystemRecord& record, const std::string& zone, const control::Control& c);
// An empty key: the account's default one. Berth has no KMS and keeps the key's name only.
void encrypt(fuse::FileSystemRecord& record, const std::string& kms_key_id, const control::Control& c);
// Draws the id and writes the ARN; the owner is set.
void name_new(fuse::FileSystemRecord& record, control::Control& c);
// Makes the directory, then the file system `available`. Without the control lock.
Result<> make_available(const Parts& parts, const fuse::FileSystemId& id);

}  // namespace berth::services::efs
