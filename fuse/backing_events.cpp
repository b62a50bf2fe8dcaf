#include "fuse/backing_events.hpp"

#include <sys/fanotify.h>

#include <cstring>

namespace berth::fuse {
namespace {

// fanotify_event_info_fid and the struct file_handle behind it, without their flexible arrays.
struct InfoHead {
  std::uint8_t type;
  std::uint8_t pad;
  std::uint16_t size;
  DiskId file_system;
  std::uint32_t handle_size;
  std::int32_t handle_type;
};

template <class T>
bool take(std::span<const std::byte> bytes, T& into) {
  if (bytes.size() < sizeof(T)) return false;
  std::memcpy(&into, bytes.data(), sizeof(T));
  return true;
}

bool read_info(const InfoHead& head, std::span<const std::byte> info, BackingEvent& event) {
  FileHandle handle{head.handle_type, head.handle_size, {}};
  if (head.handle_size > handle.bytes.size() || head.handle_size > info.size() - sizeof(head)) return false;
  std::memcpy(handle.bytes.data(), info.data() + sizeof(head), head.handle_size);
  event.file_system = head.file_system;
  if (head.type == FAN_EVENT_INFO_TYPE_FID) {
    event.inode = handle;
    return true;
  }
  event.directory = handle;
  if (head.type != FAN_EVENT_INFO_TYPE_DFID_NAME) return true;
  const auto text = info.subspan(sizeof(head) + head.handle_size);
  const auto* name = reinterpret_cast<const char*>(text.data());
  event.name = {name, strnlen(name, text.size())};
  return true;
}

}  // namespace

void each_backing_event(std::span<const std::byte> bytes, const std::function<void(const BackingEvent&)>& f) {
  struct fanotify_event_metadata head{};
  while (take(bytes, head) && head.vers == FANOTIFY_METADATA_VERSION && head.event_len >= head.metadata_len &&
         head.metadata_len >= sizeof(head) && head.event_len <= bytes.size()) {
    BackingEvent event;
    event.mask = head.mask;
    event.thread = head.pid;
    auto infos = bytes.subspan(head.metadata_len, head.event_len - head.metadata_len);
    InfoHead info{};
    while (take(infos, info) && info.size >= sizeof(info) && info.size <= infos.size()) {
      const bool has_handle = info.type == FAN_EVENT_INFO_TYPE_FID || info.type == FAN_EVENT_INFO_TYPE_DFID ||
                              info.type == FAN_EVENT_INFO_TYPE_DFID_NAME;
      if (has_handle && !read_info(info, infos.first(info.size), event)) return;
      infos = infos.subspan(info.size);
    }
    f(event);
    bytes = bytes.subspan(head.event_len);
  }
}

}  // namespace berth::fuse
