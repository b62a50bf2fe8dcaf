// ControlPlane: the whole state of the cloud in memory behind one short mutex, and its way to disk.
//
//   return control.with([&](Control& c) -> Outcome<Json> { ...decide, change...; return answer; });
//
// with() runs the function under the lock (microseconds: no I/O, no waiting, no call of with() or read() inside), queues the
// records that changed to the store in the order of the decisions, releases the lock, waits until they are on disk, and
// returns. What the cluster wants done outside (cluster_sim::Effect) goes to the sink after it is on disk, in order, on one
// thread of the control plane. Thread-safe.
//
// A function that fails is not undone: check first, then change. What it did change is stored.
//
// Lock order: the control mutex, then one of: the identities pointer's, the effects', the store's. None is held while a sink
// runs, so a sink may call with().
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "broker/base/check.hpp"
#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"
#include "broker/base/random.hpp"
#include "broker/control/documents.hpp"
#include "broker/store/store.hpp"
#include "cluster_sim/cluster.hpp"
#include "credentials/identities.hpp"
#include "fuse/catalog.hpp"

namespace berth::control {

struct Control {
  std::shared_ptr<const credentials::Identities> identities;
  fuse::Catalog catalog;
  cluster_sim::Cluster cluster;
  Documents documents;
  TimePoint now{};  // of this decision
  Random& random;

  // The identities of this decision for changing: a copy, made on the first use within it. `identities` is the same object,
  // so later reads see the change.
  credentials::Identities& edit_identities();

  std::shared_ptr<credentials::Identities> edited;  // the control plane's own
};

namespace internal {

template <class T>
struct Answer {
  using Type = Result<T>;
};
template <class T, class E>
struct Answer<std::expected<T, E>> {
  using Type = std::expected<T, E>;
};
template <class F>
using AnswerOf = typename Answer<std::invoke_result_t<F&, Control&>>::Type;

// A store that can't be written, as the error type of the function: an Error, or {code, message} as an ApiError has.
template <class E>
E store_failure(const Error& error) {
  if constexpr (std::is_same_v<E, Error>) {
    return error;
  } else {
    E api_error{};
    api_error.code = std::string{"ServiceUnavailable"};
    api_error.message = error.message;
    return api_error;
  }
}

}  // namespace internal

class ControlPlane {
 public:
  struct Options {
    std::string account;  // 12 digits; empty: drawn at the first start. Later starts must agree or leave it empty.
    std::string region = "us-east-1";
    std::vector<std::string> zones{"us-east-1a", "us-east-1b"};
  };
  using EffectSink = std::function<void(const cluster_sim::Effect&)>;

  // Loads the state, or makes the first one: the account and its administrator. `clock`, `random` and `store` outlive it.
  static Result<std::unique_ptr<ControlPlane>> open(const Options& options, store::Store& store, const Clock& clock,
                                                    Random& random);
  // Effects not yet handed over are dropped: a start finds in the records what must be done.
  ~ControlPlane();
  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;

  // Starts the thread that hands effects to `sink`; until then they wait. Once. The sink may call with() and read().
  void deliver_effects_to(EffectSink sink);
  // Returns when every effect of decisions made so far has been handed over (needs a sink and a store that can be written).
  void wait_for_effects();

  // f(Control&). Returns what f returns if that is a Result or an Outcome, otherwise a Result of it. When the store can't be
  // written: Code::unavailable (ServiceUnavailable in an Outcome); f has then not run, or its outcome is open.
  // Blocks for the commit: not for I/O threads.
  template <class F>
  auto with(F&& f) -> internal::AnswerOf<F>;
  // As with(), but doesn't wait for the disk, and returns just what f returns: for what the outside reports, which has
  // happened whether or not it can be stored now. Never blocks on I/O.
  template <class F>
  auto apply(F&& f) -> std::invoke_result_t<F&, Control&>;
  // f(const Control&), under the lock. May see what isn't on disk yet. What f returns must not point into the state.
  template <class F>
  auto read(F&& f) const -> std::invoke_result_t<F&, const Control&>;

  // The identities as they are now: a snapshot that no one changes.
  std::shared_ptr<const credentials::Identities> identities() const;
  const std::string& account() const { return account_; }
  const std::string& region() const { return region_; }

 private:
  // Holds the control mutex.
  class Turn {
   public:
    explicit Turn(const ControlPlane& plane);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    const ControlPlane& plane_;
  };

  ControlPlane(store::Store& store, const Clock& clock, Random& random, cluster_sim::Settings settings);
  Result<> begin(const std::vector<store::RecordChange>& records, const std::string& cloud);

  template <class F>
  auto decide(F& f, store::Ticket& ticket) -> std::invoke_result_t<F&, Control&>;
  void begin_decision() { control_.now = clock_.now(); }
  // The ticket of the last batch that the decision may have seen or made.
  store::Ticket end_decision();
  void publish_identities(store::Batch& batch);
  void deliver();

  store::Store& store_;
  const Clock& clock_;
  const std::string account_, region_;

  mutable std::mutex mutex_;
  mutable std::atomic<std::thread::id> holder_;  // of mutex_
  Control control_;
  store::Ticket last_ticket_ = 0;

  mutable std::mutex identities_mutex_;  // held to copy or swap the pointer only
  std::shared_ptr<const credentials::Identities> published_;

  struct Pending {
    store::Ticket ticket;
    std::vector<cluster_sim::Effect> effects;
  };
  std::mutex effects_mutex_;
  std::condition_variable effects_changed_;
  std::deque<Pending> pending_;               // in the order of tickets
  std::uint64_t queued_ = 0, delivered_ = 0;  // Pendings so far
  bool stopping_ = false;
  EffectSink sink_;
  std::thread deliverer_;
};

template <class F>
auto ControlPlane::decide(F& f, store::Ticket& ticket) -> std::invoke_result_t<F&, Control&> {
  const Turn turn(*this);
  begin_decision();
  if constexpr (std::is_void_v<std::invoke_result_t<F&, Control&>>) {
    f(control_);
    ticket = end_decision();
  } else {
    auto value = f(control_);
    ticket = end_decision();
    return value;
  }
}

template <class F>
auto ControlPlane::apply(F&& f) -> std::invoke_result_t<F&, Control&> {
  store::Ticket ticket = 0;
  return decide(f, ticket);
}

template <class F>
auto ControlPlane::with(F&& f) -> internal::AnswerOf<F> {
  using Answer = internal::AnswerOf<F>;
  const auto refused = [](const Error& error) {
    return Answer{std::unexpect, internal::store_failure<typename Answer::error_type>(error)};
  };
  if (const auto writable = store_.writable(); !writable) return refused(writable.error());
  store::Ticket ticket = 0;
  const auto answering = [&f](Control& control) -> Answer {
    if constexpr (std::is_void_v<std::invoke_result_t<F&, Control&>>) {
      f(control);
      return {};
    } else {
      return f(control);
    }
  };
  Answer answer = decide(answering, ticket);
  if (const auto stored = store_.wait(ticket); !stored) return refused(stored.error());
  return answer;
}

template <class F>
auto ControlPlane::read(F&& f) const -> std::invoke_result_t<F&, const Control&> {
  const Turn turn(*this);
  return f(std::as_const(control_));
}

}  // namespace berth::control
