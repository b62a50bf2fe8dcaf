// From ids in a request to records of the catalog, and from records to what EFS answers. Inside the EFS service only.
#pragma once

#include <string>
#include <string_view>

#include "broker/api/operation.hpp"
#include "broker/base/random.hpp"
#include "fuse/catalog.hpp"

namespace berth::services::efs {

// Requests name file systems and access points by id or by ARN: the id of either.
std::string bare_id(std::string_view id_or_arn);
// `prefix` and 17 hex digits.
std::string make_id(Random& random, std::string_view prefix);

api::Outcome<const fuse::FileSystemRecord*> need_file_system(const fuse::Catalog& catalog, std::string_view id_or_arn);
// Also refuses one that is not `available`.
api::Outcome<const fuse::FileSystemRecord*> need_available(const fuse::Catalog& catalog, std::string_view id_or_arn);
api::Outcome<const fuse::MountTargetRecord*> need_mount_target(const fuse::Catalog& catalog, std::string_view id);
api::Outcome<const fuse::AccessPointRecord*> need_access_point(const fuse::Catalog& catalog, std::string_view id_or_arn);

// The lifecycle rule that goes with ThroughputMode elastic only.
inline constexpr std::string_view kToArchive = "TransitionToArchive";
// For the log, once for each file system whose backup is asked for.
void warn_that_nothing_backs_up(const fuse::FileSystemId& id);

api::Json describe(const fuse::FileSystemRecord& record, const fuse::Catalog& catalog);
api::Json describe(const fuse::MountTargetRecord& record);
api::Json describe(const fuse::AccessPointRecord& record);

// Tags of a request; refuses doubled keys, `aws:` keys and more than 50.
api::Outcome<fuse::Tags> read_tags(const api::Json& input);
api::Json write_tags(const fuse::Tags& tags);
api::Outcome<void> check_tag_count(const fuse::Tags& tags);

}  // namespace berth::services::efs
