// LogPump: one thread that carries what containers print from their pipes into their log files, a line at a time.
// Thread-safe. The descriptors of the pipes stay the caller's.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"

namespace berth::runtime {

// `2026-11-23T05:15:02.123456000Z stdout text`; a line longer than 16 KiB is cut into several, as Docker does.
inline constexpr std::size_t kLogLineBytesMax = 16 * 1024;
// Disk that a container's output may take; beyond it the oldest half is given back.
inline constexpr std::uint64_t kLogBytesMax = std::uint64_t{256} << 20;
// Gives the disk of all but the newest half of `bytes_max` back where the file takes more than that. Offsets stay what they are:
// readers meet a hole and go on behind it.
void trim_log(int file, std::uint64_t bytes_max);
// What the log holds at `offset` or, where that has been given back, from the next whole line on. `offset` moves along.
std::string read_log(int file, std::uint64_t& offset, std::size_t bytes_max);
std::string format_log_line(TimePoint at, std::string_view stream, std::string_view text);

// What was read from a stream and is not in its file yet. Plain bytes: it may lie in memory that survives the daemon (Survival),
// so that a crash loses neither an unfinished line nor what was just read.
struct OutputBuffer {
  std::uint32_t length = 0;
  char data[kLogLineBytesMax + 64 * 1024];
};

// Splits what a stream gives into lines; the last, unfinished one waits for its end. Bytes come in by space() and commit(), or
// by feed(); drop() them when their lines are safe.
class LineSplitter {
 public:
  LineSplitter(std::string stream, OutputBuffer& buffer);
  std::span<char> space() { return std::span(buffer_.data).subspan(buffer_.length); }
  // `size` bytes were written into space(): the lines that are finished now, formatted.
  std::string commit(TimePoint at, std::size_t size);
  void drop();
  // commit() and drop() of bytes that fit.
  std::string feed(TimePoint at, std::string_view bytes);
  // The unfinished line too; dropped.
  std::string finish(TimePoint at);

 private:
  const std::string stream_;
  OutputBuffer& buffer_;
  std::size_t taken_ = 0;  // of the buffer, by lines that were given out
};

class LogPump {
 public:
  static Result<std::unique_ptr<LogPump>> start(const Clock& clock);
  ~LogPump();
  LogPump(const LogPump&) = delete;
  LogPump& operator=(const LogPump&) = delete;

  // `pipe` is non-blocking; lines are appended to the file at `path`. `buffer` must live until finish(); what it holds from
  // before comes first.
  Result<> add(int pipe, const std::string& path, const std::string& stream, OutputBuffer& buffer);
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
