// Trust: how long a mount's kernel may remember a name or attributes.
#pragma once

#include <cstdint>

namespace berth::fuse {

// none: it has to ask each time. brief: changes past the share are not reported for it, so that it asks again after a moment.
// lasting: until it is told otherwise.
enum class Trust : std::uint8_t { none, brief, lasting };

}  // namespace berth::fuse
