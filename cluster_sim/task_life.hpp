// How far a task's life has come: the one place that changes its status.
//
//   PROVISIONING -> PENDING -> ACTIVATING -> RUNNING -> DEACTIVATING -> STOPPING -> DEPROVISIONING -> STOPPED
//
// A task that stops before it ran goes from where it is to STOPPING. Statuses only move forward; each step counts the version.
// Its reservation and its interface go at the last step and not before.
#pragma once

#include "cluster_sim/state.hpp"

namespace berth::cluster_sim {

// Steps through all statuses up to `status`; a task that is there or further stays.
void advance(State& state, TimePoint now, Task& task, TaskStatus status);

// desiredStatus STOPPED. The first reason stays: a task that is stopping already is left alone.
void want_stop(State& state, TimePoint now, Task& task, std::string stop_code, std::string reason);

void apply(State& state, TimePoint now, Task& task, const TaskEvent& event);

}  // namespace berth::cluster_sim
