// The documents of an OCI image, each as if the input were it; the first line is the tag that is looked for.
#include "broker/runtime/oci_documents.hpp"
#include "tests/fuzz/targets/target.hpp"

namespace berth::fuzz {

void oci_image(std::string_view input) {
  const std::string tag(take_line(input));
  (void)runtime::is_index(input);
  (void)runtime::read_index(input, tag, true);
  (void)runtime::read_index(input, tag, false);
  if (const auto manifest = runtime::read_manifest(input)) require(!manifest->layers.empty(), "an image has layers");
  if (const auto config = runtime::read_image_config(input))
    for (const auto& [name, value] : config->environment)
      require(name.find('=') == std::string::npos, "a variable's name ends at the first `=`");
}

}  // namespace berth::fuzz
