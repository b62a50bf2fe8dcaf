// Gates: holds back requests of mounts that have a slow, cut or narrow way to their file system, without holding a worker.
//
// A mount whose way is free is not gated: its requests never come here. Of a gated one each request passes, is refused, or is
// parked: kept as the kernel sent it, until its time has come (latency, throughput) or the zone is back. The timer is a
// descriptor for the reactor's epoll. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/zones/network.hpp"
#include "fuse/zones/request.hpp"
#include "fuse/zones/throughput.hpp"

namespace berth::fuse::zones {

using Client = std::uint32_t;  // a mount's number

class Gates {
 public:
  // Whether the thread of a request is being killed: a hard mount lets go of nobody else.
  using Killed = std::function<bool(std::uint32_t pid)>;

  explicit Gates(const Clock& clock, Killed killed = is_being_killed);

  // A mount and the flag that says whether its requests must come here. The flag must live until leave().
  void join(Client client, Ends ends, std::string file_system, bool metered, std::atomic<bool>& gated);
  // The messages that were parked for it: somebody in the kernel waits for an answer to each.
  std::vector<std::vector<std::byte>> leave(Client client);

  void set_network(Network network);
  // Holds all mounts of the file system together to its allowance; nullopt: no more. `credits` count where it had none before.
  void set_throughput(const std::string& file_system, std::optional<Allowance> allowance, double credits = kFirstCredits);

  struct Verdict {
    enum class Kind { pass, parked, refused, done };
    Kind kind = Kind::pass;
    int error = 0;  // of refused
  };
  // done: the request wanted no reply and needs no more.
  Verdict judge(Client client, std::span<const std::byte> message);

  // What is due now, one at a time: to be served, or refused where there is an error.
  struct Due {
    Client client = 0;
    std::vector<std::byte> message;
    int error = 0;
  };
  std::optional<Due> take();

  // Readable (edge-triggered) when something is due. Fails where the kernel has no more descriptors.
  Result<int> timer();

  // What is wrong between these ends.
  std::optional<Fault> fault(const Ends& ends) const;

  struct ClientState {
    std::size_t parked = 0;
    std::chrono::microseconds latency{0};
    std::optional<Fault> fault;
  };
  ClientState state(Client client) const;

  struct Throughput {
    std::string file_system;
    double credits = 0;    // bytes
    double permitted = 0;  // bytes a second
    Rates rates;
  };
  // Of the file systems that are held to one.
  std::vector<Throughput> throughput() const;

  static bool is_being_killed(std::uint32_t pid);

 private:
  struct Gate {
    Ends ends;
    std::string file_system;
    bool metered = false;  // every byte is to go through the daemon
    std::atomic<bool>* gated = nullptr;
  };
  struct Limit {
    Allowance allowance;
    Rates rates;
    Bucket bucket;
  };
  struct Parked {
    Client client = 0;
    Request request;
    std::vector<std::byte> message;
    bool outage = false;       // waits for a zone, not for a time
    int error = 0;             // when its time has come; 0: served
    bool interrupted = false;  // somebody waits for it to end
  };
  // What is to be done with a request, and when.
  struct Decision {
    Verdict verdict;
    TimePoint due{};
    bool outage = false;
    int error_when_due = 0;
  };
  using Line = std::multimap<TimePoint, Parked>;

  Decision decide(const Gate& gate, const Request& request, TimePoint now);
  TimePoint take_throughput(const Gate& gate, const Request& request, TimePoint now);
  Verdict interrupt(Client client, std::uint64_t unique);
  void update(Gate& gate) const;
  void judge_again();
  void arm();

  const Clock& clock_;
  const Killed killed_;
  mutable std::mutex mutex_;
  Network network_;
  std::map<Client, Gate> gates_;
  std::map<std::string, Limit> limits_;
  Line line_;
  std::size_t interrupted_ = 0;  // in line_
  UniqueFd timer_;
};

}  // namespace berth::fuse::zones
