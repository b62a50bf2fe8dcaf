// The kernel's side of a FUSE mount, by its device number.
#pragma once

#include <cstdint>

#include "broker/base/error.hpp"

namespace berth::fuse {

// Ends the connection at once, whoever still holds its device: what is in flight answers ECONNABORTED, what comes later ENOTCONN
// (fusectl, Documentation/filesystems/fuse/fuse.rst). `device` as from device_of_mount(). No error where it has ended already.
Result<> abort_connection(std::uint64_t device);

}  // namespace berth::fuse
