// Task: the life of one task, from its launch to the moment when nothing of it is left.
//
// Everything happens on the task's strand, one step after the other; each step may block. `advance` looks at how far the
// containers are and does what is due: it is the same after a launch, an exit, a request to stop and a restart of the daemon.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/runtime/machine.hpp"
#include "broker/runtime/task_record.hpp"

namespace berth::runtime {

class Task : public std::enable_shared_from_this<Task> {
 public:
  // `gone` is called on the strand after the last report.
  Task(const Machine& machine, TaskLaunch launch, std::function<void()> gone);

  void start();
  void stop();
  // Goes on with a task of the daemon before. `known`: the control state expects it; else it is ended without reports.
  void adopt(bool known);

 private:
  struct Member {  // a container
    Container definition;
    ContainerRecord* record = nullptr;
    bool terminated = false, killed = false;  // signals sent
    bool abandoned = false;                   // never started, never will be
    std::string health;                       // of the checks: empty until the first verdict
    unsigned failures = 0;
    UniqueFd process;  // pidfd
  };

  Result<> open_record();
  void launch();
  Result<> prepare();
  void resume(bool known);
  void resume_container(Member& member);
  void report_again();

  void advance();
  void start_due();
  enum class Readiness { ready, waiting, impossible };
  Readiness readiness(const Member& member, std::string& why) const;
  void start_container(Member& member);
  Result<> create_container(Member& member);
  Result<> pump_output(Member& member);
  Result<> begin_container(Member& member);
  void started(Member& member);
  void fail_to_start(Member& member, const Error& error);
  void exited(std::size_t index, int wait_status, TimePoint at);

  void stop_due();
  void terminate(Member& member);
  void kill(Member& member);
  void finish();
  void clean_up();

  void watch(Member& member);
  void schedule_check(std::size_t index);
  void checked(std::size_t index, bool healthy);
  void report(Event event);
  void fail(const Error& error, const std::string& container);
  void post(std::function<void(Task&)> step);
  void post_after(std::chrono::milliseconds delay, std::function<void(Task&)> step);

  bool alive(const Member& member) const;
  bool any_alive() const;
  Member* find(const std::string& name);
  const Member* find(const std::string& name) const;

  const Machine machine_;
  TaskLaunch launch_;
  const std::function<void()> gone_;
  const std::shared_ptr<Strand> strand_;
  std::atomic<bool> stop_requested_ = false;  // looked at between the steps of a start
  TaskRecord* record_ = nullptr;
  std::vector<Member> members_;
  bool silent_ = false;  // nobody expects it: no reports
  bool adopted_ = false;
  bool finished_ = false;
  std::string lost_reason_;
};

}  // namespace berth::runtime
