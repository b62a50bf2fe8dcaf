// What the last search for an OCI runtime found, kept in the state directory: a search runs a container with each, which takes
// longer than all else that a start does.
#pragma once

#include <optional>
#include <string>

#include "broker/base/error.hpp"

namespace berth::runtime {

struct ProbeMemory {
  std::string program;  // as it is called
  std::string version;  // "runc 1.1.5"
};

// Changes with all that can make another runtime work, or this one fail: the boot of the machine and the programs that are there.
// Empty where it can't be told; then nothing is remembered.
std::string probe_fingerprint();

// nullopt where nothing was found under this very fingerprint.
std::optional<ProbeMemory> recall_probe(const std::string& path, const std::string& fingerprint);
Result<> remember_probe(const std::string& path, const std::string& fingerprint, const ProbeMemory& memory);

}  // namespace berth::runtime
