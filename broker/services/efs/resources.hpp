// Which resources each EFS operation touches, for authorization. Inside the EFS service only.
#pragma once

#include "broker/api/operation.hpp"
#include "broker/services/efs/service.hpp"

namespace berth::services::efs {

// The file system or access point that the input names, by whichever of its members; every one of the account's where it names
// none. A mount target is its file system to IAM.
api::ResourcesOf named_resource(const Parts& parts);
// CreateFileSystem: the one to be, with the tags and the encryption that are asked for.
api::ResourcesOf new_file_system(const Parts& parts);

}  // namespace berth::services::efs
