#include "fuse/zones/usage.hpp"

#include <algorithm>

namespace berth::fuse::zones {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

void Transfers::add(const Transfers& other) {
  if (other.largest > 0) smallest = largest == 0 ? other.smallest : std::min(smallest, other.smallest);
  largest = std::max(largest, other.largest);
  operations += other.operations;
  bytes += other.bytes;
}

void Usage::add(const Usage& other) {
  reads.add(other.reads);
  writes.add(other.writes);
  metadata += other.metadata;
  local += other.local;
  changes += other.changes;
}

void UsageCounter::Counter::count(std::uint64_t size) {
  operations.fetch_add(1, kRelaxed);
  bytes.fetch_add(size, kRelaxed);
  for (auto seen = smallest.load(kRelaxed); size < seen && !smallest.compare_exchange_weak(seen, size, kRelaxed);) {
  }
  for (auto seen = largest.load(kRelaxed); size > seen && !largest.compare_exchange_weak(seen, size, kRelaxed);) {
  }
}

Transfers UsageCounter::Counter::read(bool take_sizes) {
  const auto least = take_sizes ? smallest.exchange(kNone, kRelaxed) : smallest.load(kRelaxed);
  const auto most = take_sizes ? largest.exchange(0, kRelaxed) : largest.load(kRelaxed);
  return {operations.load(kRelaxed), bytes.load(kRelaxed), least == kNone ? 0 : least, most};
}

void UsageCounter::count(const Request& request) {
  if (request.changes) changes_.fetch_add(1, kRelaxed);
  switch (request.kind) {
    case Request::Kind::read: return reads_.count(request.bytes);
    case Request::Kind::write: return writes_.count(request.bytes);
    case Request::Kind::copy:
    case Request::Kind::metadata: metadata_.fetch_add(1, kRelaxed); return;
    case Request::Kind::interrupt:
    case Request::Kind::local: local_.fetch_add(1, kRelaxed); return;
  }
}

Usage UsageCounter::read(bool take_sizes) {
  return {reads_.read(take_sizes), writes_.read(take_sizes), metadata_.load(kRelaxed), local_.load(kRelaxed),
          changes_.load(kRelaxed)};
}

}  // namespace berth::fuse::zones
