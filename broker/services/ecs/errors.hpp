// Refusals in ECS's words. Inside the ECS service only.
#pragma once

#include <string>
#include <utility>

#include <fmt/format.h>

#include "broker/api/operation.hpp"
#include "broker/base/error.hpp"

namespace berth::services::ecs {

template <class... Args>
std::unexpected<api::ApiError> invalid(fmt::format_string<Args...> format, Args&&... args) {
  return api::refuse("InvalidParameterException", fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
std::unexpected<api::ApiError> client_error(fmt::format_string<Args...> format, Args&&... args) {
  return api::refuse("ClientException", fmt::format(format, std::forward<Args>(args)...));
}

template <class T>
std::unexpected<api::ApiError> refused(const api::Outcome<T>& outcome) {
  return std::unexpected<api::ApiError>(outcome.error());
}

// What the cluster refused although the checks before let it pass.
inline std::unexpected<api::ApiError> refused(const Error& error) {
  switch (error.code) {
    case Code::internal:
    case Code::io: return api::refuse("ServerException", error.message);
    case Code::unimplemented: return api::refuse("UnsupportedFeatureException", error.message);
    case Code::resource_exhausted: return client_error("{}", error.message);
    default: return invalid("{}", error.message);
  }
}

}  // namespace berth::services::ecs
