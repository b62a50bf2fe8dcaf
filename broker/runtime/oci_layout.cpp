#include "broker/runtime/oci_layout.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "broker/base/unique_fd.hpp"
#include "broker/runtime/files.hpp"
#include "broker/runtime/oci_documents.hpp"
#include "broker/runtime/process.hpp"

namespace berth::runtime {
namespace {

constexpr std::size_t kDocumentBytesMax = std::size_t{4} << 20;
constexpr int kIndexesMax = 2;  // below the first
constexpr auto kUnpackTimeout = std::chrono::minutes(10);

Result<std::string> hex_of(const std::string& digest) {
  const bool right = digest.size() == 71 && digest.starts_with("sha256:") &&
                     digest.find_first_not_of("0123456789abcdef", 7) == std::string::npos;
  if (!right) return fail(Code::invalid_argument, "`{}` is not a sha256 digest", digest);
  return digest.substr(7);
}

// The path of a blob whose content is what its name says.
Result<std::string> checked_blob(const std::string& layout, const std::string& digest) {
  auto hex = hex_of(digest);
  if (!hex) return fail(hex.error());
  const std::string path = layout + "/blobs/sha256/" + *hex;
  auto sum = run_checked({.arguments = {"sha256sum", "--", path}, .timeout = kUnpackTimeout});
  if (!sum) return fail(sum.error());
  if (!sum->starts_with(*hex)) return fail(Code::invalid_argument, "blob `{}` is damaged: its digest is another", digest);
  return path;
}

Result<std::string> document(const std::string& path) { return read_file(path, kDocumentBytesMax); }

// The manifest in an index, which may hold indexes (one image for several machines).
Result<ImageManifest> find_manifest(const std::string& layout, const std::string& index, const std::string& tag, int depth = 0) {
  auto entry = read_index(index, tag, depth == 0);
  if (!entry) return fail(entry.error());
  auto path = checked_blob(layout, entry->digest);
  if (!path) return fail(path.error());
  auto found = document(*path);
  if (!found) return fail(found.error());
  if (depth > kIndexesMax || !is_index(*found)) return read_manifest(*found);
  return find_manifest(layout, *found, "", depth + 1);
}

const char* compression_option(const std::string& media_type) {
  if (media_type.ends_with("gzip")) return "--gzip";
  if (media_type.ends_with("zstd")) return "--zstd";
  return "--warning=none";  // plain; tar finds other compressions itself
}

// tar(1) strips leading `/`, refuses `..` and makes links that lead out only after all files: with a fresh directory a layer
// can't write outside.
Result<std::string> unpack_layer(const std::string& layout, const ImageManifest::Layer& layer, const std::string& cache) {
  auto hex = hex_of(layer.digest);
  if (!hex) return fail(hex.error());
  const std::string done = cache + "/" + *hex, fresh = cache + "/new-" + *hex;
  if (::access(done.c_str(), F_OK) == 0) return done;
  auto blob = checked_blob(layout, "sha256:" + *hex);
  if (!blob) return fail(blob.error());
  if (auto removed = remove_tree(fresh); !removed) return fail(removed.error());
  if (auto made = make_directories(fresh); !made) return fail(made.error());
  auto unpacked =
      run_checked({.arguments = {"tar", "--extract", "--file", *blob, "--directory", fresh, compression_option(layer.media_type),
                                 "--numeric-owner", "--same-owner", "--preserve-permissions", "--xattrs",
                                 "--xattrs-include=security.capability", "--delay-directory-restore", "--warning=no-timestamp"},
                   .timeout = kUnpackTimeout});
  if (!unpacked) return fail(unpacked.error().within("unpack layer sha256:" + *hex));
  if (auto converted = convert_whiteouts(fresh); !converted) return fail(converted.error());
  if (::rename(fresh.c_str(), done.c_str()) != 0) return fail_errno(errno, "rename `" + fresh + "`");
  return done;
}

Result<UnpackedImage> unpack(const ImageReference& reference, const std::string& cache) {
  auto index = document(reference.path + "/index.json");
  if (!index) return fail(index.error());
  auto manifest = find_manifest(reference.path, *index, reference.tag);
  if (!manifest) return fail(manifest.error());
  auto config_path = checked_blob(reference.path, manifest->config);
  if (!config_path) return fail(config_path.error().within("image configuration"));
  auto document_text = document(*config_path);
  if (!document_text) return fail(document_text.error());
  auto config = read_image_config(*document_text);
  if (!config) return fail(config.error());
  UnpackedImage image;
  image.config = std::move(*config);
  for (const ImageManifest::Layer& layer : manifest->layers) {
    auto directory = unpack_layer(reference.path, layer, cache);
    if (!directory) return fail(directory.error());
    image.layers.insert(image.layers.begin(), std::move(*directory));
  }
  return image;
}

Result<> convert_directory(UniqueFd fd, const std::string& path) {
  DIR* directory = ::fdopendir(fd.get());
  if (directory == nullptr) return fail_errno(errno, "read `" + path + "`");
  const int own = fd.release();
  Result<> result;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (name == ".wh..wh..opq") {
      ::unlinkat(own, name.c_str(), 0);
      if (::fsetxattr(own, "trusted.overlay.opaque", "y", 1, 0) != 0) result = fail_errno(errno, "mark `" + path + "` opaque");
    } else if (name.starts_with(".wh.")) {
      ::unlinkat(own, name.c_str(), 0);
      const std::string hidden = name.substr(4);
      if (hidden.empty() || hidden.starts_with(".wh.") || hidden == "." || hidden == "..") continue;
      if (::mknodat(own, hidden.c_str(), S_IFCHR, makedev(0, 0)) != 0 && errno != EEXIST)
        result = fail_errno(errno, "hide `" + path + "/" + hidden + "`");
    } else if (UniqueFd child(::openat(own, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)); child) {
      if (auto done = convert_directory(std::move(child), path + "/" + name); !done) result = done;
    }
  }
  ::closedir(directory);
  return result;
}

}  // namespace

Result<UnpackedImage> unpack_layout(const ImageReference& reference, const std::string& cache) {
  auto image = unpack(reference, cache);
  if (!image) return fail(image.error().within("`" + reference.path + "`"));
  return image;
}

Result<> convert_whiteouts(const std::string& directory) {
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "open `" + directory + "`");
  return convert_directory(std::move(fd), directory);
}

}  // namespace berth::runtime
