#include "fuse/reactor.hpp"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "fuse/resident.hpp"
#include "fuse/standby.hpp"
#include "fuse/wire.hpp"

namespace berth::fuse {
namespace {

constexpr std::uint64_t kStop = ~std::uint64_t{0};
constexpr std::uint64_t kTimer = kStop - 1;
// A lock let go past the share (in the backing directory) is noticed this late.
constexpr std::chrono::milliseconds kLockRetry{250};
constexpr std::chrono::milliseconds kForever{-1};
// After so many requests in a row other mounts have their turn.
constexpr unsigned kTurnRequests = 64;
// So many in a row that nobody had to wait for: more come than one worker serves.
constexpr unsigned kBacklog = 2;

}  // namespace

// One worker: what it does, and what it has at the moment.
class Reactor::Worker final : public Standby {
 public:
  Worker(Reactor& reactor, unsigned number, std::span<std::byte> buffer)
      : reactor_(reactor), common_(reactor.common_), number_(number), buffer_(buffer), at_post_(reactor.at_post_[number]) {}

  void run();

 private:
  void call() override;
  bool come_to_post();
  std::uint64_t look();
  void turn(MountNumber number);
  bool may_go_on(MountNumber number) const;
  Answer<std::size_t> stay(Mount& mount);
  void serve(Mount& mount, std::span<std::byte> request);
  void serve_due();
  Answer<std::size_t> next(Mount& mount);

  Reactor& reactor_;
  Common& common_;
  const unsigned number_;
  const std::span<std::byte> buffer_;
  std::atomic<bool>& at_post_;
  Clock::time_point now_;  // when it last looked, which was not long ago
  unsigned backlog_ = 0;   // requests in a row that were there already
};

Reactor::Reactor(Common& common, std::chrono::nanoseconds linger, std::function<void(MountNumber)> gone)
    : common_(common),
      gone_(std::move(gone)),
      // With one processor whoever sends the next request could not run meanwhile.
      linger_longest_(std::thread::hardware_concurrency() > 1 ? linger : std::chrono::nanoseconds(0)),
      vigil_(linger_longest_.count() > 0 ? processors_awake() : nullptr),
      watch_([this](unsigned worker, MountNumber number) { stuck(worker, number); }) {}

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
  // With as many as there are processors none goes idle while requests wait, and waking whom they answer is cheap: on a busy
  // processor it is put in a queue, an idle one has to be interrupted.
  most_ = std::clamp(std::thread::hardware_concurrency(), 1U, workers);
  for (unsigned worker = 0; worker < workers; ++worker) {
    auto buffer = common_.journal.buffer(worker);
    if (!buffer) return fail(buffer.error());
    threads_.emplace_back([this, worker, memory = *buffer] { Worker(*this, worker, memory).run(); });
  }
  watch_.start();
  return {};
}

void Reactor::stop() {
  watch_.stop();
  stopping_ = true;
  if (!threads_.empty()) eventfd_write(stop_.get(), 1);
  threads_.clear();
}

Result<> Reactor::add(std::shared_ptr<Mount> mount) {
  struct epoll_event event{};
  event.events = EPOLLIN;
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

std::optional<std::uint64_t> Reactor::look(int milliseconds) {
  struct epoll_event event{};
  if (epoll_wait(epoll_.get(), &event, 1, milliseconds) <= 0) return std::nullopt;
  return std::uint64_t{event.data.u64};
}

// For the moment that is worth it.
std::optional<std::uint64_t> Reactor::look_on() {
  auto now = Clock::now();
  const auto begun = now;
  const auto window = linger_.window(begun);
  if (window.count() == 0) return std::nullopt;
  do {
    if (auto event = look(0)) return event;
    const auto before = Clock::now();
    sched_yield();  // whoever is to send the next one may be waiting for this processor
    now = Clock::now();
    linger_.gave_way(before, now);
  } while (now - begun < window);
  return std::nullopt;
}

// A worker does not come on: another one to its place at the epoll.
void Reactor::stuck(unsigned worker, MountNumber number) {
  if (at_post_[worker].exchange(false)) post_.leave();
  if (const std::shared_ptr<Mount> mount = find(number)) mount->pace().stuck();
}

void Reactor::Worker::run() {
  common_.prepare_thread();
  bool ready = false;
  while (come_to_post()) {
    if (!std::exchange(ready, true)) make_resident(buffer_);
    const std::uint64_t event = look();
    if (event == kStop) break;
    if (event == kTimer) {
      serve_due();
    } else {
      turn(static_cast<MountNumber>(event));
    }
  }
  reactor_.post_.close();
}

// False: it is closed.
bool Reactor::Worker::come_to_post() {
  while (!at_post_) {
    const auto taken = common_.waiters.empty() ? reactor_.post_.take() : reactor_.post_.take(kLockRetry);
    if (taken == Post::Taken::closed) return false;
    if (taken == Post::Taken::no) common_.waiters.wake_all();
    at_post_ = taken == Post::Taken::yes;
  }
  return true;
}

// What is under way here may take long.
void Reactor::Worker::call() {
  if (at_post_.exchange(false)) reactor_.post_.leave();
}

std::uint64_t Reactor::Worker::look() {
  const bool lingers = reactor_.linger_longest_.count() > 0;
  Vigil& vigil = reactor_.vigil_;
  const auto begun = Clock::now();
  if (lingers) {
    if (const auto event = reactor_.look_on()) {
      vigil.came_after({});
      return *event;
    }
    reactor_.linger_.slept(Clock::now());
  }
  while (true) {
    const bool kept = vigil.kept();
    const auto patience = kept ? Vigil::kPatience : common_.waiters.empty() ? kForever : kLockRetry;
    const auto event = reactor_.look(static_cast<int>(patience.count()));
    const auto now = Clock::now();
    if (event) {
      if (lingers) reactor_.linger_.woken(now, reactor_.linger_longest_);
      vigil.came_after(now - begun);
      return *event;
    }
    if (kept) {
      vigil.none_came(now);
    } else {
      common_.waiters.wake_all();
    }
  }
}

void Reactor::Worker::turn(MountNumber number) {
  const std::shared_ptr<Mount> mount = reactor_.find(number);
  if (!mount) return;
  ++reactor_.serving_;
  auto size = next(*mount);
  now_ = Clock::now();
  for (unsigned served = 0; size && *size > 0;) {
    if (mount->pace().slow() || (backlog_ >= kBacklog && reactor_.serving_ < reactor_.most_)) call();
    serve(*mount, buffer_.first(*size));
    if (++served % kTurnRequests == 0 && !may_go_on(number)) break;
    size = next(*mount);
    backlog_ = size && *size > 0 ? backlog_ + 1 : 0;
    if (size && *size == 0) size = stay(*mount);
  }
  --reactor_.serving_;
  if (size) return;
  call();
  reactor_.gone_(number);
}

// As long as another one looks after all mounts: where all were given up for a time, nobody may.
bool Reactor::Worker::may_go_on(MountNumber number) const {
  return !at_post_ && reactor_.post_.taken() && !reactor_.stopping_ && reactor_.find(number) != nullptr;
}

// Nothing more is there. Those whom this worker has answered may be waiting for its processor, to send the next one: it looks
// once more after them; without the post, as long as the next ones tend to come.
Answer<std::size_t> Reactor::Worker::stay(Mount& mount) {
  const auto begun = now_;
  const auto window = reactor_.linger_.window(begun);
  Answer<std::size_t> size = 0;
  if (window.count() == 0) return size;
  do {
    const auto before = now_;
    sched_yield();
    now_ = Clock::now();
    reactor_.linger_.gave_way(before, now_);
    size = next(mount);
  } while (size && *size == 0 && !at_post_ && reactor_.post_.taken() && now_ - begun < window);
  return size;
}

void Reactor::Worker::serve(Mount& mount, std::span<std::byte> request) {
  reactor_.watch_.begin(number_, mount.number());
  const auto begun = now_;
  reactor_.serve(mount, request, number_);
  now_ = Clock::now();
  mount.pace().served(now_ - begun);
  reactor_.vigil_.served(now_);
  reactor_.watch_.end(number_);
}

Answer<std::size_t> Reactor::Worker::next(Mount& mount) {
  common_.journal.about_to_read(number_, mount.number(), buffer_);
  return mount.receive(buffer_);
}

// A request that was parked and whose time has come, if any.
void Reactor::Worker::serve_due() {
  auto due = common_.gates.take();
  if (!due) return;
  common_.journal.waits_no_more(due->client, read_as<RequestHead>(due->message).name());
  const std::shared_ptr<Mount> mount = reactor_.find(due->client);
  if (!mount) return;
  call();
  if (due->error != 0) {
    mount->answer_error(due->message, due->error);
  } else {
    mount->serve(due->message, number_);
  }
}

bool Reactor::serve(Mount& mount, std::span<std::byte> request, unsigned worker) {
  if (mount.gated() && mount.held_back(request)) return false;
  mount.serve(request, worker);
  return true;
}

}  // namespace berth::fuse
