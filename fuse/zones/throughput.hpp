// Throughput of a file system by EFS's rules: what it may drive, and the bucket that holds its clients to it.
//
// Pure: time comes in. Figures: Amazon EFS user guide, "Throughput modes".
#pragma once

#include <algorithm>
#include <cstdint>

#include "broker/base/clock.hpp"

namespace berth::fuse::zones {

inline constexpr double kKiB = 1024;
inline constexpr double kMiB = 1024 * kKiB;
inline constexpr double kGiB = 1024 * kMiB;
inline constexpr double kTiB = 1024 * kGiB;

enum class ThroughputMode { bursting, provisioned, elastic };

// What the rules depend on.
struct Allowance {
  ThroughputMode mode = ThroughputMode::bursting;
  double provisioned_mibps = 0;
  std::uint64_t size_bytes = 0;  // what is stored
  bool operator==(const Allowance&) const = default;
};

struct Rates {
  double baseline = 0;     // metered bytes a second, for ever
  double earned = 0;       // credits a second
  double burst = 0;        // while there are credits
  double credits_max = 0;  // bytes
  bool limited = true;
};
Rates rates_of(const Allowance& allowance);
// What every new file system starts with.
inline constexpr double kFirstCredits = 2.1 * kTiB;

// Bytes as EFS meters them: reads a third. Steps of 4 KiB, the least that an operation counts, are how EFS's pricing counts
// metadata; that the limit rounds data the same way is assumed.
double metered_read(std::uint64_t bytes);
double metered_write(std::uint64_t bytes);
double metered_metadata();

// The credits and the line of requests of one file system.
class Bucket {
 public:
  Bucket(double credits, TimePoint now) : credits_(credits), accrued_(now), free_(now) {}

  // Takes `metered` bytes and says when the request may be served: `now`, or later.
  TimePoint take(const Rates& rates, double metered, TimePoint now);
  // BurstCreditBalance.
  double credits(const Rates& rates, TimePoint now) const { return std::max(0.0, balance(rates, now)); }
  // PermittedThroughput, bytes a second.
  double permitted(const Rates& rates, TimePoint now) const;

 private:
  double balance(const Rates& rates, TimePoint at) const;
  void accrue(const Rates& rates, TimePoint now);

  double credits_;     // at `accrued_`; below nothing while what runs at the baseline spends what it is going to earn
  TimePoint accrued_;  // until when credits were added
  TimePoint free_;     // when what was taken has gone through
};

}  // namespace berth::fuse::zones
