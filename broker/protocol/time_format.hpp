// Time stamps as the protocols write them. A time is seconds since 1970, as handlers have it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "broker/base/clock.hpp"
#include "broker/protocol/model.hpp"

namespace berth::protocol {

TimePoint time_of(double epoch_seconds);
// `Mon, 23 Nov 2026 05:15:02 GMT` (RFC 9110).
std::string to_http_date(TimePoint time);
std::optional<TimePoint> parse_http_date(std::string_view text);
// `2026-11-23T05:15:02.000Z`: EC2 and Auto Scaling write milliseconds.
std::string to_iso8601_milliseconds(TimePoint time);

}  // namespace berth::protocol
