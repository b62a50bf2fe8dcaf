#include "broker/daemon/admin_fs.hpp"

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/daemon/admin.hpp"

namespace berth::daemon {

namespace {

using Json = nlohmann::json;
using launch::HostMounts;

http::Response json_answer(const Json& body) { return {200, {{"Content-Type", "application/json"}}, body.dump()}; }

http::Response refusal(const Error& error) {
  const int status = error.code == Code::not_found ? 404 : error.code == Code::permission_denied ? 403 : 400;
  return {status, {{"Content-Type", "text/plain"}}, error.message};
}

Json describe(const HostMounts::Mount& mount) {
  return {{"mount", mount.id},
          {"file_system", mount.file_system},
          {"root", mount.root},
          {"access_point", mount.access_point},
          {"role", mount.role_arn},
          {"zone", mount.zone},
          {"directory", mount.directory},
          {"read_only", mount.read_only},
          {"io_uring", mount.io_uring}};
}

http::Response offer_answer(const Result<HostMounts::Offer>& offer) {
  if (!offer) return refusal(offer.error());
  Json body = describe(offer->mount);
  body.update({{"pid", ::getpid()},
               {"descriptor", offer->descriptor},
               {"write", offer->mount.rights.write},
               {"root_access", offer->mount.rights.root_access}});
  return json_answer(body);
}

}  // namespace

http::Response handle_fs(HostMounts& mounts, const http::Request& request) {
  auto values = read_query(request.query());
  const bool post = request.method == "POST";
  if (post && request.path() == "/fs/mount")
    return offer_answer(mounts.offer({.file_system = values["file_system"],
                                      .root = values["root"].empty() ? "/" : values["root"],
                                      .access_point = values["access_point"],
                                      .role = values["role"],
                                      .zone = values["zone"],
                                      .directory = values["directory"],
                                      .read_only = values["read_only"] == "1",
                                      .io_uring = values["io_uring"] == "1"}));
  if (post && request.path() == "/fs/look") return offer_answer(mounts.offer_look(values["file_system"]));
  if (post && request.path() == "/fs/taken") return mounts.taken(values["mount"]), json_answer(Json::object());
  if (post && request.path() == "/fs/unmount") {
    if (auto ended = mounts.end(values["mount"]); !ended) return refusal(ended.error());
    return json_answer(Json::object());
  }
  if (request.method == "GET" && request.path() == "/fs/mounts") {
    Json list = Json::array();
    for (const auto& mount : mounts.list()) list.push_back(describe(mount));
    return json_answer({{"mounts", std::move(list)}});
  }
  return {404, {{"Content-Type", "text/plain"}}, fmt::format("no `{} {}` here", request.method, request.path())};
}

}  // namespace berth::daemon
