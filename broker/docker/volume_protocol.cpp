#include "broker/docker/volume_protocol.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace berth::docker {
namespace {

using Json = nlohmann::json;

constexpr const char* kMediaType = "application/vnd.docker.plugins.v1.1+json";

http::Response answer(int status, const Json& body) {
  return {status, {{"Content-Type", kMediaType}}, body.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

http::Response failure(const std::string& why) { return answer(500, {{"Err", why}}); }

http::Response done(const Result<>& result) { return result ? answer(200, {{"Err", ""}}) : failure(result.error().message); }

http::Response mountpoint(const Result<std::string>& path) {
  return path ? answer(200, {{"Mountpoint", *path}, {"Err", ""}}) : failure(path.error().message);
}

// What `docker volume inspect` shows as Status: the options by the names that they are given by, and what comes of them.
Json status(const VolumeView& volume) {
  const VolumeOptions& options = volume.options;
  Json shown{{"file-system", options.file_system},
             {"zone", options.zone},
             {"read-only", options.read_only},
             {"io-uring", options.io_uring},
             {"role", options.role},
             {"rights", volume.rights},
             {"mounts", volume.mounts}};
  if (options.access_point.empty())
    shown["path"] = options.path;
  else
    shown["access-point"] = options.access_point;
  return shown;
}

Json brief(const VolumeView& volume) { return {{"Name", volume.name}, {"Mountpoint", volume.mountpoint}}; }

Json full(const VolumeView& volume) {
  Json object = brief(volume);
  object.update({{"CreatedAt", to_iso8601(volume.created_at)}, {"Status", status(volume)}});
  return object;
}

// The members of a request; a missing or null one is empty.
struct Fields {
  std::string name, id;
  std::map<std::string, std::string> options;
};

Result<std::string> text_of(const Json& body, const char* name) {
  const auto found = body.find(name);
  if (found == body.end() || found->is_null()) return std::string();
  if (!found->is_string()) return fail(Code::invalid_argument, "member {} of the request is no text", name);
  return found->get<std::string>();
}

Result<Fields> read_fields(const std::string& text) {
  // Docker sends a request again whose answer never came, in some versions without its body.
  if (text.empty()) return fail(Code::invalid_argument, "the request has no body; if Berth was just started again, try again");
  const Json body = Json::parse(text, nullptr, false);
  if (!body.is_object()) return fail(Code::invalid_argument, "the request is not a JSON object");
  const auto name = text_of(body, "Name"), id = text_of(body, "ID");
  if (!name) return fail(name.error());
  if (!id) return fail(id.error());
  Fields fields{.name = *name, .id = *id};
  const auto options = body.find("Opts");
  if (options == body.end() || options->is_null()) return fields;
  if (!options->is_object()) return fail(Code::invalid_argument, "member Opts of the request is not an object");
  for (const auto& [key, value] : options->items()) {
    if (!value.is_string()) return fail(Code::invalid_argument, "option {} is no text", key);
    fields.options[key] = value.get<std::string>();
  }
  return fields;
}

http::Response list(VolumeDriver& driver) {
  Json volumes = Json::array();
  for (const VolumeView& volume : driver.list()) volumes.push_back(brief(volume));
  return answer(200, {{"Volumes", std::move(volumes)}, {"Err", ""}});
}

http::Response handle_call(VolumeDriver& driver, std::string_view call, const Fields& fields) {
  if (call == "Create") return done(driver.create(fields.name, fields.options));
  if (call == "Remove") return done(driver.remove(fields.name));
  if (call == "Mount") return mountpoint(driver.mount(fields.name, fields.id));
  if (call == "Unmount") return done(driver.unmount(fields.name, fields.id));
  if (call == "Path") return mountpoint(driver.path(fields.name));
  if (call == "Get") {
    const auto volume = driver.get(fields.name);
    return volume ? answer(200, {{"Volume", full(*volume)}, {"Err", ""}}) : failure(volume.error().message);
  }
  return failure(fmt::format("Berth does not know VolumeDriver.{}", call));
}

}  // namespace

http::Response handle_volume_request(VolumeDriver& driver, const http::Request& request) {
  if (request.method != "POST") return failure("a volume plugin is asked by POST");
  if (request.path() == "/Plugin.Activate") return answer(200, {{"Implements", {"VolumeDriver"}}});
  constexpr std::string_view kPrefix = "/VolumeDriver.";
  if (!request.path().starts_with(kPrefix))
    return failure(fmt::format("Berth is a volume plugin and does not know {}", request.path()));
  const std::string_view call = request.path().substr(kPrefix.size());
  // These two say nothing in their request.
  if (call == "Capabilities") return answer(200, {{"Capabilities", {{"Scope", "local"}}}});
  if (call == "List") return list(driver);
  const auto fields = read_fields(request.body);
  if (!fields) return failure(fields.error().message);
  return handle_call(driver, call, *fields);
}

}  // namespace berth::docker
