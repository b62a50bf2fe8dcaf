// Finds the OCI runtime that works on this machine: each is tried with a real container, limits and all.
#pragma once

#include <string>

#include "broker/base/error.hpp"
#include "broker/runtime/machine.hpp"

namespace berth::runtime {

struct FoundRuntime {
  OciRuntime program;
  std::string version;  // "runc 1.1.5"
};

// crun, then runc. `machine.oci` is not used. Fails with what each one said.
Result<FoundRuntime> find_oci_runtime(const Machine& machine);
// A program for initProcessEnabled; empty where there is none.
std::string find_init_program();

}  // namespace berth::runtime
