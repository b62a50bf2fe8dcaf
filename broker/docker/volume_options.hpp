// VolumeOptions: what `docker volume create -o NAME=VALUE` can say of a volume.
#pragma once

#include <map>
#include <string>

#include "broker/base/error.hpp"

namespace berth::docker {

struct VolumeOptions {
  std::string file_system;   // fs-..., required
  std::string access_point;  // fsap-..., or empty
  std::string path = "/";    // inside the file system; an access point has its own
  std::string role;          // name or ARN; empty: the default one, or none: without IAM authorization
  std::string zone;          // empty: the first with a mount target
  bool read_only = false;    // whatever the role may
  bool io_uring = false;     // as MountSpec::io_uring
  bool operator==(const VolumeOptions&) const = default;
};

// Code::invalid_argument with what to write instead: for names that it does not know, values that can't be right, and without a
// file system. Whether what they name exists is not looked at.
Result<VolumeOptions> read_volume_options(const std::map<std::string, std::string>& options);

// A name becomes a directory's: letters, digits, `_`, `.` and `-`, up to 200 bytes, as Docker has it for its own volumes.
Result<> check_volume_name(const std::string& name);

}  // namespace berth::docker
