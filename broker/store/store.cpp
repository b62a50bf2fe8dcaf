#include "broker/store/store.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "broker/base/check.hpp"
#include "broker/base/log.hpp"
#include "broker/store/database.hpp"

namespace berth::store {

namespace {

class SqliteStore final : public Store {
 public:
  SqliteStore(Database database, Options options)
      : database_(std::move(database)), options_(std::move(options)), committer_([this] { run(); }) {}

  ~SqliteStore() override {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    work_.notify_one();
    committer_.join();
  }

  Ticket submit(Batch batch) override {
    const std::scoped_lock lock(mutex_);
    submitting_ = true;
    queue_.push_back(std::move(batch));
    if (!failure_) work_.notify_one();  // a failed store is woken by its timer only
    return ++submitted_;
  }

  Result<> wait(Ticket ticket) override {
    std::unique_lock lock(mutex_);
    BERTH_CHECK(ticket <= submitted_);
    changed_.wait(lock, [&] { return durable_ >= ticket || failure_; });
    if (durable_ >= ticket) return {};
    return fail(*failure_);
  }

  Result<> writable() const override {
    const std::scoped_lock lock(mutex_);
    if (failure_) return fail(*failure_);
    return {};
  }

  Ticket durable() const override {
    const std::scoped_lock lock(mutex_);
    return durable_;
  }

  Statistics statistics() const override {
    const std::scoped_lock lock(mutex_);
    return statistics_;
  }

  Result<> load(const Visit& visit) override {
    {
      const std::scoped_lock lock(mutex_);
      BERTH_CHECK(!submitting_);  // from then on the database is the committing thread's
    }
    return database_.load(visit);
  }

 private:
  void run();
  // Commits all of queue_ as one group; the lock is released meanwhile.
  void commit_group(std::unique_lock<std::mutex>& lock);
  void note_success(std::size_t batches);
  void note_failure(const Error& error);

  Database database_;
  const Options options_;

  mutable std::mutex mutex_;
  std::condition_variable work_, changed_;
  std::vector<Batch> queue_;  // not on disk yet, in order
  bool submitting_ = false, stopping_ = false;
  Ticket submitted_ = 0, durable_ = 0;
  std::optional<Error> failure_;  // of the last commit
  Statistics statistics_;

  std::thread committer_;  // last: it uses all of the above
};

void SqliteStore::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (failure_) {
      work_.wait_for(lock, options_.retry_interval, [&] { return stopping_; });
    } else {
      work_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    }
    const bool last = stopping_;
    if (!queue_.empty()) commit_group(lock);
    if (last && (queue_.empty() || failure_)) break;
  }
  if (!queue_.empty()) log::error("changes lost: the store could not be written", {{"batches", queue_.size()}});
}

void SqliteStore::commit_group(std::unique_lock<std::mutex>& lock) {
  std::vector<Batch> group = std::exchange(queue_, {});
  lock.unlock();
  if (options_.before_commit) options_.before_commit(group.size());
  const auto committed = database_.commit(group);
  lock.lock();
  if (committed) {
    note_success(group.size());
  } else {
    // Put back in front of what came in meanwhile: the order of the decisions is the order on disk.
    group.insert(group.end(), std::make_move_iterator(queue_.begin()), std::make_move_iterator(queue_.end()));
    queue_ = std::move(group);
    note_failure(committed.error());
  }
  changed_.notify_all();
  if (committed && options_.on_durable) {
    const Ticket durable = durable_;
    lock.unlock();
    options_.on_durable(durable);
    lock.lock();
  }
}

void SqliteStore::note_success(std::size_t batches) {
  if (failure_) log::info("store can be written again", {{"batches", batches}});
  failure_.reset();
  durable_ += batches;
  statistics_.commits += 1;
  statistics_.batches += batches;
}

void SqliteStore::note_failure(const Error& error) {
  if (!failure_) log::error("store can't be written; calls that change something are refused", {{"error", error.message}});
  failure_ =
      Error{Code::unavailable, fmt::format("can't store changes until this is mended: {}", error.message), error.errno_value};
  statistics_.failures += 1;
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::string& path, Options options) {
  auto database = Database::open(path);
  if (!database) return fail(database.error());
  return std::make_unique<SqliteStore>(std::move(*database), std::move(options));
}

}  // namespace berth::store
