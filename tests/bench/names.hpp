#pragma once

#include <string>

namespace berth::bench {

// Measures operations on names below `directory` (see operations.cpp) and prints a rate for each.
void measure_names(const std::string& directory, const std::string& backing, int count, unsigned jobs, const std::string& other);

}  // namespace berth::bench
