// Introductions: inodes that a mount's kernel is only just being told of, with their attributes.
//
// Until it has taken the answer in it doesn't know the inode, and can't be told that its attributes have changed (ENOENT of
// FUSE_NOTIFY_INVAL_INODE): it would remember old ones for as long as the answer allows. Of an inode that it knows it takes no
// attributes that were asked for before it was told (its attr_version). So who finds that it does not know an inode sees to it
// that no answer that is still being made is remembered, and tells it again of what was answered just now until it knows it.
//
// Lock-free. An answer is noted before it is looked whether it may be remembered, and the kernel's not knowing before it is
// looked what was answered: one of both sees the other.
#pragma once

#include <atomic>
#include <cstdint>

#include "fuse/inode_table.hpp"

namespace berth::fuse {

class Introductions {
 public:
  explicit Introductions(const InodeTable& inodes) : inodes_(inodes) {}

  // This thread begins to serve a request: before it reads any attributes.
  void begin() const { begun_ = unknown_.load(std::memory_order_seq_cst); }
  // Its answer, of which these attributes are a part, is sent next. False where they must not be remembered.
  bool answer(Ino ino) const;

  // The kernel was told of a change and did not know the inode. True where it is to be told again: it may be taking in an answer.
  // False where there was none, or it has forgotten the inode.
  bool unknown(Ino ino);

 private:
  const InodeTable& inodes_;
  std::atomic<std::uint32_t> unknown_ = 0;  // how often
  static inline thread_local std::uint32_t begun_ = 0;
};

}  // namespace berth::fuse
