// Mount: all that serves one mount: its shared memory, tables, file system and libfuse session.
//
// Made by Share, driven by the reactor's workers: receive() and serve() from any number of threads. Ends when the last
// reference goes; only then is the device closed, so that no late reply can reach another file of the same number.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "broker/base/clock.hpp"
#include "broker/base/survival.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/backing_watch.hpp"
#include "fuse/coherence.hpp"
#include "fuse/file_system.hpp"
#include "fuse/grant.hpp"
#include "fuse/journal.hpp"
#include "fuse/layout.hpp"
#include "fuse/lock_waiters.hpp"
#include "fuse/pace.hpp"
#include "fuse/revocation.hpp"
#include "fuse/ring.hpp"
#include "fuse/session_cache.hpp"
#include "fuse/share.hpp"
#include "fuse/zones/gates.hpp"
#include "fuse/zones/usage.hpp"

struct fuse_session;

namespace berth::fuse {

// What all mounts of a share have in common.
struct Common {
  // Of the daemon's descriptors, so many may be cached, and from this number on they are scarce.
  Common(Survival& s, std::size_t cached_descriptors, int scarce_from, const Share::Options& options)
      : survival(s),
        journal(s, options.fault),
        cache(cached_descriptors, scarce_from),
        hold_no_files(options.hold_no_files),
        gates(options.clock != nullptr ? *options.clock : steady_clock),
        cache_timeout(options.cache_timeout.count()),
        watched_cache_timeout(options.watched_cache_timeout.count()) {}
  // Of threads that serve requests.
  void prepare_thread();

  Survival& survival;
  Journal journal;
  DescriptorCache cache;
  const bool hold_no_files;
  Notifier notifier;
  Coherence coherence{notifier};
  BackingWatch watch{survival, coherence};
  LockWaiters waiters;
  LockTable locks;
  const SteadyClock steady_clock;
  zones::Gates gates;
  const double cache_timeout;  // seconds
  const double watched_cache_timeout;
  Ring ring{[this] { prepare_thread(); }};  // last: its threads use all of the above
};

class Mount final : public Ring::Client, public std::enable_shared_from_this<Mount> {
 public:
  // A new mount served over `device`, with its root open as `root`.
  static Result<std::shared_ptr<Mount>> create(Common& common, MountNumber number, const MountSpec& spec, bool passthrough,
                                               UniqueFd device, UniqueFd root);
  // The mount that a dead daemon served, from its memory. Recovery then takes it through the steps below, after which it is
  // served as ever.
  static Result<std::shared_ptr<Mount>> resume(Common& common, MountNumber number, const std::set<std::string>& regions);
  // Finds out whether an interrupted request was carried out, before any is served.
  void resolve(JournalRecord& record);
  // A FORGET that was read and perhaps not carried out: the kernel has forgotten it itself.
  void finish_forget(JournalRecord& record, std::span<const std::byte> request);
  // Asks the kernel to send again what is unanswered. False where it can't.
  bool ask_again();
  // Answers what had been begun and comes again. Gives back all else that was read on the way.
  std::vector<std::vector<std::byte>> answer_again(std::span<std::byte> buffer);
  // Whether the kernel still waits for the answer to that request. An interrupt that it was sent comes again.
  bool in_flight(std::uint64_t unique);
  // EIO for that request; false where it was answered, or never was.
  bool fail_in_flight(std::uint64_t unique);
  // What an interrupted request opened and counted, of which the kernel will never hear.
  void drop_interrupted(JournalRecord& record);
  static std::string region_name(MountNumber number);

  Mount(Common& common, MountNumber number);
  ~Mount() override;
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;

  MountId id() const;
  MountNumber number() const { return number_; }
  zones::Ends ends() const;
  std::string file_system() const { return header_->file_system.data(); }
  zones::Usage usage(bool take_sizes) { return usage_.read(take_sizes); }
  int device() const { return device_; }

  // One request into `buffer`: its size, 0 where none is waiting, ENODEV where the kernel's side is gone.
  Answer<std::size_t> receive(std::span<std::byte> buffer);
  void serve(std::span<std::byte> request, unsigned worker);
  // The same; `again`: it goes on where the worker of a dead daemon stopped, by the record that it had.
  void serve(std::span<std::byte> request, unsigned worker, bool again);
  void serve_from_ring(std::span<std::byte> request, JournalRecord& record) override;
  void ring_refused(int error) override;
  // True where the request is not to be served now: it has its answer, or waits.
  bool held_back(std::span<const std::byte> request);
  // A message to the kernel: true where it took it.
  bool send(std::span<iovec> message);
  Pace& pace() { return pace_; }
  // Whether requests are to be shown to Common::gates before they are served.
  bool gated() const { return gated_.load(std::memory_order_relaxed); }
  // Makes the kernel ask again for every name.
  void drop_all_names() { cache_->drop_all_names(); }
  // Answers a request that is not served. False where the kernel's side is gone.
  bool answer_error(std::span<const std::byte> request, int error);

  // The mount ends for good: what outlives the daemon goes with the last reference.
  void abandon();
  bool abandoned() const { return abandoned_; }

  // Keeps the mount itself, for as long as it is served.
  Result<> hold(UniqueFd place);
  int place() const { return header_->place - 1; }
  // The number of the mount's own device.
  void set_place_device(std::uint64_t device) { header_->place_device = device; }

  void set_rights(Rights rights);
  // What is open, and what the kernel knows, with rights that the mount no longer has.
  void take_back();
  Share::MountStats stats() const;

  // For ops.cpp.
  FileSystem& files() { return *files_; }
  const Grant& grant() const { return *grant_; }
  Common& common() { return common_; }
  Intent intent();
  // Call just before a reply that tells the kernel of a reference or a handle, or of a change that other mounts were told of.
  void answering();
  // Call after that, where the reply tells the kernel of an inode: false where it must not remember the attributes.
  bool introduces(Ino ino) const { return introductions_->answer(ino); }
  std::uint64_t current_unique() const;
  void note_backing_id(std::int32_t id) { header_->last_backing_id = static_cast<std::uint32_t>(id); }
  // How long the kernel may remember, in seconds.
  double timeout(Trust trust) const;
  double name_timeout(Trust trust) const;
  // Whether the kernel is one whose lists can be told to be old (Listings): 6.16 is more than new enough.
  bool lists_may_be_kept() const { return cache_->drops_all_names(); }
  // Who may search a directory has changed through this mount.
  void access_changed();
  bool passthrough() const { return passthrough_; }
  bool over_ring() const { return over_ring_; }
  // Asked under passthrough_mutex(): an open that began before the rights were lost comes after take_back().
  bool may_pass_through(const OpenRecord& open) const;
  void disable_passthrough() { passthrough_ = false; }
  // `epochs`: the kernel can drop all names at once.
  void connection_ready(bool passthrough, bool epochs);
  std::mutex& passthrough_mutex() { return passthrough_mutex_; }
  InodeKey key_of(Ino ino) const;
  std::uint32_t revision_of(Ino ino) const;
  // Closes the file and, with the inode's last passthrough open, its backing id.
  void close_file(Handle handle);

 private:
  Result<> open_header(bool fresh);
  void carry_out(std::span<std::byte> request, JournalRecord& record);
  bool answered_by_rights(std::span<const std::byte> request);
  bool send_init_reply(std::span<iovec> message);
  Result<> start_session(UniqueFd& device);  // which it takes where it succeeds
  void replay();
  void build(const std::optional<PosixUser>& identity);
  void answer_until_told();
  void recount_opens();
  void forget_names();
  void go_on(JournalRecord& record);
  void forget_all();
  void adopt_place();
  void take_back_files(bool for_writing_only);

  Common& common_;
  const MountNumber number_;
  MountHeader* header_ = nullptr;
  std::optional<Grant> grant_;
  std::optional<Revocation> revocation_;
  std::optional<InodeTable> inodes_;
  std::optional<Introductions> introductions_;
  std::optional<OpenFiles> opens_;
  std::optional<FileSystem> files_;
  struct fuse_session* session_ = nullptr;
  std::shared_ptr<SessionCache> cache_;
  int device_ = -1;                         // the session's
  std::shared_ptr<Ring::Connection> ring_;  // null: over the device only
  std::atomic<bool> over_ring_ = false;     // the kernel has agreed
  std::atomic<bool> ring_open_ = false;     // from the reply to INIT on; before any other request
  std::mutex passthrough_mutex_;            // backing ids: register once, close after the last
  std::atomic<bool> passthrough_ = false;
  std::atomic<bool> abandoned_ = false;
  Pace pace_;
  std::atomic<bool> gated_ = false;  // written by Common::gates
  mutable zones::UsageCounter usage_;
};

}  // namespace berth::fuse
