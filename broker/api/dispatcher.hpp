// Dispatcher: from a request to its answer. Authenticates, finds the operation, decodes and validates its input, authorizes
// every resource that the operation's row names, calls the handler, encodes; tells the recorder of each call.
//
// No handler is reached but through here, and none before all its resources were authorized. Thread-safe if its parts are.
#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "broker/api/operation.hpp"
#include "broker/api/registry.hpp"
#include "broker/base/clock.hpp"
#include "broker/base/random.hpp"
#include "broker/http/message.hpp"
#include "broker/protocol/codec.hpp"
#include "credentials/authenticate.hpp"

namespace berth::api {

// Who signed the request; credentials_gate.hpp has the real one.
using Authenticator = std::function<credentials::Signed<credentials::Authenticated>(const http::Request&, TimePoint now)>;

// nullopt: allowed. Otherwise AWS's sentence: "User: ... is not authorized to perform: ...".
using Authorizer =
    std::function<std::optional<std::string>(const CallContext&, const std::string& action, const ResourceAccess&)>;

// One decision: an action on a resource.
struct AccessRecord {
  std::string action;
  std::string resource;
  std::optional<std::string> denial;  // the sentence, where it was denied
};

// One call, as the audit trail and the reports of used and denied permissions see it.
struct CallRecord {
  TimePoint at{};
  std::string request_id;
  std::string service;     // the model's name: "ecs"
  std::string operation;   // empty where none could be found
  std::string caller_arn;  // empty where nobody could be authenticated
  std::string access_key_id;
  std::string source_ip;
  std::string user_agent;
  std::string listener;  // which listener it came by; "internal" for Dispatcher::call
  std::vector<AccessRecord> accesses;
  std::string error_code;  // as the client sees it; empty: it succeeded
  std::string error_message;
  int status = 200;
};
using Recorder = std::function<void(const CallRecord&)>;

struct DispatcherParts {
  const Registry& registry;
  const Clock& clock;
  Random& random;
  Authenticator authenticate;
  Authorizer authorize;
  Recorder record;      // may be empty
  std::string account;  // Berth's
  std::string region;   // calls signed for another are refused; empty: any region
};

// How a caller inside the daemon presents itself.
struct CallOrigin {
  std::string source_ip = "127.0.0.1";
  std::string user_agent = "berth";
};

class Dispatcher {
 public:
  explicit Dispatcher(DispatcherParts parts) : parts_(std::move(parts)) {}

  http::Response handle(const http::Request& request) const;

  // For callers inside the daemon (the agent of a simulated instance): no signature, all the rest as for a request.
  // `service` is the model's name. Errors carry the code that a client would see.
  Outcome<Json> call(const credentials::Principal& caller, const std::string& service, const std::string& operation,
                     const Json& input, const CallOrigin& origin = {}) const;

 private:
  using WireError = protocol::WireError;
  template <class T>
  using Step = std::expected<T, WireError>;

  struct Call;  // one call on its way

  http::Response serve(const Entry& entry, const http::Request& request, Call& call) const;
  Step<void> admit(const Entry& entry, const http::Request& request, const protocol::OperationModel* operation, Call& call) const;
  Step<Json> perform(const Entry& entry, const protocol::OperationModel& operation, const Json& input, Call& call) const;
  Step<void> authorize(const Entry& entry, const Operation& row, const Json& input, Call& call) const;
  Call new_call() const;
  void record(const Call& call) const;

  DispatcherParts parts_;
};

}  // namespace berth::api
