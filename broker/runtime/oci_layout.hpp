// OCI image layouts: finds an image in one and unpacks its layers, each once, into a cache named by digest.
// https://github.com/opencontainers/image-spec/blob/main/image-layout.md and layer.md
#pragma once

#include <string>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/runtime/image.hpp"

namespace berth::runtime {

struct UnpackedImage {
  std::vector<std::string> layers;  // directories for overlayfs, the highest first
  ImageConfig config;
};

// Each layer is unpacked into a fresh directory of its own, so a link in one layer can't lead another's files out. For one
// thread at a time.
Result<UnpackedImage> unpack_layout(const ImageReference& reference, const std::string& cache);

// Makes overlayfs' whiteouts and opaque directories of the image format's `.wh.` files, in a directory just unpacked.
Result<> convert_whiteouts(const std::string& directory);

}  // namespace berth::runtime
