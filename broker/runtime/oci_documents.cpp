#include "broker/runtime/oci_documents.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "broker/base/json_depth.hpp"

namespace berth::runtime {
namespace {

using nlohmann::json;

constexpr std::size_t kLayersMax = 127;  // Docker's limit
constexpr std::string_view kReferenceName = "org.opencontainers.image.ref.name";

#if defined(__aarch64__)
constexpr const char* kArchitecture = "arm64";
#else
constexpr const char* kArchitecture = "amd64";
#endif

Result<json> parse(std::string_view text) {
  if (nests_deeper(text)) return fail(Code::invalid_argument, "a document of the image nests more than {} deep", kJsonDepthMax);
  json value = json::parse(text, nullptr, false);
  if (!value.is_object()) return fail(Code::invalid_argument, "a document of the image is not a JSON object");
  return value;
}

// Reads a document; a member of another type than the specification's is the document's fault.
template <class Read>
auto read(std::string_view text, Read read_value) -> decltype(read_value(json())) {
  auto value = parse(text);
  if (!value) return fail(value.error());
  try {
    return read_value(*value);
  } catch (const json::exception& exception) {
    return fail(Code::invalid_argument, "not a document of an OCI image: {}", exception.what());
  }
}

bool fits_this_machine(const json& descriptor) {
  if (!descriptor.contains("platform")) return true;
  const json& platform = descriptor["platform"];
  return platform.value("os", "linux") == "linux" && platform.value("architecture", kArchitecture) == kArchitecture;
}

std::string name_of(const json& descriptor) {
  return descriptor.contains("annotations") ? descriptor["annotations"].value(std::string(kReferenceName), "") : "";
}

bool has_tag(const json& descriptor, const std::string& tag) {
  if (tag.empty()) return true;
  const std::string name = name_of(descriptor);
  return name == tag || name.ends_with(":" + tag);
}

Result<IndexEntry> pick(const json& index, const std::string& tag, bool top) {
  std::vector<const json*> candidates;
  const auto manifests = index.find("manifests");
  if (manifests != index.end())
    for (const json& descriptor : *manifests)
      if (fits_this_machine(descriptor) && has_tag(descriptor, tag)) candidates.push_back(&descriptor);
  if (candidates.size() > 1 && tag.empty() && top) {
    const auto latest = std::find_if(candidates.begin(), candidates.end(), [](const json* d) { return name_of(*d) == "latest"; });
    if (latest == candidates.end()) return fail(Code::invalid_argument, "the layout holds several images: name one with `:tag`");
    candidates.front() = *latest;
  }
  if (candidates.empty())
    return fail(Code::not_found, "no image `{}` for linux/{} in the layout", tag.empty() ? "latest" : tag, kArchitecture);
  return IndexEntry{.digest = candidates.front()->value("digest", "")};
}

std::vector<std::string> list(const json& settings, const char* name) {
  const auto found = settings.find(name);
  return found != settings.end() && found->is_array() ? found->get<std::vector<std::string>>() : std::vector<std::string>();
}

}  // namespace

bool is_index(std::string_view document) {
  const auto value = parse(document);
  return value && value->contains("manifests");
}

Result<IndexEntry> read_index(std::string_view document, const std::string& tag, bool top) {
  return read(document, [&](const json& index) { return pick(index, tag, top); });
}

Result<ImageManifest> read_manifest(std::string_view document) {
  return read(document, [](const json& value) -> Result<ImageManifest> {
    ImageManifest manifest;
    manifest.config = value.value("config", json::object()).value("digest", "");
    for (const json& layer : value.value("layers", json::array()))
      manifest.layers.push_back({layer.value("digest", ""), layer.value("mediaType", "")});
    if (manifest.layers.empty() || manifest.layers.size() > kLayersMax)
      return fail(Code::invalid_argument, "an image needs 1 to {} layers", kLayersMax);
    return manifest;
  });
}

Result<ImageConfig> read_image_config(std::string_view document) {
  return read(document, [](const json& image) -> Result<ImageConfig> {
    ImageConfig config;
    const json settings = image.value("config", json::object());
    if (!settings.is_object()) return config;
    for (const std::string& entry : list(settings, "Env"))
      if (const std::size_t equals = entry.find('='); equals != std::string::npos)
        config.environment.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
    config.entry_point = list(settings, "Entrypoint");
    config.command = list(settings, "Cmd");
    config.user = settings.value("User", "");
    config.working_directory = settings.value("WorkingDir", "");
    config.stop_signal = settings.value("StopSignal", "");
    return config;
  });
}

}  // namespace berth::runtime
