#include "broker/base/error.hpp"

#include <cerrno>
#include <system_error>

namespace berth {

namespace {

Code code_of_errno(int value) {
  switch (value) {
    case ENOENT:
    case ESRCH:
    case ENODEV:
    case ENXIO: return Code::not_found;
    case EEXIST: return Code::already_exists;
    case EACCES:
    case EPERM: return Code::permission_denied;
    case EINVAL:
    case ENAMETOOLONG: return Code::invalid_argument;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM: return Code::resource_exhausted;
    case EAGAIN:
    case EBUSY:
    case ECONNREFUSED:
    case ETIMEDOUT: return Code::unavailable;
    case ENOSYS:
    case EOPNOTSUPP: return Code::unimplemented;
    default: return Code::io;
  }
}

}  // namespace

std::string_view to_string(Code code) {
  switch (code) {
    case Code::invalid_argument: return "invalid argument";
    case Code::not_found: return "not found";
    case Code::already_exists: return "already exists";
    case Code::permission_denied: return "permission denied";
    case Code::failed_precondition: return "failed precondition";
    case Code::resource_exhausted: return "resource exhausted";
    case Code::unavailable: return "unavailable";
    case Code::unimplemented: return "not built yet";
    case Code::io: return "i/o error";
    case Code::internal: return "internal error";
  }
  return "unknown";
}

Error Error::within(std::string_view context) const { return Error{code, fmt::format("{}: {}", context, message), errno_value}; }

std::unexpected<Error> fail_errno(int errno_value, std::string_view what) {
  return fail(
      Error{code_of_errno(errno_value), fmt::format("{}: {}", what, std::generic_category().message(errno_value)), errno_value});
}

}  // namespace berth
