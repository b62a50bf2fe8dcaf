#include "fuse/open_files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "fuse/journal.hpp"

namespace berth::fuse {
namespace {
Handle handle_of(std::uint32_t slot, const OpenRecord& record) { return (std::uint64_t{record.generation} << 32U) | (slot + 1U); }
}  // namespace

Result<> OpenFiles::adopt(const std::set<std::string>& regions) {
  if (auto adopted = slots_.adopt(regions); !adopted) return adopted;
  for (std::uint32_t slot = slots_.size(); slot-- > 0;) {
    OpenRecord& record = *slots_.at(slot);
    recover(record);
    if (record.kind == OpenKind::none) free_.push_back(slot);
    if (record.kind == OpenKind::lock) locks_[{record.ino, record.lock_owner}] = handle_of(slot, record);
  }
  return {};
}

// What was being opened or closed when the daemon died is closed. An open file has a descriptor that was kept.
void OpenFiles::recover(OpenRecord& record) {
  const int fd = fd_of(record);
  const bool survived = fd >= 0 && record.kind != OpenKind::closed && survival_.survived(fd);
  const bool in_use = record.kind == OpenKind::file || record.kind == OpenKind::directory || record.kind == OpenKind::lock;
  if (in_use && survived) return;
  if (survived) {
    survival_.forget(fd);
    ::close(fd);
  }
  record.descriptor = 0;
  ++record.generation;
  record.kind = OpenKind::none;
}

void OpenFiles::remove() {
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    const OpenRecord& record = *slots_.at(slot);
    if (record.kind != OpenKind::none) close(handle_of(slot, record));
  }
  const std::scoped_lock lock(mutex_);
  slots_.remove();
  free_.clear();
}

// Under the lock; in use, for the next daemon too, when `kind` is set.
Answer<OpenRecord*> OpenFiles::fill(UniqueFd fd, Ino ino, const struct stat& attributes, Handle& handle) {
  if (free_.empty()) {
    const std::uint32_t before = slots_.size();
    if (!slots_.grow()) return refuse(ENFILE);
    for (std::uint32_t i = slots_.size(); i-- > before;) free_.push_back(i);
  }
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  OpenRecord& record = *slots_.at(slot);
  record.descriptor = fd.release() + 1;  // first: what is kept has a name
  survival_.keep(fd_of(record));
  record.pid = 0;
  record.passthrough = 0;
  record.writable = 0;
  record.unflushed = 0;
  record.ino = ino;
  record.lock_owner = 0;
  record.lock_file = 0;
  record.device = attributes.st_dev;
  record.number = attributes.st_ino;
  handle = handle_of(slot, record);
  return &record;
}

Answer<Handle> OpenFiles::add(OpenKind kind, UniqueFd fd, Ino ino, bool writable, const struct stat& attributes) {
  const std::scoped_lock lock(mutex_);
  Handle handle = 0;
  auto record = fill(std::move(fd), ino, attributes, handle);
  if (!record) return refuse(record.error());
  (*record)->writable = writable ? 1 : 0;
  if (JournalRecord* request = Journal::current()) request->opened = handle;
  (*record)->kind = kind;
  return handle;
}

Answer<Handle> OpenFiles::add_lock_owner(UniqueFd fd, Ino ino, std::uint64_t owner, Handle file) {
  struct stat attributes{};
  if (fstat(fd.get(), &attributes) != 0) return refuse_last();
  const std::scoped_lock lock(mutex_);
  Handle handle = 0;
  auto record = fill(std::move(fd), ino, attributes, handle);
  if (!record) return refuse(record.error());
  (*record)->lock_owner = owner;
  (*record)->lock_file = file;
  (*record)->kind = OpenKind::lock;
  locks_[{ino, owner}] = handle;
  return handle;
}

OpenRecord* OpenFiles::find(Handle handle, OpenKind kind) const {
  if (static_cast<std::uint32_t>(handle) == 0) return nullptr;
  OpenRecord* record = slots_.at(static_cast<std::uint32_t>(handle) - 1U);
  if (record == nullptr || record->kind != kind || record->generation != handle >> 32U) return nullptr;
  return record;
}

void OpenFiles::close(Handle handle) {
  const std::uint32_t slot = static_cast<std::uint32_t>(handle) - 1U;
  OpenRecord* record = nullptr;
  {
    const std::scoped_lock lock(mutex_);
    if (static_cast<std::uint32_t>(handle) == 0) return;
    record = slots_.at(slot);
    if (record == nullptr || record->kind == OpenKind::none || record->kind > OpenKind::lock ||
        record->generation != handle >> 32U)
      return;
    if (record->kind == OpenKind::lock) locks_.erase({record->ino, record->lock_owner});
    record->kind = OpenKind::closing;
  }
  const int fd = fd_of(*record);
  survival_.forget(fd);
  record->kind = OpenKind::closed;
  ::close(fd);
  const std::scoped_lock lock(mutex_);
  record->descriptor = 0;
  ++record->generation;
  record->kind = OpenKind::none;
  free_.push_back(slot);
}

Handle OpenFiles::lock_handle(Ino ino, std::uint64_t lock_owner) const {
  const std::scoped_lock lock(mutex_);
  const auto found = locks_.find({ino, lock_owner});
  return found == locks_.end() ? 0 : found->second;
}

std::vector<const OpenRecord*> OpenFiles::lock_owners() const {
  std::vector<const OpenRecord*> owners;
  const std::scoped_lock lock(mutex_);
  for (const auto& [name, handle] : locks_) owners.push_back(slots_.at(static_cast<std::uint32_t>(handle) - 1U));
  return owners;
}

std::vector<std::uint64_t> OpenFiles::lock_owners_of(Ino ino, Handle file) const {
  std::vector<std::uint64_t> owners;
  const std::scoped_lock lock(mutex_);
  for (auto at = locks_.lower_bound({ino, 0}); at != locks_.end() && at->first.first == ino; ++at) {
    if (slots_.at(static_cast<std::uint32_t>(at->second) - 1U)->lock_file == file) owners.push_back(at->first.second);
  }
  return owners;
}

bool OpenFiles::open_for_writing(Ino ino) const {
  const std::scoped_lock lock(mutex_);
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    const OpenRecord& record = *slots_.at(slot);
    if (record.kind == OpenKind::file && record.ino == ino && record.writable != 0) return true;
  }
  return false;
}

bool OpenFiles::locked(Ino ino) const {
  const std::scoped_lock lock(mutex_);
  const auto at = locks_.lower_bound({ino, 0});
  return at != locks_.end() && at->first.first == ino;
}

std::vector<std::pair<Ino, bool>> OpenFiles::files() const {
  std::vector<std::pair<Ino, bool>> open;
  const std::scoped_lock lock(mutex_);
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    const OpenRecord& record = *slots_.at(slot);
    if (record.kind == OpenKind::file) open.emplace_back(record.ino, record.writable != 0);
  }
  return open;
}

std::vector<Handle> OpenFiles::directories() const {
  std::vector<Handle> found;
  const std::scoped_lock lock(mutex_);
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (const OpenRecord& record = *slots_.at(slot); record.kind == OpenKind::directory) found.push_back(handle_of(slot, record));
  }
  return found;
}

std::vector<OpenFiles::OpenFile> OpenFiles::passed_through(bool for_writing_only) const {
  std::vector<OpenFile> files;
  const std::scoped_lock lock(mutex_);
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    const OpenRecord& record = *slots_.at(slot);
    if (record.kind != OpenKind::file || record.passthrough != OpenRecord::kPassthrough ||
        (for_writing_only && record.writable == 0))
      continue;
    files.push_back({handle_of(slot, record), record.ino});
  }
  return files;
}

void OpenFiles::give_up(const std::vector<OpenFile>& files) {
  const std::scoped_lock lock(mutex_);
  for (const OpenFile& file : files) {
    OpenRecord* open = find(file.handle, OpenKind::file);
    if (open != nullptr && open->passthrough == OpenRecord::kPassthrough) open->passthrough = OpenRecord::kGivenUp;
  }
}

}  // namespace berth::fuse
