// Store: the durable records of the cloud, in one SQLite database.
//
// A record is a (kind, key) with a text. Batches are committed in the order of their submission by one thread, many at a time
// (group commit): a batch is on disk as a whole or not at all, and never before an earlier one. What wait() has acknowledged
// survives SIGKILL and power loss. Thread-safe but for load().
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/base/error.hpp"

namespace berth::store {

struct RecordChange {
  std::string kind, key;
  std::optional<std::string> value;  // nullopt: the record is deleted
};
using Batch = std::vector<RecordChange>;

// The number of a batch, from 1; later batches have greater ones.
using Ticket = std::uint64_t;

class Store {
 public:
  struct Options {
    // How long to wait before a commit that failed (disk full, I/O error) is tried again.
    std::chrono::milliseconds retry_interval{500};
    // Called on the committing thread before each transaction, with the number of batches in it. For tests.
    std::function<void(std::size_t batches)> before_commit;
    // Called on the committing thread whenever more is on disk. Must not wait for the store.
    std::function<void(Ticket durable)> on_durable;
  };
  struct Statistics {
    std::uint64_t commits = 0;  // transactions, each with one fsync
    std::uint64_t batches = 0;  // batches in them
    std::uint64_t failures = 0;
  };

  // Makes the database where there is none. Refuses one of a newer schema, a damaged one and one that isn't Berth's.
  static Result<std::unique_ptr<Store>> open(const std::string& path, Options options);
  static Result<std::unique_ptr<Store>> open(const std::string& path) { return open(path, Options{}); }
  // Commits what is still queued.
  virtual ~Store() = default;

  // Queues the batch; returns at once.
  virtual Ticket submit(Batch batch) = 0;
  // Returns when the batch is on disk. Fails when its commit failed: the batch stays queued and is tried again, so the
  // outcome of that call is open. Until a retry succeeds every wait() for what isn't on disk fails.
  virtual Result<> wait(Ticket ticket) = 0;
  // Code::unavailable, with the cause, while the last commit has failed: refuse calls that would change something.
  virtual Result<> writable() const = 0;
  // The last batch that is on disk.
  virtual Ticket durable() const = 0;
  virtual Statistics statistics() const = 0;

  // All records in the order of (kind, key), before the first submit(). Ends at the first error of `visit`.
  using Visit = std::function<Result<>(std::string_view kind, std::string_view key, std::string_view value)>;
  virtual Result<> load(const Visit& visit) = 0;
};

}  // namespace berth::store
