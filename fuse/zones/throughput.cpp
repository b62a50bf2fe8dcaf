#include "fuse/zones/throughput.hpp"

#include <algorithm>
#include <cmath>

namespace berth::fuse::zones {
namespace {

constexpr double kStep = 4 * kKiB;
// Waits shorter than this are not worth a timer: the request goes at once and the next ones wait for it.
constexpr std::chrono::milliseconds kSlack{2};
// EFS names no figure below 3 GiB/s of reads for a region; writes are the lesser.
constexpr double kElasticRate = 1 * kGiB;

double in_steps(std::uint64_t bytes) { return std::max(1.0, std::ceil(static_cast<double>(bytes) / kStep)) * kStep; }

std::chrono::microseconds duration_of(double bytes, double rate) {
  return std::chrono::microseconds(static_cast<std::int64_t>(bytes / rate * 1e6));
}

}  // namespace

Rates rates_of(const Allowance& allowance) {
  const double stored = static_cast<double>(allowance.size_bytes);
  Rates rates;
  rates.baseline = std::max(1 * kMiB, stored / kGiB * 50 * kKiB);
  rates.earned = rates.baseline;
  rates.burst = std::max(100 * kMiB, stored / kTiB * 100 * kMiB);
  rates.credits_max = kFirstCredits * std::max(1.0, stored / kTiB);
  const double provisioned = allowance.provisioned_mibps * kMiB;
  // A file system whose size earns it more than was provisioned is a bursting one.
  if (allowance.mode == ThroughputMode::provisioned && provisioned >= rates.baseline) rates.burst = rates.baseline = provisioned;
  if (allowance.mode == ThroughputMode::elastic) {
    rates.burst = rates.baseline = kElasticRate;
    rates.limited = false;
  }
  return rates;
}

double metered_read(std::uint64_t bytes) { return in_steps(bytes) / 3; }
double metered_write(std::uint64_t bytes) { return in_steps(bytes); }
double metered_metadata() { return kStep; }

void Bucket::accrue(const Rates& rates, TimePoint now) {
  if (now <= accrued_) return;
  credits_ = balance(rates, now);
  accrued_ = now;
}

double Bucket::balance(const Rates& rates, TimePoint at) const {
  const double seconds = std::max(0.0, std::chrono::duration<double>(at - accrued_).count());
  return std::min(rates.credits_max, credits_ + rates.earned * seconds);
}

double Bucket::permitted(const Rates& rates, TimePoint now) const {
  return balance(rates, now) > 0 ? rates.burst : rates.baseline;
}

TimePoint Bucket::take(const Rates& rates, double metered, TimePoint now) {
  accrue(rates, now);
  if (!rates.limited) return now;
  const TimePoint begin = std::max(now, free_);
  const double in_burst = std::clamp(balance(rates, begin), 0.0, metered);
  free_ = begin + duration_of(in_burst, rates.burst) + duration_of(metered - in_burst, rates.baseline);
  // A provisioned rate is paid for otherwise.
  if (rates.burst > rates.baseline) credits_ -= metered;
  return begin - now > kSlack ? begin : now;
}

}  // namespace berth::fuse::zones
