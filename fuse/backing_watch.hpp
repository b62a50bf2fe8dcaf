// BackingWatch: hears of changes made in backing directories past the share, by fanotify(7), and tells Coherence.
//
// Every directory that a mount's kernel knows is marked. What the share's own threads do is passed over; what programs write
// through passthrough is told from others' writes by the attributes that came of it (Stamp), and is not listened to while a
// file is open for writing. The group outlives the daemon with its marks, and so does what was read of it: nothing is missed over
// a crash.
//
// Thread-safe. A thread of its own reads; it looks after the first event at once and then only now and then.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "broker/base/survival.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/backing_events.hpp"
#include "fuse/coherence.hpp"
#include "fuse/descriptor_cache.hpp"
#include "fuse/file_handle.hpp"

namespace berth::fuse {

class BackingWatch {
 public:
  BackingWatch(Survival& survival, Coherence& coherence) : survival_(survival), coherence_(coherence) {}
  BackingWatch(const BackingWatch&) = delete;
  BackingWatch& operator=(const BackingWatch&) = delete;
  ~BackingWatch();

  // Takes up a dead daemon's group, or makes one. Code::unavailable where the kernel can't (before 5.17); nothing is watched
  // then.
  Result<> start();
  // Once a dead daemon's mounts are served again: tells what was heard since. Without one, start() does.
  void listen();

  // What the calling thread changes from now on is told to Coherence by itself.
  void pass_over_thread();

  // From when it returns true, all changes of the directory and of what has a name in it are heard of, as long as its node lives.
  // `directory`: a descriptor, O_PATH will do, of `key`. As the daemon: the caller's identity may not be allowed to read it.
  // False where its file system reports only this machine's changes, or there are too many.
  bool watch(Node& node, const InodeKey& key, int directory);
  // After a crash: the dead daemon watched it. False where it did not.
  bool watched_before(Node& node, const InodeKey& key, int directory);
  // A watched node has died.
  void unwatch(const InodeKey& key, const FileHandle& handle);
  // Nobody has the file, open as `file`, open for writing through the share any more.
  void heed(Node& node, int file);

 private:
  static constexpr std::size_t kDirectoriesMax = 32768;  // each keeps its inode in the kernel's memory

  struct FileSystem {
    DiskId id{};
    Descriptor directory;  // any of it
    std::size_t watched = 0;
  };
  struct Unwanted {
    InodeKey key;
    FileHandle handle;
  };
  struct Seen {
    UniqueFd fd;
    struct stat attributes{};
    InodeKey key() const { return {attributes.st_dev, attributes.st_ino}; }
  };

  struct Memory;

  bool adopt(int group);
  FileSystem* file_system(std::uint64_t device, int directory);
  void want(const InodeKey& key, FileSystem& of);
  bool want_no_more(const InodeKey& key);
  void run();
  void handle_events(std::span<std::byte> events);
  bool may_sleep();
  bool awake();
  void remove_unwanted();
  void release(const InodeKey& key, const FileHandle& handle);
  void forget_former_threads();
  bool read_events();
  void handle(const BackingEvent& event);
  void inode_changed(const BackingEvent& event, const Seen& seen);
  void look_who_is_passed_over();
  Descriptor any_of(const DiskId& id);
  std::optional<Seen> look(const DiskId& id, const FileHandle& handle);

  Survival& survival_;
  Coherence& coherence_;
  UniqueFd group_;
  UniqueFd wake_;
  Memory* memory_ = nullptr;
  std::span<std::byte> events_;  // in Survival: read, not all told yet; then zeroes
  bool adopted_ = false;
  std::mutex mutex_;
  std::map<std::uint64_t, FileSystem> file_systems_;              // by st_dev
  std::set<std::uint64_t> unreported_;                            // devices of which not all changes are: asked once
  std::unordered_map<InodeKey, unsigned, InodeKeyHash> watched_;  // how many nodes, dying ones too, want the mark
  std::vector<Unwanted> unwanted_;
  std::set<pid_t> own_threads_;
  std::set<pid_t> former_threads_;  // the dead daemon's, whose last events are still to be read
  std::vector<pid_t> passed_over_;  // the reader's own copy of both
  bool asleep_ = false;             // the reader, until something happens; else it looks by itself soon
  bool stopping_ = false;
  std::thread reader_;
};

}  // namespace berth::fuse
