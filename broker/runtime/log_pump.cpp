#include "broker/runtime/log_pump.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "broker/base/check.hpp"
#include "broker/base/log.hpp"

namespace berth::runtime {
namespace {

// 2026-11-23T05:15:02.123456000Z; the clock gives microseconds.
std::string with_nanoseconds(TimePoint at) {
  const auto second = std::chrono::floor<std::chrono::seconds>(at);
  std::string text = to_iso8601(second);  // ends with Z
  text.pop_back();
  return fmt::format("{}.{:09}Z", text, std::chrono::nanoseconds(at - second).count());
}

}  // namespace

void trim_log(int file, std::uint64_t bytes_max) {
  constexpr std::uint64_t kBlockBytes = 512;  // of st_blocks, whatever the file system's are
  struct stat info{};
  if (::fstat(file, &info) != 0 || static_cast<std::uint64_t>(info.st_blocks) * kBlockBytes <= bytes_max) return;
  const off_t end = info.st_size - static_cast<off_t>(bytes_max / 2);
  if (end > 0) ::fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, end);
}

std::string read_log(int file, std::uint64_t& offset, std::size_t bytes_max) {
  const off_t data = ::lseek(file, static_cast<off_t>(offset), SEEK_DATA);
  const bool behind_a_hole = data > static_cast<off_t>(offset);
  if (behind_a_hole) offset = static_cast<std::uint64_t>(data);
  std::string bytes(bytes_max, '\0');
  const ssize_t got = ::pread(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  // The hole ends somewhere in a line, or in zeros where it ends within a block.
  const std::size_t skipped = behind_a_hole || bytes.starts_with('\0') ? bytes.find('\n') : std::string::npos;
  if (skipped == std::string::npos) return bytes;
  offset += skipped + 1;
  return bytes.substr(skipped + 1);
}

struct LogPump::Stream {
  Stream(int descriptor, UniqueFd log, std::string name, OutputBuffer& buffer)
      : pipe(descriptor), file(std::move(log)), lines(std::move(name), buffer) {}

  const int pipe;
  const UniqueFd file;  // O_APPEND: a container's two streams write to one file
  std::mutex mutex;     // guards what follows
  LineSplitter lines;
  bool done = false;
};

std::string format_log_line(TimePoint at, std::string_view stream, std::string_view text) {
  return fmt::format("{} {} {}\n", with_nanoseconds(at), stream, text);
}

LineSplitter::LineSplitter(std::string stream, OutputBuffer& buffer) : stream_(std::move(stream)), buffer_(buffer) {
  if (buffer_.length > sizeof buffer_.data) buffer_.length = 0;  // never by us
}

std::string LineSplitter::commit(TimePoint at, std::size_t size) {
  buffer_.length += static_cast<std::uint32_t>(size);
  const std::string_view bytes(buffer_.data, buffer_.length);
  std::string result;
  taken_ = 0;
  for (;;) {
    const std::size_t end = bytes.find('\n', taken_);
    const std::size_t length = (end == std::string_view::npos ? bytes.size() : end) - taken_;
    if (length > kLogLineBytesMax) {
      result += format_log_line(at, stream_, bytes.substr(taken_, kLogLineBytesMax));
      taken_ += kLogLineBytesMax;
    } else if (end == std::string_view::npos) {
      return result;
    } else {
      result += format_log_line(at, stream_, bytes.substr(taken_, length));
      taken_ = end + 1;
    }
  }
}

void LineSplitter::drop() {
  std::memmove(buffer_.data, buffer_.data + taken_, buffer_.length - taken_);
  buffer_.length -= static_cast<std::uint32_t>(taken_);
  taken_ = 0;
}

std::string LineSplitter::feed(TimePoint at, std::string_view bytes) {
  BERTH_CHECK(bytes.size() <= space().size());
  std::memcpy(space().data(), bytes.data(), bytes.size());
  std::string lines = commit(at, bytes.size());
  drop();
  return lines;
}

std::string LineSplitter::finish(TimePoint at) {
  std::string lines = commit(at, 0);
  drop();
  if (buffer_.length > 0) lines += format_log_line(at, stream_, std::string_view(buffer_.data, buffer_.length));
  buffer_.length = 0;
  return lines;
}

Result<std::unique_ptr<LogPump>> LogPump::start(const Clock& clock) {
  UniqueFd poll(::epoll_create1(EPOLL_CLOEXEC)), wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!poll || !wake) return fail_errno(errno, "make the log pump");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = wake.get();
  if (::epoll_ctl(poll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) return fail_errno(errno, "make the log pump");
  std::unique_ptr<LogPump> pump(new LogPump(clock, std::move(poll), std::move(wake)));
  pump->thread_ = std::thread([raw = pump.get()] { raw->run(); });
  return pump;
}

LogPump::~LogPump() {
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
  if (thread_.joinable()) thread_.join();
}

Result<> LogPump::add(int pipe, const std::string& path, const std::string& stream, OutputBuffer& buffer) {
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!file) return fail_errno(errno, "open log `" + path + "`");
  {
    const std::lock_guard lock(mutex_);
    streams_[pipe] = std::make_shared<Stream>(pipe, std::move(file), stream, buffer);
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = pipe;
  if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, pipe, &event) != 0) return fail_errno(errno, "watch a container's output");
  return {};
}

std::shared_ptr<LogPump::Stream> LogPump::find(int pipe) {
  const std::lock_guard lock(mutex_);
  const auto found = streams_.find(pipe);
  return found == streams_.end() ? nullptr : found->second;
}

void LogPump::finish(int pipe) {
  const std::shared_ptr<Stream> stream = find(pipe);
  if (!stream) return;
  ::epoll_ctl(poll_.get(), EPOLL_CTL_DEL, pipe, nullptr);
  while (pump(*stream)) {
  }
  {
    const std::lock_guard lock(stream->mutex);
    const std::string rest = stream->lines.finish(clock_.now());
    if (!rest.empty()) (void)!::write(stream->file.get(), rest.data(), rest.size());
    stream->done = true;
  }
  const std::lock_guard lock(mutex_);
  streams_.erase(pipe);
}

// One buffer full; false when the pipe is empty. A full disk loses lines, but never stops the container.
bool LogPump::pump(Stream& stream) {
  const std::lock_guard lock(stream.mutex);
  if (stream.done) return false;
  ssize_t n;
  const std::span<char> space = stream.lines.space();
  do n = ::read(stream.pipe, space.data(), space.size());
  while (n < 0 && errno == EINTR);
  if (n < 0) return false;
  if (n == 0) {  // every writer is gone
    stream.done = true;
    ::epoll_ctl(poll_.get(), EPOLL_CTL_DEL, stream.pipe, nullptr);
    return false;
  }
  const std::string lines = stream.lines.commit(clock_.now(), static_cast<std::size_t>(n));
  if (!lines.empty() && ::write(stream.file.get(), lines.data(), lines.size()) < 0)
    log::warning("a container's output is lost", {{"errno", errno}});
  if (!lines.empty()) trim_log(stream.file.get(), kLogBytesMax);
  stream.lines.drop();
  return true;
}

void LogPump::run() {
  std::array<epoll_event, 64> events{};
  for (;;) {
    const int n = ::epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < n; ++i) {
      const int pipe = events[static_cast<std::size_t>(i)].data.fd;
      if (pipe == wake_.get()) return;
      if (const std::shared_ptr<Stream> stream = find(pipe)) pump(*stream);
    }
  }
}

}  // namespace berth::runtime
