#include "broker/services/task_metadata/rate_limit.hpp"

#include <algorithm>

namespace berth::services::task_metadata {

namespace {

// Paths come from tasks: beyond this many, those that say nothing (full buckets) go.
constexpr std::size_t kBucketsMax = 4096;

}  // namespace

bool RateLimit::allow(const std::string& key, TimePoint now) {
  if (steady_ <= 0) return true;
  if (buckets_.size() >= kBucketsMax) drop_full(now);
  auto& bucket = buckets_.try_emplace(key, Bucket{burst_, now}).first->second;
  fill(bucket, now);
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

void RateLimit::forget(const std::string& prefix) {
  const auto from = buckets_.lower_bound(prefix);
  auto to = from;
  while (to != buckets_.end() && to->first.starts_with(prefix)) ++to;
  buckets_.erase(from, to);
}

void RateLimit::fill(Bucket& bucket, TimePoint now) const {
  const std::chrono::duration<double> passed = now - bucket.filled;
  // A clock that was set back gives nothing and takes nothing.
  bucket.tokens = std::min(burst_, bucket.tokens + std::max(0.0, passed.count()) * steady_);
  bucket.filled = now;
}

void RateLimit::drop_full(TimePoint now) {
  for (auto bucket = buckets_.begin(); bucket != buckets_.end();) {
    fill(bucket->second, now);
    bucket = bucket->second.tokens >= burst_ ? buckets_.erase(bucket) : std::next(bucket);
  }
}

}  // namespace berth::services::task_metadata
