#include "fuse/backing_events.hpp"

#include <sys/fanotify.h>

#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace berth::fuse {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Bytes {
 public:
  template <class T>
  void add(const T& value) {
    const auto* at = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), at, at + sizeof(value));
  }
  void add_text(const std::string& text) {
    for (const char c : text) bytes_.push_back(static_cast<std::byte>(c));
  }
  void pad(std::size_t size) { bytes_.resize(size); }
  std::vector<std::byte>& all() { return bytes_; }
  std::size_t size() const { return bytes_.size(); }

 private:
  std::vector<std::byte> bytes_;
};

// One information record with a handle of eight bytes, as fanotify(7) describes it.
Bytes info(std::uint8_t type, std::uint64_t handle, const std::string& name = {}) {
  Bytes body;
  body.add(std::int32_t{11});
  body.add(std::int32_t{12});
  body.add(std::uint32_t{8});
  body.add(std::int32_t{1});
  body.add(handle);
  if (!name.empty()) body.add_text(name + '\0');
  body.pad((body.size() + 3) / 4 * 4);
  Bytes whole;
  whole.add(type);
  whole.add(std::uint8_t{0});
  whole.add(static_cast<std::uint16_t>(body.size() + 4));
  whole.all().insert(whole.all().end(), body.all().begin(), body.all().end());
  return whole;
}

Bytes event(std::uint64_t mask, std::int32_t thread, std::vector<Bytes> infos) {
  Bytes bytes;
  std::size_t size = sizeof(struct fanotify_event_metadata);
  for (const Bytes& one : infos) size += one.size();
  struct fanotify_event_metadata head{};
  head.event_len = static_cast<std::uint32_t>(size);
  head.vers = FANOTIFY_METADATA_VERSION;
  head.metadata_len = sizeof(head);
  head.mask = mask;
  head.fd = FAN_NOFD;
  head.pid = thread;
  bytes.add(head);
  for (Bytes& one : infos) bytes.all().insert(bytes.all().end(), one.all().begin(), one.all().end());
  return bytes;
}

std::uint64_t number(const std::optional<FileHandle>& handle) {
  std::uint64_t value = 0;
  if (handle) std::memcpy(&value, handle->bytes.data(), sizeof(value));
  return value;
}

std::vector<std::string> read_all(std::span<const std::byte> bytes) {
  std::vector<std::string> said;
  each_backing_event(bytes, [&](const BackingEvent& event) {
    said.push_back(std::to_string(event.mask) + " by " + std::to_string(event.thread) + " in " +
                   std::to_string(number(event.directory)) + " " + std::string(event.name) + " " +
                   std::to_string(number(event.inode)));
  });
  return said;
}

TEST(BackingEvents, SayWhoDidWhatToWhichNameAndInode) {
  Bytes created = event(FAN_CREATE, 77, {info(FAN_EVENT_INFO_TYPE_DFID_NAME, 5, "name"), info(FAN_EVENT_INFO_TYPE_FID, 6)});
  EXPECT_THAT(read_all(created.all()), ElementsAre("256 by 77 in 5 name 6"));
  Bytes itself = event(FAN_ATTRIB, 78, {info(FAN_EVENT_INFO_TYPE_DFID_NAME, 5, ".")});
  EXPECT_THAT(read_all(itself.all()), ElementsAre("4 by 78 in 5 . 0"));
}

TEST(BackingEvents, FollowEachOther) {
  Bytes bytes = event(FAN_CREATE, 1, {info(FAN_EVENT_INFO_TYPE_DFID_NAME, 5, "a")});
  Bytes second = event(FAN_DELETE, 2, {info(FAN_EVENT_INFO_TYPE_DFID_NAME, 5, "longer name")});
  bytes.all().insert(bytes.all().end(), second.all().begin(), second.all().end());
  EXPECT_THAT(read_all(bytes.all()), ElementsAre("256 by 1 in 5 a 0", "512 by 2 in 5 longer name 0"));
}

TEST(BackingEvents, InformationOfAnotherKindIsPassedOver) {
  Bytes other = info(FAN_EVENT_INFO_TYPE_FID, 9);
  other.all()[0] = std::byte{200};
  EXPECT_THAT(read_all(event(FAN_CREATE, 1, {other, info(FAN_EVENT_INFO_TYPE_DFID, 5)}).all()), ElementsAre("256 by 1 in 5  0"));
}

TEST(BackingEvents, WhatIsCutOffAnywhereIsNotReadPastItsEnd) {
  Bytes whole = event(FAN_CREATE, 1, {info(FAN_EVENT_INFO_TYPE_DFID_NAME, 5, "a"), info(FAN_EVENT_INFO_TYPE_FID, 6)});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::vector<std::byte> cut(whole.all().begin(), whole.all().begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THAT(read_all(cut), IsEmpty()) << size;
  }
}

TEST(BackingEvents, AHandleThatIsLargerThanItsRecordIsRefused) {
  Bytes forged = info(FAN_EVENT_INFO_TYPE_FID, 6);
  const std::uint32_t huge = 4096;
  std::memcpy(forged.all().data() + 12, &huge, sizeof(huge));
  EXPECT_THAT(read_all(event(FAN_CREATE, 1, {forged}).all()), IsEmpty());
}

}  // namespace
}  // namespace berth::fuse
