// Reads a file of tests/vectors.
#pragma once

#include <fstream>
#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>

namespace berth::vectors {

inline nlohmann::json read_vectors(const std::string& name) {
  std::ifstream file(std::string(BERTH_VECTORS) + "/" + name);
  if (!file) throw std::runtime_error("tests/vectors/" + name + " is missing");
  return nlohmann::json::parse(file);
}

}  // namespace berth::vectors
