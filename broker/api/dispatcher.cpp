#include "broker/api/dispatcher.hpp"

#include <exception>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "broker/api/credential_scope.hpp"
#include "broker/api/unrouted.hpp"
#include "broker/base/log.hpp"
#include "broker/protocol/time_format.hpp"
#include "broker/protocol/validation.hpp"

namespace berth::api {

using credentials::SignatureErrorCode;
using protocol::Fault;
using protocol::OperationModel;
using protocol::Protocol;
using protocol::WireError;

struct Dispatcher::Call {
  CallContext context;
  CallRecord record;
};

namespace {

Fault fault_of(SignatureErrorCode code) {
  switch (code) {
    case SignatureErrorCode::missing_authentication_token: return Fault::missing_authentication_token;
    case SignatureErrorCode::incomplete_signature: return Fault::incomplete_signature;
    case SignatureErrorCode::invalid_client_token_id:
    case SignatureErrorCode::invalid_token: return Fault::invalid_client_token;
    case SignatureErrorCode::signature_does_not_match: return Fault::signature_does_not_match;
    case SignatureErrorCode::request_expired: return Fault::request_expired;
    case SignatureErrorCode::expired_token: return Fault::expired_token;
  }
  return Fault::signature_does_not_match;
}

// IAM and STS have one endpoint for all regions; clients sign for us-east-1 or for their own.
bool is_global(const protocol::Model& model) { return model.name() == "iam" || model.name() == "sts"; }

// What GetSessionToken gives opens all that the user may, but not IAM, and of STS only two operations. (With MFA it would open
// IAM too; Berth has no MFA.)
std::optional<WireError> beyond_a_user_session(const protocol::Model& model, const OperationModel* operation) {
  if (model.name() == "iam") {
    return fault(model.protocol(), Fault::invalid_client_token, "The security token included in the request is invalid");
  }
  if (model.name() != "sts" || !operation || operation->name == "AssumeRole" || operation->name == "GetCallerIdentity") {
    return std::nullopt;
  }
  return fault(model.protocol(), Fault::access_denied, fmt::format("Cannot call {} with session credentials", operation->name));
}

std::string header_or_empty(const http::Request& request, std::string_view name) {
  const std::string* found = http::find_header(request.headers, name);
  return found ? *found : std::string{};
}

credentials::Principal anonymous() {
  credentials::Principal nobody;
  nobody.kind = credentials::Principal::Kind::anonymous;
  nobody.arn = "anonymous";
  return nobody;
}

// EC2 puts a sentence of its own before the reason.
std::string denial_text(const protocol::Model& model, const std::string& reason) {
  if (model.protocol() != Protocol::ec2) return reason;
  return "You are not authorized to perform this operation. " + reason;
}

WireError not_built(const protocol::Model& model, const std::string& operation) {
  return fault(model.protocol(), Fault::not_implemented, fmt::format("{} is not built in Berth yet; see docs/API.md", operation));
}

// EC2's DryRun asks whether the call would be allowed; getting here says yes.
bool is_dry_run(const protocol::Model& model, const Json& input) {
  return model.protocol() == Protocol::ec2 && input.value("DryRun", false);
}

// A service's own code, which may throw (nlohmann does): an error without a code is an internal one.
template <class Function>
auto run(const Operation& row, const CallContext& context, const Function& function, const Json& input)
    -> decltype(function(context, input)) {
  try {
    return function(context, input);
  } catch (const std::exception& failure) {
    log::error("operation threw", {{"operation", row.name}, {"request", context.request_id}, {"what", failure.what()}});
    return refuse({}, "We encountered an internal error. Please try again.");
  }
}

WireError wire_error(const protocol::Model& model, ApiError error) {
  if (error.code.empty()) return fault(model.protocol(), Fault::internal, std::move(error.message));
  return {std::move(error.code), std::move(error.message), std::move(error.members), 0};
}

}  // namespace

Dispatcher::Call Dispatcher::new_call() const {
  Call call;
  call.context.now = parts_.clock.now();
  call.context.request_id = parts_.random.uuid();
  call.context.region = parts_.region;
  call.context.account = parts_.account;
  call.record.at = call.context.now;
  call.record.request_id = call.context.request_id;
  return call;
}

void Dispatcher::record(const Call& call) const {
  if (parts_.record) parts_.record(call.record);
}

http::Response Dispatcher::handle(const http::Request& request) const {
  Call call = new_call();
  call.context.source_ip = call.record.source_ip = request.peer;
  call.context.user_agent = call.record.user_agent = header_or_empty(request, "User-Agent");
  call.context.secure_transport = request.secure;
  call.record.listener = request.listener;

  const std::string signed_for = signed_service(request);
  const Entry* entry = signed_for.empty() ? parts_.registry.by_content(request) : parts_.registry.by_signing_name(signed_for);
  http::Response response;
  if (entry) {
    call.record.service = entry->service.model;
    response = serve(*entry, request, call);
  } else {
    const Unrouted why = why_unrouted(request, parts_.registry.signing_names());
    call.record.service = signed_for;
    call.record.error_code = why.code;
    call.record.error_message = why.message;
    response = answer_unrouted(request, why, call.context.request_id);
  }
  call.record.status = response.status;
  // Clients with a wrong clock correct themselves by it.
  response.headers.emplace_back("Date", protocol::to_http_date(call.context.now));
  record(call);
  return response;
}

http::Response Dispatcher::serve(const Entry& entry, const http::Request& request, Call& call) const {
  const protocol::Wire wire = protocol::wire_of(*entry.model, request);
  const auto answer = [&]() -> Step<http::Response> {
    const auto operation = protocol::operation_of(*entry.model, request);
    if (operation) call.record.operation = (*operation)->name;
    if (auto admitted = admit(entry, request, operation ? *operation : nullptr, call); !admitted) {
      return std::unexpected(admitted.error());
    }
    if (!operation) return std::unexpected(operation.error());
    if (!entry.row((*operation)->name)) return std::unexpected(not_built(*entry.model, (*operation)->name));
    const auto input = protocol::decode(*entry.model, **operation, request);
    if (!input) return std::unexpected(input.error());
    const auto output = perform(entry, **operation, *input, call);
    if (!output) return std::unexpected(output.error());
    return protocol::encode(*entry.model, **operation, *output, call.context.request_id, wire);
  }();
  if (answer) return *answer;
  call.record.error_code = protocol::wire_code(*entry.model, answer.error());
  call.record.error_message = answer.error().message;
  return protocol::encode_error(*entry.model, answer.error(), call.context.request_id, wire);
}

Dispatcher::Step<void> Dispatcher::admit(const Entry& entry, const http::Request& request, const OperationModel* operation,
                                         Call& call) const {
  const Protocol protocol = entry.model->protocol();
  const auto who = [&](credentials::Principal principal) {
    call.record.caller_arn = principal.arn;
    call.record.access_key_id = principal.access_key_id;
    call.context.caller = std::move(principal);
  };
  if (operation && operation->unsigned_allowed && !has_signature(request)) {
    who(anonymous());
    return {};
  }
  auto signer = parts_.authenticate(request, call.context.now);
  if (!signer) return std::unexpected(fault(protocol, fault_of(signer.error().code), signer.error().message));
  who(std::move(signer->principal));
  if (!entry.signs_as(signer->service)) {
    return std::unexpected(
        fault(protocol, Fault::signature_does_not_match,
              fmt::format("Credential should be scoped to correct service: '{}'.", entry.service.signing_names.front())));
  }
  if (!parts_.region.empty() && signer->region != parts_.region && !is_global(*entry.model)) {
    return std::unexpected(fault(
        protocol, Fault::signature_does_not_match,
        fmt::format("Credential should be scoped to a valid region, not '{}': this is {}.", signer->region, parts_.region)));
  }
  if (credentials::is_user_session(call.context.caller)) {
    if (auto beyond = beyond_a_user_session(*entry.model, operation)) return std::unexpected(*std::move(beyond));
  }
  call.context.region = signer->region;
  return {};
}

Dispatcher::Step<Json> Dispatcher::perform(const Entry& entry, const OperationModel& operation, const Json& input,
                                           Call& call) const {
  const protocol::Model& model = *entry.model;
  const Operation& row = *entry.row(operation.name);
  if (auto wrong = protocol::validate(model, operation, input)) return std::unexpected(std::move(*wrong));
  if (auto authorized = authorize(entry, row, input, call); !authorized) return std::unexpected(authorized.error());
  if (is_dry_run(model, input)) {
    return std::unexpected(WireError{"DryRunOperation", "Request would have succeeded, but DryRun flag is set.", nullptr, 412});
  }
  auto output = run(row, call.context, row.handle, input);
  if (output) return std::move(*output);
  return std::unexpected(wire_error(model, std::move(output.error())));
}

Dispatcher::Step<void> Dispatcher::authorize(const Entry& entry, const Operation& row, const Json& input, Call& call) const {
  if (row.needs_no_permission) return {};
  auto accesses = run(row, call.context, row.resources, input);
  if (!accesses) return std::unexpected(wire_error(*entry.model, std::move(accesses.error())));
  // A batch of nothing still needs the permission.
  if (accesses->empty()) accesses->emplace_back();
  for (const ResourceAccess& access : *accesses) {
    const std::string& action = access.action ? *access.action : row.action;
    auto denial = parts_.authorize(call.context, action, access);
    call.record.accesses.push_back({action, access.arn, denial});
    if (denial) {
      return std::unexpected(fault(entry.model->protocol(), Fault::access_denied, denial_text(*entry.model, *denial)));
    }
  }
  return {};
}

Outcome<Json> Dispatcher::call(const credentials::Principal& caller, const std::string& service, const std::string& operation,
                               const Json& input, const CallOrigin& origin) const {
  const Entry* entry = parts_.registry.by_model(service);
  const OperationModel* model = entry ? entry->model->operation(operation) : nullptr;
  if (!model || !entry->row(operation)) return refuse("NotImplemented", fmt::format("Berth has no {} {}", service, operation));
  Call call = new_call();
  call.context.caller = caller;
  call.context.source_ip = call.record.source_ip = origin.source_ip;
  call.context.user_agent = call.record.user_agent = origin.user_agent;
  call.record.caller_arn = caller.arn;
  call.record.access_key_id = caller.access_key_id;
  call.record.service = service;
  call.record.operation = operation;
  call.record.listener = "internal";
  auto output = [&]() -> Step<Json> {
    try {
      return perform(*entry, *model, input, call);
    } catch (const Json::exception& failure) {  // decoding would have found a wrong type; here it is our own mistake
      return std::unexpected(fault(entry->model->protocol(), Fault::malformed, failure.what()));
    }
  }();
  if (!output) {
    call.record.error_code = protocol::wire_code(*entry->model, output.error());
    call.record.error_message = output.error().message;
    call.record.status = protocol::wire_status(*entry->model, output.error());
  }
  record(call);
  if (output) return std::move(*output);
  return std::unexpected(ApiError{call.record.error_code, output.error().message, output.error().members});
}

}  // namespace berth::api
