#include "broker/runtime/task_record.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <type_traits>

namespace berth::runtime {
namespace {

static_assert(std::is_trivially_copyable_v<TaskRecord> && std::is_trivially_copyable_v<ContainerOutput>);

std::string region_name(const TaskId& task) { return "runtime/" + task.str(); }

std::string output_name(const TaskId& task, std::size_t container) { return region_name(task) + "/" + std::to_string(container); }

std::uint64_t inode_of(int fd) {
  struct stat info{};
  return fd >= 0 && ::fstat(fd, &info) == 0 ? info.st_ino : 0;
}

}  // namespace

Result<TaskRecord*> task_record(Survival& survival, const TaskId& task) {
  auto bytes = survival.region(region_name(task), sizeof(TaskRecord));
  if (!bytes) return fail(bytes.error());
  auto* record = std::launder(reinterpret_cast<TaskRecord*>(bytes->data()));
  if (record->version != TaskRecord::kVersion) {
    new (bytes->data()) TaskRecord();
    record->version = TaskRecord::kVersion;
  }
  return record;
}

bool has_task_record(Survival& survival, const TaskId& task) {
  const std::vector<std::string> names = survival.regions();
  return std::find(names.begin(), names.end(), region_name(task)) != names.end();
}

Result<ContainerOutput*> container_output(Survival& survival, const TaskId& task, std::size_t container) {
  auto bytes = survival.region(output_name(task, container), sizeof(ContainerOutput));
  if (!bytes) return fail(bytes.error());
  return std::launder(reinterpret_cast<ContainerOutput*>(bytes->data()));  // zeroes are empty buffers
}

void remove_task_record(Survival& survival, const TaskId& task) {
  for (const std::string& name : survival.regions())
    if (name.starts_with(region_name(task) + "/")) survival.remove_region(name);
  survival.remove_region(region_name(task));
}

void keep_descriptor(Survival& survival, KeptDescriptor& place, int fd) {
  place.inode = inode_of(fd);
  place.fd = fd;
  survival.keep(fd);
}

void close_descriptor(Survival& survival, KeptDescriptor& place) {
  const int fd = place.fd;
  if (fd < 0) return;
  const bool alive = is_alive(place);
  place.fd = -1;
  if (!alive) return;
  survival.forget(fd);
  ::close(fd);
}

bool is_alive(const KeptDescriptor& place) { return place.fd >= 0 && inode_of(place.fd) == place.inode; }

void set_text(std::span<char> field, const std::string& text) {
  const std::size_t length = std::min(text.size(), field.size() - 1);
  std::memcpy(field.data(), text.data(), length);
  field[length] = '\0';
}

std::int64_t to_record_time(TimePoint at) { return at.time_since_epoch().count(); }
TimePoint from_record_time(std::int64_t microseconds) { return TimePoint(std::chrono::microseconds(microseconds)); }

}  // namespace berth::runtime
