#include "fuse/backing_watch.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "fuse/backing_kind.hpp"
#include "fuse/grant.hpp"
#include "fuse/resident.hpp"
#include "fuse/stamp.hpp"

namespace berth::fuse {
namespace {

constexpr std::string_view kWatchRegion = "share-watch";
constexpr std::string_view kEventsRegion = "share-watch-events";
constexpr std::size_t kEventBytes = 65536;

constexpr std::uint64_t kNames = FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO;
constexpr std::uint64_t kWrites = FAN_MODIFY | FAN_CLOSE_WRITE;
constexpr std::uint64_t kAll = kNames | FAN_ATTRIB | kWrites | FAN_EVENT_ON_CHILD | FAN_ONDIR;

// The share's own operations are events too: none of them wakes the reader sooner than this after it has read.
constexpr int kPauseMilliseconds = 20;

bool reports_all_changes(int directory, DiskId& id) {
  struct statfs about{};
  if (fstatfs(directory, &about) != 0) return false;
  std::memcpy(id.data(), &about.f_fsid, sizeof(id));
  const auto kind = BackingKind::of(directory);
  return kind && kind->reports_all_changes();
}

bool is_fanotify(int fd) {
  std::ifstream about(fmt::format("/proc/self/fdinfo/{}", fd));
  for (std::string line; std::getline(about, line);) {
    if (line.starts_with("fanotify ")) return true;
  }
  return false;
}

std::string path_of(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

}  // namespace

// In Survival. Zero: none.
struct BackingWatch::Memory {
  std::int32_t group;  // + 1
  std::array<std::int32_t, 32> threads;
};

BackingWatch::~BackingWatch() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  if (!group_) return;
  eventfd_write(wake_.get(), 1);
  if (reader_.joinable()) reader_.join();
  survival_.forget(group_.get());
  survival_.remove_region(kWatchRegion);
  survival_.remove_region(kEventsRegion);
}

Result<> BackingWatch::start() {
  wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_) return fail_errno(errno, "eventfd");
  auto bytes = survival_.region(kWatchRegion, sizeof(Memory));
  if (!bytes) return fail(bytes.error());
  auto events = survival_.region(kEventsRegion, kEventBytes);
  if (!events) return fail(events.error());
  events_ = *events;
  memory_ = reinterpret_cast<Memory*>(bytes->data());
  former_threads_.insert(memory_->threads.begin(), memory_->threads.end());
  former_threads_.erase(0);
  memory_->threads.fill(0);
  adopted_ = memory_->group > 0 && adopt(memory_->group - 1);
  if (!adopted_) {
    constexpr unsigned kGroup = FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS |
                                FAN_REPORT_DFID_NAME_TARGET | FAN_REPORT_TID;
    memory_->group = 0;
    std::ranges::fill(events_, std::byte{0});
    group_.reset(fanotify_init(kGroup, O_RDONLY | O_CLOEXEC));
    if (!group_) return fail(Code::unavailable, "fanotify_init: {}", std::strerror(errno));
    memory_->group = group_.get() + 1;  // first: what is kept has a name
    survival_.keep(group_.get());
    listen();
  }
  return {};
}

void BackingWatch::listen() {
  if (group_ && !reader_.joinable()) reader_ = std::thread([this] { run(); });
}

bool BackingWatch::adopt(int group) {
  if (!survival_.survived(group) || !is_fanotify(group)) return false;
  group_.reset(group);
  return true;
}

void BackingWatch::pass_over_thread() {
  const std::scoped_lock lock(mutex_);
  own_threads_.insert(gettid());
  if (memory_ == nullptr) return;
  const auto free = std::ranges::find(memory_->threads, 0);
  if (free != memory_->threads.end()) *free = gettid();
}

// After events were read: they have not come from threads that were not passed over yet.
void BackingWatch::look_who_is_passed_over() {
  const std::scoped_lock lock(mutex_);
  passed_over_.assign(own_threads_.begin(), own_threads_.end());
  passed_over_.insert(passed_over_.end(), former_threads_.begin(), former_threads_.end());
}

// Under the lock. Null where not all of its changes are reported.
BackingWatch::FileSystem* BackingWatch::file_system(std::uint64_t device, int directory) {
  if (const auto found = file_systems_.find(device); found != file_systems_.end()) return &found->second;
  if (unreported_.contains(device)) return nullptr;
  FileSystem fresh;
  if (!reports_all_changes(directory, fresh.id)) return unreported_.insert(device), nullptr;
  UniqueFd any(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!any) return nullptr;
  fresh.directory = std::make_shared<const UniqueFd>(std::move(any));
  return &file_systems_.emplace(device, std::move(fresh)).first->second;
}

// Under the lock.
void BackingWatch::want(const InodeKey& key, FileSystem& of) {
  if (watched_[key]++ == 0) ++of.watched;
}

// Under the lock. True where nobody wants it any more.
bool BackingWatch::want_no_more(const InodeKey& key) {
  const auto found = watched_.find(key);
  if (found == watched_.end() || --found->second > 0) return false;
  watched_.erase(found);
  const auto of = file_systems_.find(key.device);
  if (of != file_systems_.end() && --of->second.watched == 0) file_systems_.erase(of);  // else it could never be unmounted
  return true;
}

bool BackingWatch::watch(Node& node, const InodeKey& key, int directory) {
  if (!group_) return false;
  {
    const std::scoped_lock lock(mutex_);
    if (node.watched()) return true;
    if (watched_.size() >= kDirectoriesMax) return false;
    FileSystem* of = file_system(key.device, directory);
    if (of == nullptr) return false;
    want(key, *of);  // from now on nobody takes the mark away
  }
  const bool marked = fanotify_mark(group_.get(), FAN_MARK_ADD | FAN_MARK_ONLYDIR, kAll, directory, ".") == 0;
  const std::scoped_lock lock(mutex_);
  if (!marked || node.watched()) return want_no_more(key), marked;
  node.set_watched();
  return true;
}

bool BackingWatch::watched_before(Node& node, const InodeKey& key, int directory) {
  if (!adopted_) return false;
  const std::scoped_lock lock(mutex_);
  if (node.watched()) return true;
  FileSystem* of = file_system(key.device, directory);
  if (of == nullptr) return false;
  want(key, *of);
  node.set_watched();
  return true;
}

void BackingWatch::unwatch(const InodeKey& key, const FileHandle& handle) {
  const std::scoped_lock lock(mutex_);
  unwanted_.push_back({key, handle});
  if (asleep_) eventfd_write(wake_.get(), 1);
  asleep_ = false;
}

void BackingWatch::remove_unwanted() {
  std::vector<Unwanted> unwanted;
  {
    const std::scoped_lock lock(mutex_);
    unwanted.swap(unwanted_);
  }
  for (const Unwanted& one : unwanted) release(one.key, one.handle);
}

void BackingWatch::release(const InodeKey& key, const FileHandle& handle) {
  Descriptor any;
  {
    const std::scoped_lock lock(mutex_);
    if (const auto of = file_systems_.find(key.device); of != file_systems_.end()) any = of->second.directory;
  }
  // A directory that is gone has taken its mark along.
  const UniqueFd directory = any ? open_by_handle(any->get(), handle, O_PATH | O_DIRECTORY | O_CLOEXEC) : UniqueFd();
  const std::scoped_lock lock(mutex_);
  if (want_no_more(key) && directory) fanotify_mark(group_.get(), FAN_MARK_REMOVE, kAll, directory.get(), ".");
}

void BackingWatch::heed(Node& node, int file) {
  fanotify_mark(group_.get(), FAN_MARK_REMOVE | FAN_MARK_IGNORE_SURV, kWrites, AT_FDCWD, path_of(file).c_str());
  node.set_unheard(false);
}

void BackingWatch::run() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);  // signals are the daemon's other threads' business
  make_resident(events_);
  handle_events(events_);  // what the dead daemon had read
  while (true) {
    std::array<struct pollfd, 2> sources{{{wake_.get(), POLLIN, 0}, {group_.get(), POLLIN, 0}}};
    if (may_sleep()) poll(sources.data(), sources.size(), -1);
    eventfd_t ignored = 0;
    eventfd_read(wake_.get(), &ignored);
    if (!awake()) return;
    remove_unwanted();
    while (read_events()) {
    }
    forget_former_threads();
    poll(sources.data(), 1, kPauseMilliseconds);
  }
}

bool BackingWatch::may_sleep() {
  const std::scoped_lock lock(mutex_);
  asleep_ = unwanted_.empty() && !stopping_;
  return asleep_;
}

// False: it is to end.
bool BackingWatch::awake() {
  const std::scoped_lock lock(mutex_);
  asleep_ = false;
  return !stopping_;
}

// Their numbers may become other threads'.
void BackingWatch::forget_former_threads() {
  const std::scoped_lock lock(mutex_);
  former_threads_.clear();
}

// False where there are no more.
bool BackingWatch::read_events() {
  const ssize_t size = read(group_.get(), events_.data(), events_.size());
  if (size <= 0) return false;
  handle_events(events_.first(static_cast<std::size_t>(size)));
  return true;
}

// A successor that finds them tells all of them again, which does no harm.
void BackingWatch::handle_events(std::span<std::byte> events) {
  look_who_is_passed_over();
  each_backing_event(events, [this](const BackingEvent& event) { handle(event); });
  std::ranges::fill(events, std::byte{0});
}

Descriptor BackingWatch::any_of(const DiskId& id) {
  const std::scoped_lock lock(mutex_);
  const auto of = std::ranges::find_if(file_systems_, [&](const auto& known) { return known.second.id == id; });
  return of == file_systems_.end() ? nullptr : of->second.directory;
}

std::optional<BackingWatch::Seen> BackingWatch::look(const DiskId& id, const FileHandle& handle) {
  const Descriptor any = any_of(id);
  if (!any) return std::nullopt;
  Seen seen{open_by_handle(any->get(), handle, O_PATH | O_CLOEXEC), {}};
  if (!seen.fd || fstatat(seen.fd.get(), "", &seen.attributes, AT_EMPTY_PATH) != 0) return std::nullopt;
  return seen;
}

void BackingWatch::handle(const BackingEvent& event) {
  if (!event.directory || std::ranges::find(passed_over_, event.thread) != passed_over_.end()) return;
  const bool itself = event.name.empty() || event.name == ".";
  if ((event.mask & kNames) != 0 && !itself) {
    if (const auto directory = look(event.file_system, *event.directory))
      coherence_.name_changed_past(directory->key(), event.name);
  }
  const FileHandle& inode = event.inode ? *event.inode : *event.directory;
  if (const auto seen = look(event.file_system, inode)) inode_changed(event, *seen);
}

void BackingWatch::inode_changed(const BackingEvent& event, const Seen& seen) {
  if ((event.mask & (FAN_DELETE | FAN_MOVED_FROM)) != 0) coherence_.left_view(seen.key());
  if ((event.mask & (FAN_MOVED_FROM | FAN_MOVED_TO)) != 0 && S_ISDIR(seen.attributes.st_mode)) coherence_.directory_moves();
  // The first write through passthrough, or one past the share to a file that is open in it: from now on this file's kernels ask.
  if ((event.mask & FAN_MODIFY) != 0 && S_ISREG(seen.attributes.st_mode) && coherence_.stop_hearing(seen.key())) {
    fanotify_mark(group_.get(), FAN_MARK_ADD | FAN_MARK_IGNORE_SURV | FAN_MARK_EVICTABLE, kWrites, AT_FDCWD,
                  path_of(seen.fd.get()).c_str());
  }
  coherence_.attributes_changed_past(seen.key(), stamp_of(seen.attributes));
  const bool closed = S_ISDIR(seen.attributes.st_mode) && !everybody_may_search(seen.attributes.st_mode);
  if ((event.mask & FAN_ATTRIB) != 0 && closed) coherence_.access_changed_past(seen.key());
}

}  // namespace berth::fuse
