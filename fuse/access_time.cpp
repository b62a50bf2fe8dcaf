#include "fuse/access_time.hpp"

#include <ctime>

namespace berth::fuse {
namespace {

bool not_after(const timespec& a, const timespec& b) {
  return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec <= b.tv_nsec;
}

}  // namespace

bool reading_changes(const struct stat& attributes) {
  constexpr time_t kDay = 24 * 60 * 60;
  constexpr time_t kMargin = 60;  // an open file may be read a while later
  return not_after(attributes.st_atim, attributes.st_mtim) || not_after(attributes.st_atim, attributes.st_ctim) ||
         attributes.st_atim.tv_sec + kDay - kMargin <= std::time(nullptr);
}

}  // namespace berth::fuse
