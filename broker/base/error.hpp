// Error and Result<T>: how every fallible function of Berth answers.
//
// An Error is a code, a message for a person and, where a system call failed, its errno. It knows nothing of HTTP or AWS:
// protocol, fuse and log translate it, each in one place. Messages: lower-case, no full stop, user text in backticks.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/core.h>

namespace berth {

enum class Code {
  invalid_argument,     // the caller's input is wrong, whatever the state
  not_found,            // what was named does not exist
  already_exists,       // what was to be made exists
  permission_denied,    // the caller may not
  failed_precondition,  // right input, wrong state
  resource_exhausted,   // a limit, a quota, addresses, capacity
  unavailable,          // may work later: a peer or a device is not there
  unimplemented,        // Berth does not do this yet
  io,                   // a system call failed; errno_value says which way
  internal,             // a broken promise of our own
};

std::string_view to_string(Code code);

struct Error {
  Code code = Code::internal;
  std::string message;
  int errno_value = 0;

  // The same error with `context: ` before the message: outer first, inner last.
  Error within(std::string_view context) const;
};

template <class T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Error error) { return std::unexpected<Error>(std::move(error)); }

template <class... Args>
std::unexpected<Error> fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected<Error>(Error{code, fmt::format(format, std::forward<Args>(args)...), 0});
}

// An Error from a failed system call: `what: strerror`; the code follows from the errno (ENOENT -> not_found, ...).
std::unexpected<Error> fail_errno(int errno_value, std::string_view what);

}  // namespace berth
