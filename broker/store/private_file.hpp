// Small files that only their owner may read, written whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "broker/base/error.hpp"

namespace berth::store {

// Replaces the file at once (a new one is renamed over it) and durably; mode 0600.
Result<> write_private_file(const std::string& path, std::string_view bytes);
// Code::not_found where there is none. At most 1 MiB.
Result<std::string> read_file(const std::string& path);

}  // namespace berth::store
