#include "fuse/listings.hpp"

namespace berth::fuse {

void Listings::opened(Ino directory) {
  const std::scoped_lock lock(mutex_);
  if (listings_.size() >= kMost) std::erase_if(listings_, [](const auto& one) { return one.second.opens == 0; });
  ++listings_[directory].opens;
}

void Listings::closed(Ino directory) {
  const std::scoped_lock lock(mutex_);
  const auto found = listings_.find(directory);
  if (found == listings_.end() || found->second.opens == 0) return;  // opened before a restart
  Listing& listing = found->second;
  if (--listing.opens == 0 && (listing.mixed || !listing.known)) listings_.erase(found);
}

void Listings::begun(Ino directory, std::uint32_t version, TimePoint now) {
  const std::scoped_lock lock(mutex_);
  const auto found = listings_.find(directory);
  if (found == listings_.end()) return;
  Listing& listing = found->second;
  listing.mixed = listing.opens > 1 && listing.known && (listing.mixed || listing.version != version);
  listing.known = true;
  listing.version = version;
  listing.begun = now;
}

bool Listings::current(Ino directory, std::uint32_t version, TimePoint now, Duration longest) const {
  const std::scoped_lock lock(mutex_);
  const auto found = listings_.find(directory);
  if (found == listings_.end()) return false;
  const Listing& listing = found->second;
  return listing.known && !listing.mixed && listing.version == version && now - listing.begun < longest;
}

}  // namespace berth::fuse
