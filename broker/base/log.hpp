// The log: one line an event, a fixed message with fields:
//   log::info("task started", {{"task", id}, {"pid", pid}});
// prints `2026-11-23T05:15:02.123Z info task started task=… pid=…`. Thread-safe; a line is written by one write(2).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace berth::log {

enum class Level { debug, info, warning, error };

struct Field {
  template <class T>
  Field(std::string_view field_name, const T& field_value) : name(field_name), value(fmt::format("{}", field_value)) {}
  std::string_view name;
  std::string value;
};

// Lines below `level` are dropped; info at start.
void set_level(Level level);
// Where lines go; standard error at start. The descriptor stays the caller's.
void set_descriptor(int fd);

void write(Level level, std::string_view message, std::initializer_list<Field> fields);

inline void debug(std::string_view m, std::initializer_list<Field> f = {}) { write(Level::debug, m, f); }
inline void info(std::string_view m, std::initializer_list<Field> f = {}) { write(Level::info, m, f); }
inline void warning(std::string_view m, std::initializer_list<Field> f = {}) { write(Level::warning, m, f); }
inline void error(std::string_view m, std::initializer_list<Field> f = {}) { write(Level::error, m, f); }

}  // namespace berth::log
