// The JSON documents of an OCI image: index, manifest, configuration. Pure: texts in, values out. Whoever made the image wrote
// them, so a member may be missing, of another type, or nested as deep as the text is long.
// https://github.com/opencontainers/image-spec/blob/main/image-index.md, manifest.md and config.md
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/runtime/image.hpp"

namespace berth::runtime {

// What an index says where one looks for `tag`.
struct IndexEntry {
  std::string digest;
};

struct ImageManifest {
  struct Layer {
    std::string digest, media_type;
  };
  std::string config;  // digest
  std::vector<Layer> layers;
};

// An index may lead to further indexes: one image for several machines.
bool is_index(std::string_view document);
// The entry for this machine with this tag. With an empty tag the only one, or the one called `latest`; below the top any.
Result<IndexEntry> read_index(std::string_view document, const std::string& tag, bool top);
Result<ImageManifest> read_manifest(std::string_view document);
Result<ImageConfig> read_image_config(std::string_view document);

}  // namespace berth::runtime
