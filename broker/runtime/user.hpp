// ContainerUser: whom a container runs as; names are looked up in the image's own /etc/passwd and /etc/group.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "broker/base/error.hpp"

namespace berth::runtime {

struct ContainerUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> additional_gids;
  std::string home;  // empty where unknown
};

// `user` is "", "uid", "uid:gid", "name", "name:group" as in Docker. Files are read below `root`; links in them don't lead out.
Result<ContainerUser> resolve_user(const std::string& user, const std::string& root);

}  // namespace berth::runtime
