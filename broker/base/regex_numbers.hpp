// The numbers in a regular expression.
#pragma once

#include <string_view>

namespace berth {

// False where a `{...}` of the pattern, or what follows a backslash, has a number of more than five digits: nothing that is
// matched is so long, and std::regex does not look whether it can hold such numbers at all.
bool numbers_are_small(std::string_view pattern);

}  // namespace berth
