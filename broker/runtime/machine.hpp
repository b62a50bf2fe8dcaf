// Machine: the parts of the runtime that all tasks share, by reference. Owned by LinuxRuntime, which outlives every task.
#pragma once

#include <memory>
#include <string>

#include "broker/base/child_exits.hpp"
#include "broker/base/clock.hpp"
#include "broker/base/survival.hpp"
#include "broker/runtime/cgroups.hpp"
#include "broker/runtime/log_pump.hpp"
#include "broker/runtime/network.hpp"
#include "broker/runtime/oci_runtime.hpp"
#include "broker/runtime/paths.hpp"
#include "broker/runtime/root_file_system.hpp"
#include "broker/runtime/runtime.hpp"
#include "broker/runtime/volumes.hpp"
#include "broker/runtime/work.hpp"

namespace berth::runtime {

struct Machine {
  const Paths& paths;
  const Cgroups& cgroups;
  const OciRuntime& oci;
  Network& network;
  RootFileSystems& roots;
  Volumes& volumes;
  LogPump& logs;
  std::shared_ptr<WorkPool> pool;    // starts and stops
  std::shared_ptr<WorkPool> checks;  // health checks, which may take as long as their time limit
  Survival& survival;
  ChildExits& exits;
  const Clock& clock;
  const Runtime::Handlers& handlers;
  std::string init_program;  // for initProcessEnabled; empty where the host has none
};

}  // namespace berth::runtime
