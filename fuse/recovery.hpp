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

struct Unserved {
  std::shared_ptr<Mount> mount;
  std::vector<std::byte> request;
};
struct LeftOver {
  // What else came, or was there: to be served as ever, in this order.
  std::vector<Unserved> requests;
  // What was changed by those whose answer nobody waits for any more: other mounts are to be told, as they may not have been. Not
  // before the requests are served: attributes that a kernel is told have changed after it asked for them, it does not take the
  // size from.
  std::vector<InodeKey> changed;
};
// `resend`: ask the kernel; where it can't, or may not be asked, they are taken from memory.
Result<LeftOver> finish_interrupted(Common& common, const std::vector<std::shared_ptr<Mount>>& mounts, bool resend);

}  // namespace berth::fuse
