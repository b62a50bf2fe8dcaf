// Files below a descriptor, step by step: whoever can write there can't lead us elsewhere by a link.
#pragma once

#include <string>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"

namespace berth::cli {

// A path inside the mount; links in it are followed, but never out of the mount.
Result<UniqueFd> open_below(const UniqueFd& mount, const std::string& path, int flags);
// A directory in a directory, not through a link; for reading.
Result<UniqueFd> open_directory(int directory, const std::string& name);
// Without `.` and `..`, sorted.
Result<std::vector<std::string>> names_in(const UniqueFd& directory);
// Empty where it is none.
std::string link_target(int directory, const std::string& name);
// A name as a terminal may see it: control characters as \xNN.
std::string printable(const std::string& name);

}  // namespace berth::cli
