// TaskRecord: what a daemon that starts again must know of a task that runs, in memory that survives (Survival): descriptors by
// number, pids, how far each container got. Plain bytes, written field by field: a daemon can die between any two of them.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"
#include "broker/base/survival.hpp"
#include "broker/runtime/log_pump.hpp"
#include "broker/runtime/task_launch.hpp"

namespace berth::runtime {

inline constexpr std::size_t kContainersMax = 10;  // ECS's limit for a task definition

// A descriptor that is kept. The inode tells whether the number still means the same file.
struct KeptDescriptor {
  std::int32_t fd = -1;
  std::uint64_t inode = 0;
};

enum class ContainerState : std::uint32_t {
  pending,  // not made yet; what may exist of it is deleted before a second try
  created,  // `pid` waits to be started
  started,  // for the first time at `started_at`
  exited,
};

struct ContainerRecord {
  ContainerState state = ContainerState::pending;
  std::int32_t pid = 0;
  std::int32_t exit_code = 0;
  std::uint32_t out_of_memory = 0;
  KeptDescriptor standard_output, standard_error;
  std::int64_t started_at = 0, exited_at = 0;  // microseconds since 1970
};

struct TaskRecord {
  std::uint32_t version = 0;  // kVersion once the record is whole
  std::uint32_t prepared = 0, running = 0, stopping = 0;
  std::int64_t pull_started_at = 0, pull_stopped_at = 0, running_at = 0;
  KeptDescriptor metadata, front_door;
  char failure[512] = {};  // why it can't start; empty: it didn't fail
  char failed_container[256] = {};
  ContainerRecord containers[kContainersMax];

  static constexpr std::uint32_t kVersion = 1;
};

// The task's record; made where there is none.
Result<TaskRecord*> task_record(Survival& survival, const TaskId& task);
// What of a container's output (0: standard output, 1: error) is not in its log yet; one for each container of the task.
struct ContainerOutput {
  OutputBuffer streams[2];
};
Result<ContainerOutput*> container_output(Survival& survival, const TaskId& task, std::size_t container);
// Is there one from before?
bool has_task_record(Survival& survival, const TaskId& task);
// With the containers' output.
void remove_task_record(Survival& survival, const TaskId& task);

// Writes `fd` down, then keeps it.
void keep_descriptor(Survival& survival, KeptDescriptor& place, int fd);
// Gives it up and closes it; nothing where none is held.
void close_descriptor(Survival& survival, KeptDescriptor& place);
// Does the number still mean the file that was kept?
bool is_alive(const KeptDescriptor& place);

void set_text(std::span<char> field, const std::string& text);
std::int64_t to_record_time(TimePoint at);
TimePoint from_record_time(std::int64_t microseconds);

}  // namespace berth::runtime
