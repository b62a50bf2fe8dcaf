// A token bucket a key: `burst` at once, `steady` a second after that. Not thread-safe; time comes in as an argument.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "broker/base/clock.hpp"

namespace berth::services::task_metadata {

class RateLimit {
 public:
  // steady 0: no limit.
  RateLimit(double steady, double burst) : steady_(steady), burst_(burst) {}

  bool allow(const std::string& key, TimePoint now);
  // Forgets the keys that begin with `prefix`.
  void forget(const std::string& prefix);
  std::size_t size() const { return buckets_.size(); }

 private:
  struct Bucket {
    double tokens = 0;
    TimePoint filled{};
  };
  void fill(Bucket& bucket, TimePoint now) const;
  void drop_full(TimePoint now);

  double steady_, burst_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace berth::services::task_metadata
