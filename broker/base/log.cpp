#include "broker/base/log.hpp"

#include <unistd.h>

#include <atomic>
#include <chrono>

#include "broker/base/clock.hpp"

namespace berth::log {

namespace {

std::atomic<Level> least_level{Level::info};
std::atomic<int> descriptor{STDERR_FILENO};

std::string_view name_of(Level level) {
  switch (level) {
    case Level::debug: return "debug";
    case Level::info: return "info";
    case Level::warning: return "warning";
    case Level::error: return "error";
  }
  return "?";
}

// A value with a space, a quote or a control character is quoted, so that a line can be taken apart again.
void append_value(std::string& line, std::string_view value) {
  const bool plain = !value.empty() && value.find_first_of(" \"\\=") == std::string_view::npos &&
                     value.find_first_of(std::string_view{"\n\r\t\0", 4}) == std::string_view::npos;
  if (plain) {
    line += value;
    return;
  }
  line += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') line += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      line += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      line += c;
    }
  }
  line += '"';
}

}  // namespace

void set_level(Level level) { least_level = level; }
void set_descriptor(int fd) { descriptor = fd; }

void write(Level level, std::string_view message, std::initializer_list<Field> fields) {
  if (level < least_level.load(std::memory_order_relaxed)) return;
  const TimePoint now = SystemClock{}.now();
  std::string line = to_iso8601(now);
  line.pop_back();
  line += fmt::format(".{:03}Z {} {}", now.time_since_epoch().count() / 1000 % 1000, name_of(level), message);
  for (const Field& field : fields) {
    line += ' ';
    line += field.name;
    line += '=';
    append_value(line, field.value);
  }
  line += '\n';
  // A log that can't be written has nowhere to be reported.
  [[maybe_unused]] const ssize_t written = ::write(descriptor, line.data(), line.size());
}

}  // namespace berth::log
