// Recovery: after the daemon's death, before any mount is served: every request that was interrupted is brought to its end.
//
// First it is found out for all of them whether they were carried out, then they come again (from the kernel, 6.9, or from the
// memory of the dead daemon's workers) and are answered, then new requests are served: so no new request can get between an old
// one and its answer.
#pragma once

#include <memory>
#include <vector>

#include "fuse/mount.hpp"

namespace berth::fuse {

// `resend`: ask the kernel; where it can't, or may not be asked, they are taken from memory. Gives back what else came, or was
// there: to be served as ever, in this order.
struct Unserved {
  std::shared_ptr<Mount> mount;
  std::vector<std::byte> request;
};
Result<std::vector<Unserved>> finish_interrupted(Common& common, const std::vector<std::shared_ptr<Mount>>& mounts, bool resend);

}  // namespace berth::fuse
