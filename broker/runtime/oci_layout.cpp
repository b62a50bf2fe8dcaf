#include "broker/runtime/oci_layout.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "broker/base/unique_fd.hpp"
#include "broker/runtime/files.hpp"
#include "broker/runtime/process.hpp"

namespace berth::runtime {
namespace {

using nlohmann::json;

constexpr std::size_t kDocumentBytesMax = std::size_t{4} << 20;
constexpr std::size_t kLayersMax = 127;  // Docker's limit
constexpr auto kUnpackTimeout = std::chrono::minutes(10);
constexpr std::string_view kReferenceName = "org.opencontainers.image.ref.name";

#if defined(__aarch64__)
constexpr const char* kArchitecture = "arm64";
#else
constexpr const char* kArchitecture = "amd64";
#endif

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

Result<json> document(const std::string& path) {
  auto text = read_file(path, kDocumentBytesMax);
  if (!text) return fail(text.error());
  json value = json::parse(*text, nullptr, false);
  if (!value.is_object()) return fail(Code::invalid_argument, "`{}` is not a JSON object", path);
  return value;
}

bool fits_this_machine(const json& descriptor) {
  if (!descriptor.contains("platform")) return true;
  const json& platform = descriptor["platform"];
  return platform.value("os", "linux") == "linux" && platform.value("architecture", kArchitecture) == kArchitecture;
}

std::string name_of(const json& descriptor) {
  return descriptor.contains("annotations") ? descriptor["annotations"].value(std::string(kReferenceName), "") : "";
}

// The manifest in an index, which may hold indexes (one image for several machines).
Result<json> find_manifest(const std::string& layout, const json& index, const std::string& tag, int depth) {
  std::vector<json> candidates;
  for (const json& descriptor : index.value("manifests", json::array()))
    if (fits_this_machine(descriptor) && (tag.empty() || name_of(descriptor) == tag || name_of(descriptor).ends_with(":" + tag)))
      candidates.push_back(descriptor);
  if (candidates.size() > 1 && tag.empty() && depth == 0) {
    const auto latest = std::find_if(candidates.begin(), candidates.end(), [](const json& d) { return name_of(d) == "latest"; });
    if (latest == candidates.end()) return fail(Code::invalid_argument, "the layout holds several images: name one with `:tag`");
    candidates.front() = *latest;
  }
  if (candidates.empty())
    return fail(Code::not_found, "no image `{}` for linux/{} in the layout", tag.empty() ? "latest" : tag, kArchitecture);
  auto path = checked_blob(layout, candidates.front().value("digest", ""));
  if (!path) return fail(path.error());
  auto found = document(*path);
  if (!found || !found->contains("manifests") || depth > 2) return found;
  return find_manifest(layout, *found, "", depth + 1);
}

ImageConfig read_config(const json& image) {
  ImageConfig config;
  const json settings = image.value("config", json::object());
  if (!settings.is_object()) return config;
  const auto list = [&](const char* name) {
    return settings.contains(name) && settings[name].is_array() ? settings[name].get<std::vector<std::string>>()
                                                                : std::vector<std::string>();
  };
  for (const std::string& entry : list("Env"))
    if (const std::size_t equals = entry.find('='); equals != std::string::npos)
      config.environment.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
  config.entry_point = list("Entrypoint");
  config.command = list("Cmd");
  config.user = settings.value("User", "");
  config.working_directory = settings.value("WorkingDir", "");
  config.stop_signal = settings.value("StopSignal", "");
  return config;
}

const char* compression_option(const std::string& media_type) {
  if (media_type.ends_with("gzip")) return "--gzip";
  if (media_type.ends_with("zstd")) return "--zstd";
  return "--warning=none";  // plain; tar finds other compressions itself
}

// tar(1) strips leading `/`, refuses `..` and makes links that lead out only after all files: with a fresh directory a layer
// can't write outside.
Result<std::string> unpack_layer(const std::string& layout, const json& layer, const std::string& cache) {
  auto hex = hex_of(layer.value("digest", ""));
  if (!hex) return fail(hex.error());
  const std::string done = cache + "/" + *hex, fresh = cache + "/new-" + *hex;
  if (::access(done.c_str(), F_OK) == 0) return done;
  auto blob = checked_blob(layout, "sha256:" + *hex);
  if (!blob) return fail(blob.error());
  if (auto removed = remove_tree(fresh); !removed) return fail(removed.error());
  if (auto made = make_directories(fresh); !made) return fail(made.error());
  auto unpacked = run_checked(
      {.arguments = {"tar", "--extract", "--file", *blob, "--directory", fresh, compression_option(layer.value("mediaType", "")),
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
  auto manifest = find_manifest(reference.path, *index, reference.tag, 0);
  if (!manifest) return fail(manifest.error());
  auto config_path = checked_blob(reference.path, manifest->value("config", json::object()).value("digest", ""));
  if (!config_path) return fail(config_path.error().within("image configuration"));
  auto config = document(*config_path);
  if (!config) return fail(config.error());
  UnpackedImage image;
  image.config = read_config(*config);
  const json layers = manifest->value("layers", json::array());
  if (layers.empty() || layers.size() > kLayersMax)
    return fail(Code::invalid_argument, "an image needs 1 to {} layers", kLayersMax);
  for (const json& layer : layers) {
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
  try {
    auto image = unpack(reference, cache);
    return image ? std::move(image) : Result<UnpackedImage>(fail(image.error().within("`" + reference.path + "`")));
  } catch (const json::exception& exception) {  // a member of another type than the specification's
    return fail(Code::invalid_argument, "`{}`: not an OCI image layout: {}", reference.path, exception.what());
  }
}

Result<> convert_whiteouts(const std::string& directory) {
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "open `" + directory + "`");
  return convert_directory(std::move(fd), directory);
}

}  // namespace berth::runtime
