#include "fuse/backing_kind.hpp"

#include <sys/statfs.h>

#include <algorithm>
#include <array>

namespace berth::fuse {
namespace {

// <linux/magic.h>, and the file systems' own sources for those that are not in it.
constexpr unsigned long kExt = 0xef53;  // ext2, 3 and 4
constexpr unsigned long kXfs = 0x58465342;
constexpr unsigned long kBtrfs = 0x9123683e;
constexpr unsigned long kTmpfs = 0x01021994;
constexpr unsigned long kF2fs = 0xf2f52010;
constexpr unsigned long kBcachefs = 0xca451a4e;
constexpr unsigned long kZfs = 0x2fc12fc1;

constexpr unsigned long kFuse = 0x65735546;  // GlusterFS, ceph-fuse, sshfs, virtiofs, ...
constexpr unsigned long kFat = 0x4d44;
constexpr unsigned long kNfs = 0x6969;
constexpr unsigned long kCeph = 0x00c36400;
constexpr unsigned long kCifs = 0xff534d42;
constexpr unsigned long kSmb2 = 0xfe534d42;
constexpr unsigned long k9p = 0x01021997;
constexpr unsigned long kAfs = 0x5346414f;
constexpr unsigned long kLustre = 0x0bd00bd0;

template <std::size_t size>
bool among(const std::array<unsigned long, size>& kinds, unsigned long type) {
  return std::ranges::find(kinds, type) != kinds.end();
}

}  // namespace

std::optional<BackingKind> BackingKind::of(int fd) {
  struct statfs about{};
  if (fstatfs(fd, &about) != 0) return std::nullopt;
  return BackingKind(static_cast<unsigned long>(about.f_type) & 0xffffffffUL);
}

bool BackingKind::keeps_handles() const { return type_ != kFuse && type_ != kFat; }

bool BackingKind::decides_opens() const { return among(std::array{kFuse, kNfs, kCeph, kCifs, kSmb2, k9p, kAfs, kLustre}, type_); }

bool BackingKind::keeps_numbers() const { return !among(std::array{kNfs, kCifs, kSmb2, k9p, kAfs}, type_); }

bool BackingKind::renames_held_files() const { return type_ == kNfs || type_ == kAfs; }

bool BackingKind::reports_all_changes() const {
  return among(std::array{kExt, kXfs, kBtrfs, kTmpfs, kF2fs, kBcachefs, kZfs}, type_);
}

bool BackingKind::times_each_change() const { return among(std::array{kExt, kXfs, kBtrfs, kTmpfs}, type_); }

}  // namespace berth::fuse
