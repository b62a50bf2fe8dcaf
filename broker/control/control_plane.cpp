#include "broker/control/control_plane.hpp"

#include <chrono>

#include <fmt/ranges.h>

#include "broker/base/log.hpp"
#include "broker/control/records.hpp"

namespace berth::control {

namespace {

// How long effects wait for a store that can't be written before they look again.
constexpr std::chrono::milliseconds kStoreRetry{100};

// Twelve digits, the first not 0: some tools read an account as a number.
std::string draw_account(Random& random) { return random.text(1, "123456789") + random.text(11, "0123456789"); }

Result<Cloud> agree(const Cloud& stored, const ControlPlane::Options& options) {
  if (!options.account.empty() && options.account != stored.account) {
    return fail(Code::failed_precondition,
                "the state directory is of account {}, not {}: leave the account out or name another directory", stored.account,
                options.account);
  }
  if (options.region != stored.region || options.zones != stored.zones) {
    return fail(Code::failed_precondition,
                "the state directory is of region `{}` with zones {}, not of `{}` with {}: name these or another directory",
                stored.region, fmt::join(stored.zones, ", "), options.region, fmt::join(options.zones, ", "));
  }
  return stored;
}

Result<Cloud> find_cloud(const std::vector<store::RecordChange>& records, const ControlPlane::Options& options, Random& random) {
  for (const auto& record : records) {
    if (record.kind != kCloudKind) continue;
    const auto stored = parse_cloud(record.value.value());
    if (!stored) return stored;
    return agree(*stored, options);
  }
  return Cloud{options.account.empty() ? draw_account(random) : options.account, options.region, options.zones};
}

}  // namespace

credentials::Identities& Control::edit_identities() {
  if (!edited || edited != identities) {
    edited = std::make_shared<credentials::Identities>(*identities);
    identities = edited;
  }
  return *edited;
}

ControlPlane::Turn::Turn(const ControlPlane& plane) : plane_(plane) {
  // with() or read() inside a function that holds the lock would wait for itself.
  BERTH_CHECK(plane_.holder_.load(std::memory_order_relaxed) != std::this_thread::get_id());
  plane_.mutex_.lock();
  plane_.holder_.store(std::this_thread::get_id(), std::memory_order_relaxed);
}

ControlPlane::Turn::~Turn() {
  plane_.holder_.store(std::thread::id{}, std::memory_order_relaxed);
  plane_.mutex_.unlock();
}

ControlPlane::ControlPlane(store::Store& store, const Clock& clock, Random& random, cluster_sim::Settings settings)
    : store_(store),
      clock_(clock),
      account_(settings.account),
      region_(settings.region),
      control_{.identities = nullptr,
               .catalog = {},
               .cluster = cluster_sim::Cluster{std::move(settings)},
               .documents = {},
               .now = clock.now(),
               .random = random,
               .edited = nullptr} {}

Result<std::unique_ptr<ControlPlane>> ControlPlane::open(const Options& options, store::Store& store, const Clock& clock,
                                                         Random& random) {
  std::vector<store::RecordChange> records;
  const auto loaded = store.load([&](std::string_view kind, std::string_view key, std::string_view value) -> Result<> {
    records.push_back({std::string{kind}, std::string{key}, std::string{value}});
    return {};
  });
  if (!loaded) return fail(loaded.error());
  const auto cloud = find_cloud(records, options, random);
  if (!cloud) return fail(cloud.error());
  cluster_sim::Settings settings;
  settings.account = cloud->account;
  settings.region = cloud->region;
  settings.zones = cloud->zones;
  std::unique_ptr<ControlPlane> plane{new ControlPlane{store, clock, random, std::move(settings)}};
  if (auto begun = plane->begin(records, encode_cloud(*cloud)); !begun) return fail(begun.error());
  return plane;
}

Result<> ControlPlane::begin(const std::vector<store::RecordChange>& records, const std::string& cloud) {
  if (records.empty()) {
    control_.identities =
        std::make_shared<credentials::Identities>(credentials::Identities::bootstrap(account_, control_.random, control_.now));
    store::Batch batch{{std::string{kCloudKind}, "settings", cloud}};
    publish_identities(batch);
    last_ticket_ = store_.submit(std::move(batch));
    return store_.wait(last_ticket_);
  }
  const auto identities = std::make_shared<credentials::Identities>(account_);
  for (const auto& record : records) {
    if (auto restored = restore_record(control_, *identities, record); !restored) {
      return fail(restored.error().within(fmt::format("stored record {} `{}`", record.kind, record.key)));
    }
  }
  control_.identities = identities;
  published_ = identities;
  return {};
}

ControlPlane::~ControlPlane() {
  {
    const std::scoped_lock lock(effects_mutex_);
    stopping_ = true;
  }
  effects_changed_.notify_all();
  if (deliverer_.joinable()) deliverer_.join();
}

std::shared_ptr<const credentials::Identities> ControlPlane::identities() const {
  const std::scoped_lock lock(identities_mutex_);
  return published_;
}

store::Ticket ControlPlane::end_decision() {
  store::Batch batch;
  publish_identities(batch);
  take_catalog(control_.catalog, batch);
  take_cluster(control_.cluster, batch);
  take_documents(control_.documents, batch);
  if (!batch.empty()) last_ticket_ = store_.submit(std::move(batch));
  if (auto effects = control_.cluster.take_effects(); !effects.empty()) {
    const std::scoped_lock lock(effects_mutex_);
    pending_.push_back({last_ticket_, std::move(effects)});
    ++queued_;
    effects_changed_.notify_all();
  }
  // Also where nothing changed: the answer may tell of what an earlier decision made.
  return last_ticket_;
}

void ControlPlane::publish_identities(store::Batch& batch) {
  // Only this thread writes published_: it holds the control mutex.
  std::shared_ptr<credentials::Identities> next = std::exchange(control_.edited, nullptr);
  if (next != control_.identities) next = nullptr;
  if (!next && control_.identities == published_) return;
  // A function that put identities of its own in place: its notes of what changed can be taken from a copy only.
  if (!next) next = std::make_shared<credentials::Identities>(*control_.identities);
  take_identities(*next, batch);
  control_.identities = next;
  const std::scoped_lock lock(identities_mutex_);
  published_ = std::move(next);
}

void ControlPlane::deliver_effects_to(EffectSink sink) {
  BERTH_CHECK(!deliverer_.joinable());
  sink_ = std::move(sink);
  deliverer_ = std::thread([this] { deliver(); });
}

void ControlPlane::wait_for_effects() {
  std::unique_lock lock(effects_mutex_);
  effects_changed_.wait(lock, [&, until = queued_] { return delivered_ >= until || stopping_; });
}

void ControlPlane::deliver() {
  std::unique_lock lock(effects_mutex_);
  while (true) {
    effects_changed_.wait(lock, [&] { return stopping_ || !pending_.empty(); });
    if (stopping_) return;
    const Pending next = pending_.front();
    lock.unlock();
    const bool durable = store_.wait(next.ticket).has_value();
    if (durable) {
      for (const auto& effect : next.effects) sink_(effect);
    }
    lock.lock();
    if (!durable) {
      effects_changed_.wait_for(lock, kStoreRetry, [&] { return stopping_; });
      continue;
    }
    pending_.pop_front();
    ++delivered_;
    effects_changed_.notify_all();
  }
}

}  // namespace berth::control
