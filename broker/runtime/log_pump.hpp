// LogPump: one thread that carries what containers print from their pipes into their log files, a line at a time.
// Thread-safe. The descriptors of the pipes stay the caller's.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"

namespace berth::runtime {

// `2026-11-23T05:15:02.123456000Z stdout text`; a line longer than 16 KiB is cut into several, as Docker does.
inline constexpr std::size_t kLogLineBytesMax = 16 * 1024;
std::string format_log_line(TimePoint at, std::string_view stream, std::string_view text);

// Splits what a stream gives into lines; the last, unfinished one waits for its end.
class LineSplitter {
 public:
  explicit LineSplitter(std::string stream) : stream_(std::move(stream)) {}
  // The finished lines, formatted.
  std::string feed(TimePoint at, std::string_view bytes);
  // The unfinished one too.
  std::string finish(TimePoint at);

 private:
  std::string stream_, pending_;
};

class LogPump {
 public:
  static Result<std::unique_ptr<LogPump>> start(const Clock& clock);
  ~LogPump();
  LogPump(const LogPump&) = delete;
  LogPump& operator=(const LogPump&) = delete;

  // `pipe` is non-blocking; lines are appended to the file at `path`.
  Result<> add(int pipe, const std::string& path, const std::string& stream);
  // Takes what is still in the pipe and lets go of it. Accepts descriptors that it never saw.
  void finish(int pipe);

 private:
  struct Stream;
  LogPump(const Clock& clock, UniqueFd poll, UniqueFd wake) : clock_(clock), poll_(std::move(poll)), wake_(std::move(wake)) {}
  void run();
  std::shared_ptr<Stream> find(int pipe);
  bool pump(Stream& stream);

  const Clock& clock_;
  UniqueFd poll_, wake_;
  std::mutex mutex_;  // order: mutex_ is never held while a stream's is taken
  std::map<int, std::shared_ptr<Stream>> streams_;
  std::thread thread_;
};

}  // namespace berth::runtime
