// Fuzz targets: each takes any bytes, and throws BrokenProperty where what must hold for all inputs does not. libFuzzer runs them
// with fuzz_main.cpp; corpus_test.cpp replays the corpus with them, without clang.
#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "broker/http/message.hpp"

namespace berth::fuzz {

struct BrokenProperty : std::logic_error {
  using std::logic_error::logic_error;
};
inline void require(bool holds, const char* property) {
  if (!holds) throw BrokenProperty(property);
}

struct Target {
  std::string_view name;  // its corpus is tests/fuzz/corpus/<name>/
  void (*run)(std::string_view input);
};
std::span<const Target> targets();

void policy(std::string_view input);
void signature(std::string_view input);
void codec(std::string_view input);
void cluster_query(std::string_view input);
void text(std::string_view input);
void oci_image(std::string_view input);
void fuse_requests(std::string_view input);

// The input up to the next line break, which is taken off.
std::string_view take_line(std::string_view& input);
// `POST /path?query`, headers by lines, an empty line, the body.
http::Request take_request(std::string_view& input);

}  // namespace berth::fuzz
