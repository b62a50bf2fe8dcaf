// What forms and XML of the Query protocols have in common: how the entries of lists and maps are named.
#pragma once

#include <string>

#include "broker/protocol/model.hpp"

namespace berth::protocol::query {

// The entries stand directly below the member's name, without a word between.
inline bool is_flat(const Member& member) { return member.flattened || member.shape->flattened; }

inline std::string or_else(const std::string& name, const char* otherwise) { return name.empty() ? otherwise : name; }

}  // namespace berth::protocol::query
