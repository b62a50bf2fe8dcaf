#include "broker/runtime/image.hpp"

#include <sys/stat.h>
#include <unistd.h>

namespace berth::runtime {
namespace {

bool is_directory(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool is_layout(const std::string& path) { return ::access((path + "/oci-layout").c_str(), F_OK) == 0; }

}  // namespace

Result<ImageReference> parse_image(const std::string& image) {
  using Kind = ImageReference::Kind;
  if (image == "host") return ImageReference{Kind::host, {}, {}};
  if (image.starts_with('/')) {
    if (is_directory(image)) return ImageReference{is_layout(image) ? Kind::oci_layout : Kind::directory, image, {}};
    const std::size_t colon = image.rfind(':');
    if (colon != std::string::npos && image.find('/', colon) == std::string::npos && is_layout(image.substr(0, colon)))
      return ImageReference{Kind::oci_layout, image.substr(0, colon), image.substr(colon + 1)};
  }
  return fail(
      Code::not_found,
      "CannotPullContainerError: `{}`: Berth pulls from no registry yet; an image is `host`, the absolute path of a directory "
      "with a root file system, or that of an OCI image layout, `:tag` may follow",
      image);
}

}  // namespace berth::runtime
