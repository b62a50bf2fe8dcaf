#include "broker/protocol/wire_error.hpp"

#include <array>
#include <utility>

namespace berth::protocol {

namespace {

struct Named {
  const char* code;
  int status;
};

struct Row {
  Fault fault;
  Named json, rest_json, query, ec2;
};

// JSON services answer nearly every refusal with 400; the rest-json and query ones with 403.
// EC2 words: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
constexpr std::array kRows = {
    Row{Fault::access_denied,
        {"AccessDeniedException", 400},
        {"AccessDeniedException", 403},
        {"AccessDenied", 403},
        {"UnauthorizedOperation", 403}},
    Row{Fault::missing_authentication_token,
        {"MissingAuthenticationTokenException", 403},
        {"MissingAuthenticationTokenException", 403},
        {"MissingAuthenticationToken", 403},
        {"MissingAuthenticationToken", 403}},
    Row{Fault::incomplete_signature,
        {"IncompleteSignatureException", 400},
        {"IncompleteSignatureException", 403},
        {"IncompleteSignature", 400},
        {"IncompleteSignature", 400}},
    Row{Fault::invalid_client_token,
        {"UnrecognizedClientException", 400},
        {"UnrecognizedClientException", 403},
        {"InvalidClientTokenId", 403},
        {"AuthFailure", 401}},
    Row{Fault::signature_does_not_match,
        {"InvalidSignatureException", 400},
        {"InvalidSignatureException", 403},
        {"SignatureDoesNotMatch", 403},
        {"SignatureDoesNotMatch", 403}},
    Row{Fault::request_expired,
        {"InvalidSignatureException", 400},
        {"InvalidSignatureException", 403},
        {"SignatureDoesNotMatch", 403},
        {"RequestExpired", 400}},
    Row{Fault::expired_token,
        {"ExpiredTokenException", 400},
        {"ExpiredTokenException", 403},
        {"ExpiredToken", 403},
        {"RequestExpired", 400}},
    Row{Fault::unknown_operation,
        {"UnknownOperationException", 400},
        {"UnknownOperationException", 404},
        {"InvalidAction", 400},
        {"InvalidAction", 400}},
    Row{Fault::malformed,
        {"SerializationException", 400},
        {"SerializationException", 400},
        {"MalformedInput", 400},
        {"InvalidParameterValue", 400}},
    Row{Fault::not_implemented,
        {"NotImplemented", 501},
        {"NotImplemented", 501},
        {"NotImplemented", 501},
        {"NotImplemented", 501}},
    Row{Fault::internal, {"InternalFailure", 500}, {"InternalFailure", 500}, {"InternalFailure", 500}, {"InternalError", 500}},
};

Named named(Protocol protocol, const Row& row) {
  switch (protocol) {
    case Protocol::json: return row.json;
    case Protocol::rest_json: return row.rest_json;
    case Protocol::query: return row.query;
    case Protocol::ec2: return row.ec2;
  }
  return row.json;
}

// The status of a common error that a handler names itself.
int common_status(Protocol protocol, std::string_view code) {
  for (const Row& row : kRows) {
    const Named here = named(protocol, row);
    if (code == here.code) return here.status;
  }
  if (protocol == Protocol::ec2 && code == "DryRunOperation") return 412;
  return 400;
}

}  // namespace

WireError fault(Protocol protocol, Fault fault, std::string message) {
  for (const Row& row : kRows) {
    if (row.fault != fault) continue;
    const Named here = named(protocol, row);
    return {here.code, std::move(message), nullptr, here.status};
  }
  return {"InternalFailure", std::move(message), nullptr, 500};
}

std::string wire_code(const Model& model, const WireError& error) {
  const Shape* shape = model.error(error.code);
  return shape && !shape->error_code.empty() ? shape->error_code : error.code;
}

int wire_status(const Model& model, const WireError& error) {
  if (error.status != 0) return error.status;
  if (const Shape* shape = model.error(error.code)) {
    if (shape->status != 0) return shape->status;
    if (shape->server_fault) return 500;
  }
  return common_status(model.protocol(), wire_code(model, error));
}

}  // namespace berth::protocol
