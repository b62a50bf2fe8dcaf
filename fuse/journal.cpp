#include "fuse/journal.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "fuse/wire.hpp"

namespace berth::fuse {
namespace {

thread_local JournalRecord* current_record = nullptr;
thread_local std::span<const std::byte> request_now;

constexpr std::string_view kRegion = "share/journal";

void copy_name(NameText& to, const char* name) {
  const std::size_t size = strnlen(name, to.size() - 1);
  std::memcpy(to.data(), name, size);
  to[size] = '\0';
}

}  // namespace

// Zeroes: there is nothing, or nothing that the caller may see, so that the call will fail too.
KnownInode behind(int directory, const char* name) {
  struct stat attributes{};
  if (fstatat(directory, name, &attributes, AT_SYMLINK_NOFOLLOW) == 0) return {attributes.st_dev, attributes.st_ino, 1};
  return {0, 0, errno == ENOENT ? 1U : 0U};
}

Result<> Journal::open() {
  auto bytes = survival_.region(kRegion, sizeof(JournalMemory));
  if (!bytes) return fail(bytes.error().within("journal of the share"));
  memory_ = reinterpret_cast<JournalMemory*>(bytes->data());
  recovering_ = std::ranges::any_of(memory_->records, [](const JournalRecord& r) { return r.unique != 0; });
  return {};
}

Journal::Begun Journal::begin(unsigned worker, MountNumber mount, std::uint32_t opcode, std::uint64_t unique, bool resent) {
  if (worker == kRecovery) {
    if (JournalRecord* found = resent ? find(mount, unique) : nullptr) return current_record = found, Begun{*found, true};
    for (JournalRecord& spare : std::span(memory_->records).subspan(kRecovery)) {
      if (spare.unique == 0) return start(spare, mount, opcode, unique), Begun{spare, false};
    }
  }
  JournalRecord& record = memory_->records[worker];
  start(record, mount, opcode, unique);
  return {record, false};
}

JournalRecord* Journal::find(MountNumber mount, std::uint64_t unique) {
  const auto found =
      std::ranges::find_if(memory_->records, [&](const auto& r) { return r.unique == unique && r.mount == mount; });
  return found == memory_->records.end() ? nullptr : &*found;
}

void Journal::start(JournalRecord& record, MountNumber mount, std::uint32_t opcode, std::uint64_t unique) {
  record.mount = mount;
  record.opcode = opcode;
  record.stage = Stage::received;
  record.change = Change::none;
  record.parent = record.new_parent = 0;
  record.before = record.new_before = {};
  record.opened = 0;
  record.result = 0;
  record.answering = 0;
  record.retained_count = 0;
  record.unique = unique;
  current_record = &record;
}

void Journal::end(JournalRecord& record) {
  record.unique = 0;
  current_record = nullptr;
}

JournalRecord* Journal::current() { return current_record; }

std::span<const std::byte> Journal::current_request() { return request_now; }

void Journal::serving(std::span<const std::byte> request) { request_now = request; }

void Journal::continue_with(JournalRecord* record) { current_record = record; }

std::string Journal::buffer_name(unsigned worker) { return fmt::format("share/worker/{}", worker); }

Result<std::span<std::byte>> Journal::buffer(unsigned worker) {
  return survival_.region(buffer_name(worker), kWriteBytesMax + 4096);
}

void Journal::about_to_read(unsigned worker, MountNumber mount, std::span<std::byte> buffer) {
  std::memset(buffer.data(), 0, sizeof(std::uint32_t));  // the request's size: none yet
  JournalRecord& record = memory_->records[worker];
  record.reads = mount;
  record.forgotten = 0;
}

// The size last: before, there is none.
std::span<std::byte> Journal::put(MountNumber mount, std::span<const std::byte> request, std::span<std::byte> buffer) {
  constexpr std::size_t kSize = sizeof(RequestHead::size);
  const auto copy = buffer.first(request.size());
  about_to_read(kRecovery, mount, buffer);
  std::ranges::copy(request.subspan(kSize), copy.subspan(kSize).begin());
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::ranges::copy(request.first(kSize), copy.begin());
  return copy;
}

void Journal::recovered() {
  for (JournalRecord& record : memory_->records) record.unique = 0;
  recovering_ = false;
}

void Journal::drop_mount(MountNumber mount) {
  for (WaitingRecord& record : memory_->waiting) {
    if (record.mount == mount) record.unique = 0;
  }
}

void Journal::waits(MountNumber mount, std::span<const std::byte> request) {
  for (std::size_t i = 0; i < memory_->waiting.size(); ++i) {
    WaitingRecord& record = memory_->waiting[i];
    std::uint64_t unused = 0;
    if (!record.unique.compare_exchange_strong(unused, WaitingRecord::kBeingNoted)) continue;
    auto& copy = memory_->waiting_requests[i];
    record.mount = mount;
    record.size = request.size() > copy.size() ? 0 : static_cast<std::uint32_t>(request.size());
    std::ranges::copy(request.first(record.size), copy.begin());
    record.unique = read_as<RequestHead>(request).name();
    return;
  }
}

void Journal::waits_no_more(MountNumber mount, std::uint64_t unique) {
  for (WaitingRecord& record : memory_->waiting) {
    if (record.unique == unique && record.mount == mount) record.unique = 0;
  }
}

Answer<> Journal::fail_at(Moment moment, const JournalRecord& record) const {
  const int error = fault_(moment, record.opcode);
  if (error != 0) return refuse(error);
  return {};
}

Answer<> Intent::begin(Change change) {
  record_.change = change;
  record_.stage = Stage::begun;
  auto fault = journal_.at(Moment::begun, record_);
  if (!fault) settle(false, 0);
  return fault;
}

Answer<> Intent::makes(const InodeKey& directory, Ino parent, int directory_fd, const char* name) {
  turn_ = journal_.turns().take(Turns::of_name(directory, name));
  record_.parent = parent;
  copy_name(record_.name, name);
  record_.before = behind(directory_fd, name);
  return begin(Change::make);
}

void Intent::Victim::find(int directory, const char* name, bool may_hold_files) {
  there = false;
  if (!may_hold_files) {
    there = fstatat(directory, name, &attributes, AT_SYMLINK_NOFOLLOW) == 0;
    if (!there || !S_ISDIR(attributes.st_mode)) return;
  }
  fd.reset(openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  there = fd && fstat(fd.get(), &attributes) == 0;
  if (!there) fd.reset();
}

Answer<> Intent::removes(const InodeKey& directory, Ino parent, int directory_fd, const char* name, Victim& victim,
                         bool may_hold_files) {
  turn_ = journal_.turns().take(Turns::of_name(directory, name));
  record_.parent = parent;
  copy_name(record_.name, name);
  victim.find(directory_fd, name, may_hold_files);
  if (victim.there) {
    record_.before = {victim.attributes.st_dev, victim.attributes.st_ino, 1};
  } else {
    record_.before = behind(directory_fd, name);
  }
  return begin(Change::remove);
}

Answer<> Intent::renames(const Place& from, const Place& to, bool exchange) {
  turn_ = journal_.turns().take(Turns::of_name(from.key, from.name), Turns::of_name(to.key, to.name));
  record_.parent = from.ino;
  record_.new_parent = to.ino;
  copy_name(record_.name, from.name);
  copy_name(record_.new_name, to.name);
  record_.before = behind(from.fd, from.name);
  record_.new_before = behind(to.fd, to.name);
  return begin(exchange ? Change::exchange : Change::rename);
}

Answer<> Intent::resizes(const InodeKey& file, Ino ino, int fd, off_t size) {
  turn_ = journal_.turns().take(Turns::of_file(file));
  struct stat attributes{};
  record_.parent = ino;
  record_.size_before = fstatat(fd, "", &attributes, AT_EMPTY_PATH) == 0 ? attributes.st_size : -1;
  record_.size = static_cast<std::uint64_t>(size);
  return begin(Change::resize);
}

Answer<> Intent::appends(const InodeKey& file, Ino ino, int fd, std::size_t size) {
  turn_ = journal_.turns().take(Turns::of_file(file));
  struct stat attributes{};
  record_.parent = ino;
  // One that goes on after a crash keeps the place where it began.
  if (record_.result == 0) record_.size_before = fstat(fd, &attributes) == 0 ? attributes.st_size : -1;
  record_.size = size;
  return begin(Change::append);
}

Answer<> Intent::changes(const InodeKey& file) {
  turn_ = journal_.turns().take(Turns::of_file(file));
  return begin(Change::none);
}

void Intent::settle(bool done, std::uint64_t result) {
  static_cast<void>(journal_.at(Moment::executed, record_));
  record_.result = result;
  record_.stage = done ? Stage::done : Stage::received;
  turn_ = {};
  static_cast<void>(journal_.at(Moment::recorded, record_));
}

}  // namespace berth::fuse
