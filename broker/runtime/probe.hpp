// Finds the OCI runtime that works on this machine: each is tried with a real container, limits and all.
#pragma once

#include <array>
#include <string>

#include "broker/base/error.hpp"
#include "broker/runtime/machine.hpp"

namespace berth::runtime {

// In the order in which they are tried.
inline constexpr std::array<const char*, 2> kOciRuntimes{"crun", "runc"};

struct FoundRuntime {
  OciRuntime program;
  std::string version;  // "runc 1.1.5"
};

// The first that works. `machine.oci` is not used. Fails with what each one said.
Result<FoundRuntime> find_oci_runtime(const Machine& machine);
// A program for initProcessEnabled; empty where there is none.
std::string find_init_program();

}  // namespace berth::runtime
