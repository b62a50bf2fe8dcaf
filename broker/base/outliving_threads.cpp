#include "broker/base/outliving_threads.hpp"

#include <sys/prctl.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include <fmt/format.h>

namespace berth {
namespace {

constexpr const char* kName = "berth-outlives";  // at most 15 bytes

std::string first_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The state in /proc/<pid>/stat, behind the name, which may contain anything: proc(5).
bool is_zombie(const std::filesystem::path& task) {
  const std::string line = first_line(task / "stat");
  const auto end_of_name = line.rfind(") ");
  return end_of_name != std::string::npos && line.size() > end_of_name + 2 && line[end_of_name + 2] == 'Z';
}

}  // namespace

void leave_no_core() { prctl(PR_SET_DUMPABLE, 0); }

void may_outlive_its_process() { prctl(PR_SET_NAME, kName); }

bool only_outliving_threads_left(pid_t process) {
  const std::string first = fmt::format("{}", process);
  const std::filesystem::path tasks = fmt::format("/proc/{}/task", process);
  if (!is_zombie(tasks / first)) return false;
  std::error_code error;
  bool others = false;
  for (std::filesystem::directory_iterator task(tasks, error), end; !error && task != end; task.increment(error)) {
    if (task->path().filename() == first) continue;
    const std::string name = first_line(task->path() / "comm");
    if (name.empty()) continue;  // it ended meanwhile
    if (name != kName) return false;
    others = true;
  }
  return others && !error;
}

pid_t mortal_thread(pid_t process) {
  pid_t oldest = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator task(fmt::format("/proc/{}/task", process), error), end; !error && task != end;
       task.increment(error)) {
    const pid_t thread = std::atoi(task->path().filename().c_str());
    const std::string name = first_line(task->path() / "comm");
    if (thread == process || name.empty() || name == kName || is_zombie(task->path())) continue;
    if (oldest == 0 || thread < oldest) oldest = thread;
  }
  return oldest;
}

}  // namespace berth
