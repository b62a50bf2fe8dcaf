#include "fuse/zones/gates.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <utility>

#include <fmt/format.h>

namespace berth::fuse::zones {
namespace {

constexpr TimePoint kNever = TimePoint::max();
// The kernel tells of a thread's first signal only: whether it is a deadly one by now is asked this often.
constexpr std::chrono::milliseconds kAskAgain{100};

}  // namespace

Gates::Gates(const Clock& clock, Killed killed) : clock_(clock), killed_(std::move(killed)) {}

// A signal that ends the process is SIGKILL to each of its threads by the time that they are woken.
bool Gates::is_being_killed(std::uint32_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  if (!status) return true;
  constexpr std::uint64_t kKill = std::uint64_t{1} << 8U;
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("SigPnd:") && !line.starts_with("ShdPnd:")) continue;
    if ((std::strtoull(line.c_str() + 7, nullptr, 16) & kKill) != 0) return true;
  }
  return false;
}

void Gates::update(Gate& gate) const {
  const bool gated = gate.metered || limits_.contains(gate.file_system) || !network_.path(gate.ends).plain();
  gate.gated->store(gated, std::memory_order_relaxed);
}

void Gates::join(Client client, Ends ends, std::string file_system, bool metered, std::atomic<bool>& gated) {
  const std::scoped_lock lock(mutex_);
  Gate& gate = gates_[client];
  gate = {std::move(ends), std::move(file_system), metered, &gated};
  update(gate);
}

std::vector<std::vector<std::byte>> Gates::leave(Client client) {
  const std::scoped_lock lock(mutex_);
  gates_.erase(client);
  std::vector<std::vector<std::byte>> left;
  std::erase_if(line_, [&](auto& entry) {
    if (entry.second.client != client) return false;
    if (entry.second.interrupted) --interrupted_;
    left.push_back(std::move(entry.second.message));
    return true;
  });
  return left;
}

void Gates::set_network(Network network) {
  const std::scoped_lock lock(mutex_);
  network_ = std::move(network);
  for (auto& [client, gate] : gates_) update(gate);
  judge_again();
}

void Gates::set_throughput(const std::string& file_system, std::optional<Allowance> allowance, double credits) {
  const std::scoped_lock lock(mutex_);
  const auto found = limits_.find(file_system);
  if (found != limits_.end() && allowance && found->second.allowance == *allowance) return;
  const TimePoint now = clock_.now();
  if (!allowance) {
    limits_.erase(file_system);
  } else if (found == limits_.end()) {
    limits_.insert({file_system, {*allowance, rates_of(*allowance), Bucket(credits, now)}});
  } else {
    const double left = found->second.bucket.credits(found->second.rates, now);
    found->second = {*allowance, rates_of(*allowance), Bucket(left, now)};
  }
  for (auto& [client, gate] : gates_) update(gate);
  // What waits for the old rate has been charged for already.
  std::vector<Line::node_type> freed;
  for (auto entry = line_.begin(); entry != line_.end();) {
    const auto gate = gates_.find(entry->second.client);
    const auto at = entry++;
    if (!at->second.outage && gate != gates_.end() && gate->second.file_system == file_system) freed.push_back(line_.extract(at));
  }
  for (auto& node : freed) {
    node.key() = now;
    line_.insert(std::move(node));
  }
  arm();
}

// Those that waited for a zone meet the network as it is now.
void Gates::judge_again() {
  const TimePoint now = clock_.now();
  std::vector<Line::node_type> waiting;
  for (auto entry = line_.begin(); entry != line_.end();) {
    const auto at = entry++;
    if (at->second.outage) waiting.push_back(line_.extract(at));
  }
  for (auto& node : waiting) {
    const auto gate = gates_.find(node.mapped().client);
    if (gate == gates_.end()) continue;
    const Decision decision = decide(gate->second, node.mapped().request, now);
    const bool parked = decision.verdict.kind == Verdict::Kind::parked;
    // A patience that has begun is not begun anew.
    const bool same = parked && decision.outage && decision.error_when_due == node.mapped().error;
    if (!same) node.key() = parked ? decision.due : now;
    node.mapped().outage = decision.outage;
    node.mapped().error = parked ? decision.error_when_due : decision.verdict.error;
    line_.insert(std::move(node));
  }
  arm();
}

TimePoint Gates::take_throughput(const Gate& gate, const Request& request, TimePoint now) {
  const auto limit = limits_.find(gate.file_system);
  if (limit == limits_.end()) return now;
  const double metered = request.kind == Request::Kind::read    ? metered_read(request.bytes)
                         : request.kind == Request::Kind::write ? metered_write(request.bytes)
                                                                : metered_metadata();
  return limit->second.bucket.take(limit->second.rates, metered, now);
}

Gates::Decision Gates::decide(const Gate& gate, const Request& request, TimePoint now) {
  using Kind = Verdict::Kind;
  // The kernel copies by reads and writes then, which can be counted; as an NFS 4.1 client does.
  if (request.kind == Request::Kind::copy && (gate.metered || limits_.contains(gate.file_system))) {
    return {.verdict = {Kind::refused, EOPNOTSUPP}};
  }
  const Path path = network_.path(gate.ends);
  if (path.fault != nullptr) {
    switch (path.fault->clients) {
      case Fault::Clients::wait: return {.verdict = {Kind::parked}, .due = kNever, .outage = true};
      case Fault::Clients::fail:
        return {.verdict = {Kind::parked}, .due = now + path.fault->patience, .outage = true, .error_when_due = EIO};
      case Fault::Clients::read_only:
        if (request.changes) return {.verdict = {Kind::refused, EROFS}};
    }
  }
  const TimePoint due = take_throughput(gate, request, now) + path.latency + (request.changes ? path.commit : path.commit * 0);
  return {.verdict = {due > now ? Kind::parked : Kind::pass}, .due = due};
}

Gates::Verdict Gates::judge(Client client, std::span<const std::byte> message) {
  const Request request = read_request(message);
  if (request.kind == Request::Kind::local) return {};
  const std::scoped_lock lock(mutex_);
  if (request.kind == Request::Kind::interrupt) return interrupt(client, request.interrupted);
  const auto gate = gates_.find(client);
  if (gate == gates_.end()) return {};
  const Decision decision = decide(gate->second, request, clock_.now());
  if (decision.verdict.kind != Verdict::Kind::parked) return decision.verdict;
  line_.insert({decision.due, {client, request, {message.begin(), message.end()}, decision.outage, decision.error_when_due}});
  arm();
  return decision.verdict;
}

Gates::Verdict Gates::interrupt(Client client, std::uint64_t unique) {
  for (auto& [due, parked] : line_) {
    if (parked.client != client || number_of(parked.request.unique) != number_of(unique)) continue;
    if (!std::exchange(parked.interrupted, true)) ++interrupted_;
    arm();
    return {Verdict::Kind::done};
  }
  return {};
}

std::optional<Gates::Due> Gates::take() {
  const std::scoped_lock lock(mutex_);
  const auto give = [&](Line::iterator entry, int error) {
    Due due{entry->second.client, std::move(entry->second.message), error};
    if (entry->second.interrupted) --interrupted_;
    line_.erase(entry);
    arm();
    return due;
  };
  if (!line_.empty() && line_.begin()->first <= clock_.now()) return give(line_.begin(), line_.begin()->second.error);
  if (interrupted_ > 0) {
    for (auto entry = line_.begin(); entry != line_.end(); ++entry) {
      if (entry->second.interrupted && killed_(entry->second.request.pid)) return give(entry, EINTR);
    }
  }
  arm();
  return std::nullopt;
}

Result<int> Gates::timer() {
  const std::scoped_lock lock(mutex_);
  if (!timer_) timer_.reset(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer_) return fail_errno(errno, "timer of the share");
  arm();
  return timer_.get();
}

// The timer runs on the machine's time, by as much as the clock has to go.
void Gates::arm() {
  if (!timer_) return;
  struct itimerspec at{};
  const TimePoint now = clock_.now();
  TimePoint next = line_.empty() ? kNever : line_.begin()->first;
  if (interrupted_ > 0) next = std::min(next, now + kAskAgain);
  if (next != kNever) {
    const auto wait = std::max(std::chrono::microseconds{0}, next - now);
    at.it_value.tv_sec = wait.count() / 1'000'000;
    at.it_value.tv_nsec = wait.count() % 1'000'000 * 1000 + 1;  // all zeroes would stop it
  }
  timerfd_settime(timer_.get(), 0, &at, nullptr);
}

std::optional<Fault> Gates::fault(const Ends& ends) const {
  const std::scoped_lock lock(mutex_);
  const Fault* fault = network_.path(ends).fault;
  return fault == nullptr ? std::nullopt : std::optional(*fault);
}

Gates::ClientState Gates::state(Client client) const {
  const std::scoped_lock lock(mutex_);
  ClientState state;
  const auto gate = gates_.find(client);
  if (gate == gates_.end()) return state;
  const Path path = network_.path(gate->second.ends);
  state.latency = path.latency;
  if (path.fault != nullptr) state.fault = *path.fault;
  state.parked = static_cast<std::size_t>(
      std::ranges::count_if(line_, [client](const auto& entry) { return entry.second.client == client; }));
  return state;
}

std::vector<Gates::Throughput> Gates::throughput() const {
  const std::scoped_lock lock(mutex_);
  const TimePoint now = clock_.now();
  std::vector<Throughput> all;
  for (const auto& [file_system, limit] : limits_) {
    all.push_back({file_system, limit.bucket.credits(limit.rates, now), limit.bucket.permitted(limit.rates, now), limit.rates});
  }
  return all;
}

}  // namespace berth::fuse::zones
