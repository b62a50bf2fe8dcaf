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
// CreateAccessPoint: the file system; with tags also the right to tag.
api::ResourcesOf new_access_point(const Parts& parts);
// CreateMountTarget: the file system, and the network interface that EFS makes in the caller's name.
api::ResourcesOf new_mount_target(const Parts& parts);
// What names a mount target and touches its network interface by an EC2 action.
api::ResourcesOf mount_target_interface(const Parts& parts, const char* action);
// CreateReplicationConfiguration: the source, the destination that is there or is to be made, and the role that is passed.
api::ResourcesOf new_replication(const Parts& parts);

}  // namespace berth::services::efs
