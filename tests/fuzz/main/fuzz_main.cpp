// One fuzz target as libFuzzer wants it: BERTH_FUZZ_TARGET is its name.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/targets/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  for (const berth::fuzz::Target& target : berth::fuzz::targets())
    if (target.name == BERTH_FUZZ_TARGET) target.run(input);
  return 0;
}
