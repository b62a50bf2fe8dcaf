// How deep a JSON text nests, seen before it is parsed: a parsed tree is copied, compared and written by recursion, so a text
// from outside that nests without end would run a thread out of its stack.
#pragma once

#include <string_view>

namespace berth {

// Deeper than any shape of AWS, document of OCI or record of ours.
inline constexpr int kJsonDepthMax = 64;

// Counts brackets outside strings, up to one too many. Any text will do, JSON or not.
bool nests_deeper(std::string_view json, int depth_max = kJsonDepthMax);

}  // namespace berth
