// Memory that is there before the kernel needs it.
#pragma once

#include <cstddef>
#include <span>

namespace berth::fuse {

// Maps the pages of a buffer and locks them where the limits allow it (MADV_POPULATE_WRITE, mlock(2)). To be called before the
// first read(2) into one that a successor goes on with: into pages that are not there the kernel can't copy once the reading
// thread was killed, and what it has taken from its queue by then is lost. A request of FUSE it answers with EIO itself, and
// resends nothing.
void make_resident(std::span<std::byte> buffer);

}  // namespace berth::fuse
