#include "fuse/reactor.hpp"

#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "fuse/identity.hpp"
#include "fuse/wire.hpp"

namespace berth::fuse {
namespace {

constexpr std::uint64_t kStop = ~std::uint64_t{0};
constexpr std::uint64_t kTimer = kStop - 1;
// A lock let go past the share (in the backing directory) is noticed this late.
constexpr int kLockRetryMilliseconds = 250;

}  // namespace

Reactor::Reactor(Common& common, std::chrono::nanoseconds linger, std::function<void(MountNumber)> gone)
    : common_(common),
      gone_(std::move(gone)),
      // With one processor whoever sends the next request could not run meanwhile.
      linger_longest_(std::thread::hardware_concurrency() > 1 ? linger : std::chrono::nanoseconds(0)),
      lingering_max_(std::max(1U, std::thread::hardware_concurrency() / 4)) {}

Reactor::~Reactor() { stop(); }

Result<> Reactor::start(unsigned workers) {
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  stop_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll_ || !stop_) return fail_errno(errno, "event loop of the share");
  struct epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kStop;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stop_.get(), &event) != 0) return fail_errno(errno, "event loop of the share");
  const auto timer = common_.gates.timer();
  if (!timer) return fail(timer.error());
  // Each time that it runs out wakes one worker, which sets it anew before it serves.
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = kTimer;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, *timer, &event) != 0) return fail_errno(errno, "event loop of the share");
  for (unsigned worker = 0; worker < workers; ++worker) {
    auto buffer = common_.journal.buffer(worker);
    if (!buffer) return fail(buffer.error());
    threads_.emplace_back([this, worker, memory = *buffer] { work(worker, memory); });
  }
  return {};
}

void Reactor::stop() {
  if (!threads_.empty()) eventfd_write(stop_.get(), 1);
  threads_.clear();
}

Result<> Reactor::add(std::shared_ptr<Mount> mount) {
  struct epoll_event event{};
  event.events = EPOLLIN | EPOLLONESHOT;
  event.data.u64 = mount->number();
  const int device = mount->device();
  const MountNumber number = mount->number();
  const std::scoped_lock lock(mutex_);
  mounts_[number] = std::move(mount);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, device, &event) == 0) return {};
  mounts_.erase(number);
  return fail_errno(errno, "adding the mount to the event loop");
}

void Reactor::remove(MountNumber number) {
  std::shared_ptr<Mount> ends_unlocked;
  const std::scoped_lock lock(mutex_);
  const auto found = mounts_.find(number);
  if (found == mounts_.end()) return;
  ends_unlocked = std::move(found->second);
  mounts_.erase(found);
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, ends_unlocked->device(), nullptr);
}

std::shared_ptr<Mount> Reactor::find(MountNumber number) const {
  const std::scoped_lock lock(mutex_);
  const auto found = mounts_.find(number);
  return found == mounts_.end() ? nullptr : found->second;
}

void Reactor::work(unsigned worker, std::span<std::byte> buffer) {
  prepare_worker_thread();
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);  // signals are the daemon's other threads' business
  while (true) {
    struct epoll_event event{};
    const int ready = epoll_wait(epoll_.get(), &event, 1, common_.waiters.empty() ? -1 : kLockRetryMilliseconds);
    if (ready == 0) common_.waiters.wake_all();
    if (ready <= 0) continue;
    if (event.data.u64 == kStop) return;
    if (event.data.u64 == kTimer) {
      serve_due(worker);
      continue;
    }
    turn(static_cast<MountNumber>(event.data.u64), buffer, worker);
  }
}

void Reactor::arm(const Mount& mount, bool on) {
  struct epoll_event event{};
  event.events = on ? EPOLLIN | EPOLLONESHOT : EPOLLONESHOT;
  event.data.u64 = mount.number();
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, mount.device(), &event);
}

void Reactor::turn(MountNumber number, std::span<std::byte> buffer, unsigned worker) {
  const std::shared_ptr<Mount> mount = find(number);
  if (!mount) return;
  common_.journal.about_to_read(worker, number, buffer);
  auto size = mount->receive(buffer);
  if (size && *size > 0 && linger_longest_.count() > 0) mount->linger().woken(Clock::now(), linger_longest_);
  while (true) {
    if (!size) return gone_(number);
    arm(*mount, true);  // before it is served: requests of one mount are served in parallel
    if (*size == 0 || !serve(*mount, buffer.first(*size), worker)) return;
    size = linger(*mount, buffer, worker);
    if (size && *size == 0) return;
  }
}

// The next request, where it comes within the moment that this mount is worth; 0 else. No other worker is woken meanwhile.
Answer<std::size_t> Reactor::linger(Mount& mount, std::span<std::byte> buffer, unsigned worker) {
  const auto window = mount.linger().window();
  const auto begun = Clock::now();
  Answer<std::size_t> size = 0;
  if (window.count() > 0 && lingering_.fetch_add(1) < lingering_max_) {
    arm(mount, false);
    while (!mount.abandoned()) {
      common_.journal.about_to_read(worker, mount.number(), buffer);
      size = mount.receive(buffer);
      if (!size || *size > 0 || Clock::now() - begun >= window) break;
      sched_yield();  // whoever is to send it may be waiting for this processor
    }
    if (size && *size == 0) arm(mount, true);
  }
  if (window.count() > 0) --lingering_;
  if (size && *size == 0) mount.linger().slept(begun);
  return size;
}

bool Reactor::serve(Mount& mount, std::span<std::byte> request, unsigned worker) {
  if (mount.gated() && held_back(mount, request)) return false;
  mount.serve(request, worker);
  return true;
}

bool Reactor::held_back(Mount& mount, std::span<const std::byte> request) {
  // What the mount's rights answer does not depend on its way to the file system.
  if (mount.answered_by_rights(request)) return true;
  using Kind = zones::Gates::Verdict::Kind;
  const auto verdict = common_.gates.judge(mount.number(), request);
  if (verdict.kind == Kind::refused) mount.answer_error(request, verdict.error);
  if (verdict.kind == Kind::parked) common_.journal.waits(mount.number(), read_as<RequestHead>(request).name());
  return verdict.kind != Kind::pass;
}

void Reactor::serve_due(unsigned worker) {
  auto due = common_.gates.take();
  if (!due) return;
  common_.journal.waits_no_more(due->client, read_as<RequestHead>(due->message).name());
  const std::shared_ptr<Mount> mount = find(due->client);
  if (!mount) return;
  if (due->error != 0) {
    mount->answer_error(due->message, due->error);
  } else {
    mount->serve(due->message, worker);
  }
}

}  // namespace berth::fuse
