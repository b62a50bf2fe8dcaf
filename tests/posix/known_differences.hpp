// Where the share may differ from a native directory, each with the reason: docs/SHARE.md has them in words.
#pragma once

#include <string_view>

namespace berth::posix {

// `passthrough`: whether kernel (6.9) and libfuse (3.17) have it.
bool is_known_difference(std::string_view stage, std::string_view scenario, std::string_view check, bool passthrough);

}  // namespace berth::posix
