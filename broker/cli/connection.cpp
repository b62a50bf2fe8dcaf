#include "broker/cli/connection.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <thread>

#include <nlohmann/json.hpp>

#include "broker/base/clock.hpp"
#include "broker/base/unique_fd.hpp"
#include "broker/http/client.hpp"
#include "credentials/sigv4/sign.hpp"

namespace berth::cli {

using Json = nlohmann::json;

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(5);

// nullopt where the text is not JSON: nlohmann's exceptions stay here.
Result<Json> parse_json(const std::string& text, std::string_view what) {
  Json parsed = Json::parse(text, nullptr, false);
  if (parsed.is_discarded()) return fail(Code::internal, "{} is not JSON", what);
  return parsed;
}

std::size_t number_header(const http::Response& response, std::string_view name) {
  const std::string* value = http::find_header(response.headers, name);
  return value == nullptr ? 0 : std::strtoull(value->c_str(), nullptr, 10);
}

bool answers(const std::string& socket_path) {
  const UniqueFd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  struct sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (!client || socket_path.size() >= sizeof(address.sun_path)) return true;  // whoever tries next will say what is wrong
  socket_path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return connect(client.get(), reinterpret_cast<const struct sockaddr*>(&address), sizeof(address)) == 0;
}

// Its keeper holds the lock for as long as it starts daemons.
bool is_kept(const std::string& lock_path) {
  const UniqueFd lock(open(lock_path.c_str(), O_RDONLY | O_CLOEXEC));
  return lock && flock(lock.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

// One that died is there again in a moment: whoever asks meanwhile waits for it.
void wait_for_daemon(const store::StateDirectory& directory, Clock::time_point deadline) {
  while (!answers(directory.admin_socket()) && is_kept(directory.lock()) && Clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

}  // namespace

Result<store::AdministratorCredentials> read_administrator(const std::string& state_directory) {
  auto read = store::read_credentials(store::StateDirectory{state_directory});
  if (read || read.error().code != Code::not_found) return read;
  return fail(Code::not_found, "no Berth has been started in `{}`: run `berth up` first, or name another with --state-dir",
              state_directory);
}

Result<AdminAnswer> admin(const std::string& state_directory, const std::string& method, const std::string& target,
                          std::chrono::milliseconds timeout) {
  const store::StateDirectory directory{state_directory};
  const auto deadline = Clock::now() + kPatience;
  const auto ask = [&] {
    wait_for_daemon(directory, deadline);
    return http::Client::unix_socket(directory.admin_socket(), {.read_timeout = timeout}).request(method, target, {}, "");
  };
  auto response = ask();
  // What a dying daemon had accepted. Only a question may be asked twice.
  while (!response && method == "GET" && is_kept(directory.lock()) && Clock::now() < deadline) response = ask();
  if (!response) {
    return fail(Code::unavailable, "no daemon answers in `{}`: start it with `berth up` ({})", state_directory,
                response.error().message);
  }
  AdminAnswer answer{response->status, response->body, number_header(*response, "x-next-offset"),
                     number_header(*response, "x-finished") == 1};
  if (answer.status >= 400) return fail(answer.status == 404 ? Code::not_found : Code::internal, "{}", answer.body);
  return answer;
}

Result<Json> daemon_status(const std::string& state_directory) {
  auto answer = admin(state_directory, "GET", "/status");
  if (!answer) return fail(answer.error());
  return parse_json(answer->body, "the daemon's status");
}

Result<Json> ecs(const std::string& state_directory, const std::string& endpoint, const std::string& operation,
                 const Json& input) {
  auto administrator = read_administrator(state_directory);
  if (!administrator) return fail(administrator.error());
  const std::string host = endpoint.substr(endpoint.find("//") + 2);  // http://ADDRESS:PORT
  const std::size_t colon = host.rfind(':');
  const auto port = static_cast<std::uint16_t>(std::strtoul(host.c_str() + colon + 1, nullptr, 10));
  const std::string body = input.dump();
  http::Headers headers{{"Host", host},
                        {"Content-Type", "application/x-amz-json-1.1"},
                        {"X-Amz-Target", "AmazonEC2ContainerServiceV20141113." + operation}};
  const credentials::SignedRequest request{"POST", "/", "", headers, body, {}};
  const auto signature = credentials::sign(request, {administrator->access_key_id, administrator->secret_access_key, ""},
                                           {administrator->region, "ecs"}, SystemClock{}.now());
  headers.insert(headers.end(), signature.begin(), signature.end());
  auto response = http::Client::tcp(host.substr(0, colon), port).post("/", headers, body);
  if (!response) return fail(response.error().within("no daemon answers at " + endpoint));
  auto answer = parse_json(response->body, "the answer to " + operation);
  if (answer && response->status >= 400) {
    return fail(Code::failed_precondition, "{}: {}", answer->value("__type", "error"), answer->value("message", ""));
  }
  return answer;
}

Result<Json> find_task(const Json& status, const std::string& text) {
  const std::string id = text.substr(text.rfind('/') == std::string::npos ? 0 : text.rfind('/') + 1);
  const Json* found = nullptr;
  for (const Json& task : status.at("tasks")) {
    if (!task.value("id", "").starts_with(id)) continue;
    if (found != nullptr) return fail(Code::invalid_argument, "`{}` names more than one task: give more of the id", text);
    found = &task;
  }
  if (found == nullptr || id.empty()) return fail(Code::not_found, "no task `{}`: `berth status` lists them", text);
  return *found;
}

}  // namespace berth::cli
