// WireError: an error as a client will read it. fault() names the errors that no service's table has, because every AWS
// service answers them, in each protocol by another name and status.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "broker/protocol/model.hpp"

namespace berth::protocol {

struct WireError {
  // Of an error shape of the service (its name or its wire code), or a common one.
  std::string code;
  std::string message;
  // Further members of the error's shape; null where there are none.
  std::shared_ptr<const nlohmann::json> members;
  // 0: as the shape says, else as the protocol has it for client errors.
  int status = 0;
};

enum class Fault {
  access_denied,
  missing_authentication_token,
  incomplete_signature,
  invalid_client_token,
  signature_does_not_match,
  request_expired,
  expired_token,
  unknown_operation,
  malformed,        // JSON that is none, a text where a number should be
  not_implemented,  // AWS has it, Berth hasn't yet: 501
  internal,
};

WireError fault(Protocol protocol, Fault fault, std::string message);

// The name by which a client knows the error: "ClusterNotFoundException", "NoSuchEntity".
std::string wire_code(const Model& model, const WireError& error);
int wire_status(const Model& model, const WireError& error);

}  // namespace berth::protocol
