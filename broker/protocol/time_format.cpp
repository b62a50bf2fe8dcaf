#include "broker/protocol/time_format.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>

#include <fmt/chrono.h>

namespace berth::protocol {

using std::chrono::floor;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// Times beyond this are cut: year 9999, far from the limits of TimePoint.
constexpr double kSecondsMax = 253402300799.0;

std::tm broken_down(TimePoint time) {
  return fmt::gmtime(static_cast<std::time_t>(floor<seconds>(time).time_since_epoch().count()));
}

}  // namespace

TimePoint time_of(double epoch_seconds) {
  const double within = std::isfinite(epoch_seconds) ? std::clamp(epoch_seconds, -kSecondsMax, kSecondsMax) : 0;
  return TimePoint(microseconds(std::llround(within * 1e6)));
}

std::string to_http_date(TimePoint time) { return fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", broken_down(time)); }

std::optional<TimePoint> parse_http_date(std::string_view text) {
  std::tm parts{};
  const char* end = ::strptime(std::string(text).c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr) return std::nullopt;
  return TimePoint(seconds(::timegm(&parts)));
}

std::string to_iso8601_milliseconds(TimePoint time) {
  const auto fraction = floor<milliseconds>(time) - floor<seconds>(time);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", broken_down(time), fraction.count());
}

}  // namespace berth::protocol
