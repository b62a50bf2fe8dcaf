#include "fuse/inode_table.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "fuse/backing_kind.hpp"
#include "fuse/backing_name.hpp"
#include "fuse/backing_watch.hpp"
#include "fuse/journal.hpp"
#include "fuse/standby.hpp"

namespace berth::fuse {
namespace {

FileHandle handle_of(const InodeRecord& record) { return {record.handle_type, record.handle_size, record.handle}; }

// Some megabytes.
constexpr std::uint32_t kWorthGivingBack = 65'536;

}  // namespace

InodeTable::InodeTable(Survival& survival, const std::string& prefix, MountNumber mount, DescriptorCache& cache,
                       Coherence& coherence, BackingWatch* watch, CountIntent* counting, std::span<JournalRecord> records,
                       std::atomic<std::uint32_t>* generation_floor)
    : survival_(survival),
      mount_(mount),
      cache_(cache),
      coherence_(coherence),
      watch_(watch),
      counting_(counting),
      records_(records),
      generation_floor_(generation_floor == nullptr ? own_generation_floor_ : *generation_floor),
      slots_(survival, prefix + "/inodes") {}

InodeTable::~InodeTable() {
  cache_.drop_mount(mount_);
  unknow_all();
}

void InodeTable::unknow_all() {
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (nodes_.at(slot) != nullptr) unknow(slot, *slots_.at(slot));
  }
}

void InodeTable::unknow(std::uint32_t slot, const InodeRecord& record) {
  Node& node = *std::exchange(nodes_.at(slot), nullptr);
  if (!coherence_.unknow(node, mount_, ino_of(slot, record)) || watch_ == nullptr) return;
  watch_->unwatch({record.device, record.number}, handle_of(record));
}

bool InodeTable::watch(Ino directory) {
  Node* known = node(directory);
  if (watch_ == nullptr || known == nullptr || known->watched()) return false;
  const InodeRecord* of = record(directory);
  const auto inode = reach(directory);
  return of != nullptr && of->handle_size != 0 && inode && watch_->watch(*known, {of->device, of->number}, inode->fd());
}

void InodeTable::heed(Node& node, int file) {
  if (watch_ != nullptr) watch_->heed(node, file);
}

Ino InodeTable::ino_of(std::uint32_t slot, const InodeRecord& record) {
  return (std::uint64_t{record.generation} << 32U) | (slot + 1U);
}

Result<> InodeTable::create(UniqueFd root) {
  struct stat attributes{};
  if (fstat(root.get(), &attributes) != 0) return fail_errno(errno, "root directory of the mount");
  if (auto grown = grow(); !grown) return grown;
  for (std::uint32_t slot = slots_.size(); slot-- > 1;) free_.push_back(slot);
  InodeRecord& record = *slots_.at(0);
  record.type = attributes.st_mode & S_IFMT;
  record.device = attributes.st_dev;
  record.number = attributes.st_ino;
  hold(record, std::move(root));
  record.lookups = 1;
  index_[key_of(attributes)] = 0;
  used_ = 1;
  blocks_.take(0);
  nodes_.at(0) = &coherence_.know(key_of(attributes), mount_, kRootIno);
  if (auto opened = open_mount_point(); !opened) return opened;
  watch(kRootIno);
  return {};
}

Result<> InodeTable::grow() {
  auto grown = slots_.grow();
  nodes_.grow_to(slots_.size());
  return grown;
}

Result<> InodeTable::adopt(const std::set<std::string>& regions) {
  if (auto adopted = slots_.adopt(regions); !adopted) return adopted;
  nodes_.grow_to(slots_.size());
  if (slots_.size() == 0 || slots_.at(0)->lookups == 0) return fail(Code::internal, "inode table has no root");
  undo_count();
  if (auto opened = open_mount_point(); !opened) return opened;
  for (std::uint32_t slot = slots_.size(); slot-- > 0;) {
    InodeRecord& record = *slots_.at(slot);
    drop_lost(record);
    if (record.lookups == 0) {
      if (record.number != 0) ++record.generation;  // it may have been on its way out
      free_.push_back(slot);
      continue;
    }
    const InodeKey key{record.device, record.number};
    const auto [at, fresh] = index_.try_emplace(key, slot);
    if (!fresh && !opens(*slots_.at(at->second))) at->second = slot;  // one of them was deleted, and its number used again
    Node& node = coherence_.know(key, mount_, ino_of(slot, record));
    nodes_.at(slot) = &node;
    if (watch_ != nullptr && record.type == S_IFDIR && record.handle_size != 0)
      watch_->watched_before(node, key, mount_point_.get());
    ++used_;
    blocks_.take(slot);
  }
  watch(kRootIno);
  return {};
}

bool InodeTable::opens(const InodeRecord& record) const {
  if (record.held != 0) return true;
  return static_cast<bool>(open_by_handle(mount_point_.get(), handle_of(record), O_PATH | O_CLOEXEC));
}

// What the dead daemon was about to count did not happen: it will be done again.
void InodeTable::undo_count() {
  if (counting_ == nullptr) return;
  const Ino ino = counting_->ino;
  const auto slot = static_cast<std::uint32_t>(ino) - 1U;
  if (ino == 0 || slot >= slots_.size()) return;
  InodeRecord& record = *slots_.at(slot);
  const bool gone = record.generation != ino >> 32U;  // a FORGET that came to its end
  if (!gone) record.lookups = counting_->lookups_before;
  if (counting_->record != 0 && counting_->record <= records_.size()) {
    JournalRecord& request = records_[counting_->record - 1];
    request.forgotten = counting_->forgotten_before + (gone ? 1 : 0);
    request.retained_count = counting_->retained_before;
  }
  counting_->ino = 0;
}

// A held descriptor that was not kept yet, or not any more, has been closed by the keeper; one of a free record is nobody's.
void InodeTable::drop_lost(InodeRecord& record) {
  const int held = record.held;
  if (held == 0 || (record.lookups != 0 && survival_.survived(held - 1))) return;
  if (survival_.survived(held - 1)) {
    survival_.forget(held - 1);
    close(held - 1);
  }
  record.held = 0;
}

void InodeTable::begin_count(Ino ino, std::uint64_t lookups) {
  if (counting_ == nullptr) return;
  const JournalRecord* request = Journal::current();
  counting_->lookups_before = lookups;
  counting_->record = request == nullptr ? 0 : static_cast<std::uint32_t>(request - records_.data()) + 1;
  counting_->forgotten_before = request == nullptr ? 0 : request->forgotten;
  counting_->retained_before = request == nullptr ? 0 : request->retained_count;
  counting_->ino = ino;
}

void InodeTable::end_count() {
  if (counting_ != nullptr) counting_->ino = 0;
}

void InodeTable::retained(Ino ino) {
  JournalRecord* request = counting_ == nullptr ? nullptr : Journal::current();
  if (request == nullptr || request->retained_count == JournalRecord::kRetainedMax) return;
  request->retained[request->retained_count] = ino;
  ++request->retained_count;
}

// Through the root's own descriptor: the path may have been renamed meanwhile.
Result<> InodeTable::open_mount_point() {
  InodeRecord& root = *slots_.at(0);
  const int root_fd = root.held - 1;
  device_ = root.device;
  mount_point_.reset(openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!mount_point_) return fail_errno(errno, "root directory of the mount");
  FileHandle handle;
  const auto kind = BackingKind::of(root_fd);
  handles_work_ = kind && kind->keeps_handles() && fuse::describe(root_fd, handle) &&
                  open_by_handle(mount_point_.get(), handle, O_PATH | O_CLOEXEC);
  keeps_numbers_ = !handles_work_ || kind->keeps_numbers();
  if (!handles_work_) return holds_no_files_ = false, Result<>{};
  if (kind->renames_held_files()) holds_no_files_ = true;
  root.handle_type = handle.type;
  root.handle_size = handle.size;
  root.handle = handle.bytes;
  return {};
}

void InodeTable::remove() {
  const std::scoped_lock lock(mutex_);
  unknow_all();
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    InodeRecord& record = *slots_.at(slot);
    if (const int held = record.held.exchange(0); held > 0) {
      survival_.forget(held - 1);
      close(held - 1);
    }
  }
  slots_.remove();
  index_.clear();
  free_.clear();
  blocks_.clear();
  used_ = 0;
}

bool InodeTable::describe(int fd, const struct stat& attributes, FileHandle& handle) const {
  return handles_work_ && attributes.st_dev == device_ && fuse::describe(fd, handle);
}

// A held record pins its inode: no other can have its number.
bool InodeTable::same(const InodeRecord& record, const FileHandle& handle) {
  return record.handle_size == 0 || handle_of(record) == handle;
}

void InodeTable::hold(InodeRecord& record, UniqueFd fd) {
  const int number = fd.release();
  record.held = number + 1;  // first: what is kept has a name
  survival_.keep(number);
}

InodeRecord* InodeTable::free_slot(std::uint32_t& slot) {
  if (free_.empty()) {
    const std::uint32_t before = slots_.size();
    if (!grow()) return nullptr;
    for (std::uint32_t i = slots_.size(); i-- > before;) free_.push_back(i);
  }
  slot = free_.back();
  free_.pop_back();
  InodeRecord* record = slots_.at(slot);
  record->generation = std::max(record->generation, generation_floor_.load());
  return record;
}

Answer<Ino> InodeTable::retain(UniqueFd fd, struct stat& attributes) {
  FileHandle handle;
  const bool has_handle = describe(fd.get(), attributes, handle);
  auto ino = retain_described(fd.get(), has_handle ? &handle : nullptr, attributes);
  if (ino && has_handle && may_hold(attributes.st_mode))
    cache_.put(mount_, *ino, std::make_shared<const UniqueFd>(std::move(fd)));
  return ino;
}

Answer<Ino> InodeTable::retain_open(int fd, struct stat& attributes) {
  FileHandle handle;
  const bool has_handle = describe(fd, attributes, handle);
  if (has_handle) return retain_described(fd, &handle, attributes);
  UniqueFd path_fd(openat(AT_FDCWD, fmt::format("/proc/self/fd/{}", fd).c_str(), O_PATH | O_CLOEXEC));
  if (!path_fd) return refuse_last();
  return retain_described(path_fd.get(), nullptr, attributes);
}

Answer<Ino> InodeTable::retain_described(int fd, const FileHandle* handle, struct stat& attributes) {
  bool fresh = false;
  const auto ino = count_described(fd, handle, attributes, fresh);
  if (ino ? fresh && handle == nullptr && descriptors_scarce() : ino.error() == Errno{EMFILE}) thin();
  if (ino && fresh && fstatat(fd, "", &attributes, AT_EMPTY_PATH) != 0) return unretain(*ino), refuse_last();
  return ino;
}

Ino InodeTable::retain_named(int directory, const char* name, struct stat& attributes) {
  FileHandle handle;
  if (!handles_work_ || attributes.st_dev != device_ || attributes.st_nlink == 0) return 0;
  if (!fuse::describe(directory, name, handle) || !handle.tells(attributes.st_ino)) return 0;
  bool fresh = false;
  const auto ino = count_described(-1, &handle, attributes, fresh);
  if (!ino || !fresh) return ino.value_or(0);
  struct stat now{};
  const bool still = fstatat(directory, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && key_of(now) == key_of(attributes) &&
                     (now.st_mode & S_IFMT) == (attributes.st_mode & S_IFMT) && now.st_nlink != 0;
  if (!still) return unretain(*ino), 0;
  attributes = now;
  return *ino;
}

// `fresh`: the mount gets to know it by this.
Answer<Ino> InodeTable::count_described(int fd, const FileHandle* handle, const struct stat& attributes, bool& fresh) {
  Ino ino = 0;
  const std::scoped_lock lock(mutex_);
  if (const auto found = index_.find(key_of(attributes)); found != index_.end()) {
    InodeRecord& known = *slots_.at(found->second);
    if (handle == nullptr ? known.handle_size == 0 : same(known, *handle)) {
      ino = ino_of(found->second, known);
      begin_count(ino, known.lookups);
      ++known.lookups;
      retained(ino);
      end_count();
      return ino;
    }
  }
  std::uint32_t slot = 0;
  InodeRecord* record = free_slot(slot);
  if (record == nullptr) return refuse(ENFILE);
  record->type = attributes.st_mode & S_IFMT;
  record->device = attributes.st_dev;
  record->number = attributes.st_ino;
  const FileHandle none;
  const FileHandle& written = handle == nullptr ? none : *handle;
  record->handle_type = written.type;
  record->handle_size = written.size;
  record->handle = written.bytes;
  record->backing_id = 0;
  record->passthrough_opens = 0;
  record->plain_opens = 0;
  record->answered = 0;
  // A nameless file (O_TMPFILE) has no handle that would find it again.
  if (handle == nullptr || attributes.st_nlink == 0) {
    UniqueFd held(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!handles_work_) scarce_ = !held || cache_.scarce(held.get());
    const bool known_by_name_alone = handle == nullptr && attributes.st_nlink != 0;
    if (!held || (known_by_name_alone && cache_.very_scarce(held.get()))) return free_.push_back(slot), refuse(EMFILE);
    hold(*record, std::move(held));
  }
  ino = ino_of(slot, *record);
  begin_count(ino, 0);
  record->lookups = 1;
  retained(ino);
  end_count();
  index_[key_of(attributes)] = slot;
  ++used_;
  blocks_.take(slot);
  nodes_.at(slot) = &coherence_.know(key_of(attributes), mount_, ino);
  fresh = true;
  return ino;
}

void InodeTable::thin() {
  constexpr std::size_t kSome = 64;
  constexpr std::size_t kFew = 8;  // each costs several calls, and a wait
  const std::vector<Ino> some = some_held(kSome);
  if (some.empty() || coherence_.prune(mount_, some)) return;
  const int root = slots_.at(0)->held - 1;
  for (std::size_t i = 0; i < std::min(some.size(), kFew); ++i) {
    // Its own: the kernel may forget it meanwhile.
    const UniqueFd file = own_descriptor(some[i]);
    const auto named = file ? name_below(root, file.get()) : std::nullopt;
    struct stat attributes{};
    if (!named || fstatat(named->directory.get(), "", &attributes, AT_EMPTY_PATH) != 0) continue;
    if (const Ino directory = find(attributes); directory != 0) coherence_.forget_soon(mount_, directory, named->name);
  }
}

// By turns. Not directories: where somebody stands in one whose name is dropped, it would no longer find its way up.
std::vector<Ino> InodeTable::some_held(std::size_t count) {
  constexpr std::uint32_t kLookedAtMax = 256;
  std::vector<Ino> some;
  const std::scoped_lock lock(mutex_);
  const std::uint32_t slots = slots_.size();
  for (std::uint32_t looked_at = 0; looked_at < std::min(slots, kLookedAtMax) && some.size() < count; ++looked_at) {
    const std::uint32_t slot = thin_at_ = (thin_at_ + 1) % slots;
    const InodeRecord& record = *slots_.at(slot);
    if (record.lookups == 0 || record.held == 0 || record.type == S_IFDIR || nodes_.at(slot)->open()) continue;
    some.push_back(ino_of(slot, record));
  }
  return some;
}

UniqueFd InodeTable::own_descriptor(Ino ino) const {
  const std::scoped_lock lock(mutex_);
  const InodeRecord* known = record(ino);
  return UniqueFd(known == nullptr || known->held == 0 ? -1 : fcntl(known->held - 1, F_DUPFD_CLOEXEC, 0));
}

Ino InodeTable::retain_known(const struct stat& attributes) {
  const Ino ino = keeps_numbers_ ? find(attributes) : 0;
  if (ino == 0) return 0;
  // Only an open descriptor proves that the number was not given to another inode since.
  const Descriptor proof = cache_.find(mount_, ino);
  const std::scoped_lock lock(mutex_);
  InodeRecord* known = record(ino);
  if (known == nullptr || (!proof && known->held == 0)) return 0;
  begin_count(ino, known->lookups);
  ++known->lookups;
  retained(ino);
  end_count();
  return ino;
}

Ino InodeTable::find(const struct stat& attributes) const {
  const std::scoped_lock lock(mutex_);
  const auto found = index_.find(key_of(attributes));
  return found == index_.end() ? 0 : ino_of(found->second, *slots_.at(found->second));
}

void InodeTable::forget(Ino ino, std::uint64_t lookups) {
  if (!forget_one(ino, lookups)) return;
  Standby::about_to_wait();
  malloc_trim(0);
}

// True where so many are gone that their heap memory is worth giving back.
bool InodeTable::forget_one(Ino ino, std::uint64_t lookups) {
  Closing closes_unlocked;
  const std::scoped_lock lock(mutex_);
  JournalRecord* request = counting_ == nullptr ? nullptr : Journal::current();
  InodeRecord* known = record(ino);
  if (known != nullptr && ino != kRootIno) {
    begin_count(ino, known->lookups);
    if (known->lookups > lookups) {
      known->lookups -= lookups;
    } else {
      closes_unlocked = release_slot(static_cast<std::uint32_t>(ino) - 1, *known);
    }
  }
  if (request != nullptr) ++request->forgotten;
  end_count();
  if (freed_ < kWorthGivingBack) return false;
  freed_ = 0;
  index_.rehash(0);
  return true;
}

void InodeTable::unretain(Ino ino) {
  Closing closes_unlocked;
  const std::scoped_lock lock(mutex_);
  JournalRecord* request = counting_ == nullptr ? nullptr : Journal::current();
  InodeRecord* known = record(ino);
  if (known == nullptr) return;
  begin_count(ino, known->lookups);
  if (known->lookups > 1) {
    --known->lookups;
  } else if (ino != kRootIno) {
    closes_unlocked = release_slot(static_cast<std::uint32_t>(ino) - 1, *known);
  }
  if (request != nullptr && request->retained_count != 0 && request->retained[request->retained_count - 1] == ino) {
    --request->retained_count;
  }
  end_count();
}

// Its descriptor is forgotten before the record forgets it, and the generation rises last: a dead daemon's can be told.
InodeTable::Closing InodeTable::release_slot(std::uint32_t slot, InodeRecord& record) {
  Closing closing;
  const Ino ino = ino_of(slot, record);
  const InodeKey key{record.device, record.number};
  unknow(slot, record);
  closing.cached = cache_.drop(mount_, ino);
  if (const auto found = index_.find(key); found != index_.end() && found->second == slot) index_.erase(found);
  record.lookups = 0;
  if (const int held = record.held; held != 0) {
    survival_.forget(held - 1);
    record.held = 0;
    closing.held.reset(held - 1);
  }
  ++record.generation;
  free_.push_back(slot);
  --used_;
  ++freed_;
  give_back(slot);
  return closing;
}

// A number that was in use must not come again with the same generation, also where its record is all zeroes from now on.
void InodeTable::give_back(std::uint32_t slot) {
  const auto idle = blocks_.give_back(slot);
  const std::uint32_t end = std::min(idle.first + idle.count, slots_.size());
  for (std::uint32_t i = idle.first; i < end; ++i)
    generation_floor_ = std::max(generation_floor_.load(), slots_.at(i)->generation);
  slots_.give_back(idle.first, idle.count);
}

InodeRecord* InodeTable::record(Ino ino) const {
  const auto slot = static_cast<std::uint32_t>(ino) - 1U;
  InodeRecord* found = static_cast<std::uint32_t>(ino) == 0 ? nullptr : slots_.at(slot);
  if (found == nullptr || found->lookups == 0 || found->generation != ino >> 32U) return nullptr;
  return found;
}

std::uint32_t InodeTable::answered(Ino ino) const {
  const std::scoped_lock lock(mutex_);
  const InodeRecord* known = record(ino);
  return known == nullptr ? 0 : known->answered.load(std::memory_order_seq_cst);
}

Answer<Reach> InodeTable::reach(Ino ino) {
  const InodeRecord* known = record(ino);
  if (known == nullptr) return refuse(ESTALE);
  if (const int held = known->held; held > 0) return Reach(held - 1, nullptr);
  if (Descriptor cached = cache_.find(mount_, ino)) return Reach(cached->get(), cached);
  UniqueFd fd = open_by_handle(mount_point_.get(), handle_of(*known), O_PATH | O_CLOEXEC);
  if (!fd) return refuse(errno == ENOENT ? ESTALE : errno);
  auto opened = std::make_shared<const UniqueFd>(std::move(fd));
  if (may_hold(known->type)) cache_.put(mount_, ino, opened);
  return Reach(opened->get(), opened);
}

void InodeTable::pin(Ino ino, UniqueFd fd) {
  const std::scoped_lock lock(mutex_);
  InodeRecord* known = record(ino);
  if (known == nullptr || known->held != 0) return;
  hold(*known, std::move(fd));
}

Node* InodeTable::node(Ino ino) const {
  return record(ino) == nullptr ? nullptr : nodes_.at(static_cast<std::uint32_t>(ino) - 1U);
}

std::uint64_t InodeTable::size() const {
  const std::scoped_lock lock(mutex_);
  return used_;
}

std::vector<Ino> InodeTable::known() const {
  std::vector<Ino> all;
  const std::scoped_lock lock(mutex_);
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (const InodeRecord& record = *slots_.at(slot); record.lookups != 0) all.push_back(ino_of(slot, record));
  }
  return all;
}

}  // namespace berth::fuse
