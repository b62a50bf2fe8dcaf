// ListingPages: the directories of a mount whose lists its kernel may be taking in.
//
// The kernel enters the names of a list (FUSE_READDIRPLUS) in its cache while it copies them to the reader, who may be slow, and
// says nothing when it is done; but the next request on the same open directory comes after that. Until then the names belong to
// no epoch. Thread-safe.
#pragma once

#include <mutex>
#include <optional>
#include <unordered_map>

#include "fuse/brief_mutex.hpp"
#include "fuse/layout.hpp"
#include "fuse/name_epochs.hpp"

namespace berth::fuse {

class ListingPages {
 public:
  // Before the first name of a page is looked up; `epoch` is now. Calls `first()` where no other page of the directory is being
  // taken in.
  template <class First>
  void begin(Handle handle, Ino directory, NameEpochs::Epoch epoch, First&& first) {
    const std::scoped_lock lock(mutex_);
    if (pages_.emplace(handle, Page{directory, epoch}).second && ++directories_[directory] == 1) first();
  }
  // The page has been taken in, if there was one; the epoch that it began in. Calls `last(directory)` where no other one is left.
  template <class Last>
  std::optional<NameEpochs::Epoch> end(Handle handle, Last&& last) {
    const std::scoped_lock lock(mutex_);
    const auto found = pages_.find(handle);
    if (found == pages_.end()) return std::nullopt;
    const Page page = found->second;
    pages_.erase(found);
    if (const auto directory = directories_.find(page.directory); --directory->second == 0) {
      directories_.erase(directory);
      last(page.directory);
    }
    return page.epoch;
  }

 private:
  struct Page {
    Ino directory = 0;
    NameEpochs::Epoch epoch = 0;
  };
  BriefMutex mutex_;
  std::unordered_map<Handle, Page> pages_;
  std::unordered_map<Ino, unsigned> directories_;
};

}  // namespace berth::fuse
