// The seccomp profile of containers: Docker's documented default policy. An allow list; what is not on it answers EPERM.
// https://docs.docker.com/engine/security/seccomp/
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace berth::runtime {

// `linux.seccomp` of an OCI configuration. Some calls are allowed only with the capability that the kernel asks for anyway.
nlohmann::json seccomp_profile(const std::vector<std::string>& capabilities);
// The calls that every container may make with any arguments; sorted.
std::span<const std::string_view> always_allowed_syscalls();

}  // namespace berth::runtime
