// The part of the admin socket behind `berth fs`. A mount that is made here is taken by its descriptor from this very process
// (pidfd_getfd(2)), placed or used by who asked, and then reported as taken.
//
//   POST /fs/mount?file_system=&root=&access_point=&role=&zone=&directory=&read_only=1&io_uring=1
//   POST /fs/look?file_system=           all of it, for the administrator
//     both: {"mount", "pid", "descriptor", ...}
//   POST /fs/taken?mount=
//   POST /fs/unmount?mount=              the mount ends, wherever it stands
//   GET  /fs/mounts                      {"mounts": [...]}
#pragma once

#include "broker/http/message.hpp"
#include "broker/launch/host_mounts.hpp"

namespace berth::daemon {

http::Response handle_fs(launch::HostMounts& mounts, const http::Request& request);

}  // namespace berth::daemon
