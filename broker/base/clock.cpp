#include "broker/base/clock.hpp"

#include <charconv>
#include <cstdio>

namespace berth {

namespace {

struct Parts {
  int year = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0;
};

Parts parts_of(TimePoint time) {
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{days};
  const std::chrono::hh_mm_ss clock{std::chrono::floor<std::chrono::seconds>(time - days)};
  return {static_cast<int>(date.year()),
          static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()),
          static_cast<unsigned>(clock.hours().count()),
          static_cast<unsigned>(clock.minutes().count()),
          static_cast<unsigned>(clock.seconds().count())};
}

std::string print(TimePoint time, const char* format) {
  const Parts p = parts_of(time);
  char text[40];
  std::snprintf(text, sizeof text, format, p.year, p.month, p.day, p.hour, p.minute, p.second);
  return text;
}

// Takes exactly `count` digits off the front of `text`.
bool take_digits(std::string_view& text, std::size_t count, unsigned& value) {
  if (text.size() < count) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + count, value);
  if (error != std::errc{} || end != text.data() + count) return false;
  text.remove_prefix(count);
  return true;
}

bool take_char(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

TimePoint SystemClock::now() const { return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now()); }

SteadyClock::SteadyClock() : wall_(SystemClock().now()), steady_(std::chrono::steady_clock::now()) {}

TimePoint SteadyClock::now() const {
  return wall_ + std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - steady_);
}

std::string to_iso8601(TimePoint time) { return print(time, "%04d-%02u-%02uT%02u:%02u:%02uZ"); }
std::string to_amz_date(TimePoint time) { return print(time, "%04d%02u%02uT%02u%02u%02uZ"); }

std::optional<TimePoint> parse_time(std::string_view text) {
  unsigned year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (!take_digits(text, 4, year)) return std::nullopt;
  const bool dashed = take_char(text, '-');
  if (!take_digits(text, 2, month) || (dashed && !take_char(text, '-')) || !take_digits(text, 2, day)) return std::nullopt;
  if (!take_char(text, 'T') || !take_digits(text, 2, hour)) return std::nullopt;
  if (dashed && !take_char(text, ':')) return std::nullopt;
  if (!take_digits(text, 2, minute)) return std::nullopt;
  if (dashed && !take_char(text, ':')) return std::nullopt;
  if (!take_digits(text, 2, second)) return std::nullopt;
  std::chrono::microseconds fraction{0};
  if (take_char(text, '.')) {
    long scale = 100'000;
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), scale /= 10) {
      fraction += std::chrono::microseconds{(text.front() - '0') * scale};
    }
  }
  std::chrono::minutes offset{0};
  if (!take_char(text, 'Z')) {
    const bool plus = take_char(text, '+');
    unsigned offset_hours = 0, offset_minutes = 0;
    if ((!plus && !take_char(text, '-')) || !take_digits(text, 2, offset_hours)) return std::nullopt;
    take_char(text, ':');
    if (!take_digits(text, 2, offset_minutes)) return std::nullopt;
    offset = std::chrono::hours{offset_hours} + std::chrono::minutes{offset_minutes};
    if (!plus) offset = -offset;
  }
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(year)}, std::chrono::month{month},
                                         std::chrono::day{day}};
  if (!text.empty() || !date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  return TimePoint{std::chrono::sys_days{date}} + std::chrono::hours{hour} + std::chrono::minutes{minute} +
         std::chrono::seconds{second} + fraction - offset;
}

double to_epoch_seconds(TimePoint time) { return static_cast<double>(time.time_since_epoch().count()) / 1e6; }

}  // namespace berth
