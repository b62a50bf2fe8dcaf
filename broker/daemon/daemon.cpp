#include "broker/daemon/daemon.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/agent/agent.hpp"
#include "broker/api/credentials_gate.hpp"
#include "broker/api/dispatcher.hpp"
#include "broker/api/registry.hpp"
#include "broker/base/log.hpp"
#include "broker/base/random.hpp"
#include "broker/control/control_plane.hpp"
#include "broker/daemon/admin.hpp"
#include "broker/daemon/admin_fs.hpp"
#include "broker/daemon/bootstrap.hpp"
#include "broker/daemon/efs_metrics.hpp"
#include "broker/daemon/services.hpp"
#include "broker/daemon/share_control.hpp"
#include "broker/daemon/status.hpp"
#include "broker/daemon/stop_signal.hpp"
#include "broker/daemon/task_life.hpp"
#include "broker/daemon/timers.hpp"
#include "broker/daemon/upgrade.hpp"
#include "broker/docker/volume_protocol.hpp"
#include "broker/docker/volumes.hpp"
#include "broker/http/server.hpp"
#include "broker/launch/host_mounts.hpp"
#include "broker/launch/launcher.hpp"
#include "broker/launch/task_credentials.hpp"
#include "broker/runtime/host_places.hpp"
#include "broker/runtime/runtime.hpp"
#include "broker/services/efs/places.hpp"
#include "broker/services/efs/replicator.hpp"
#include "broker/services/task_metadata/service.hpp"
#include "broker/store/store.hpp"
#include "credentials/sts/session_token.hpp"
#include "fuse/share.hpp"

namespace berth::daemon {

namespace {

using namespace std::chrono_literals;

constexpr unsigned kFrontDoorPortInTask = 4580;  // on 169.254.170.2, whatever the port outside

// A name for cgroups and namespaces that is the same at every start on this state directory: FNV-1a of its path.
std::string run_name(const std::string& state_directory) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : state_directory) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return fmt::format("berth-{:08x}", static_cast<std::uint32_t>(hash >> 32 ^ hash));
}

nlohmann::json describe(const std::vector<docker::VolumeView>& volumes) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& volume : volumes)
    list.push_back({{"name", volume.name},
                    {"file_system", volume.options.file_system},
                    {"access_point", volume.options.access_point},
                    {"role", volume.options.role},
                    {"zone", volume.options.zone},
                    {"rights", volume.rights},
                    {"mounts", volume.mounts}});
  return list;
}

bool changes_identities(const api::CallRecord& call) {
  const std::string_view operation = call.operation;
  const bool reads = operation.starts_with("Get") || operation.starts_with("List") || operation.starts_with("Simulate");
  return call.service == "iam" && !reads && call.error_code.empty();
}

// The front door stands for AWS's HTTPS endpoints. What comes over the host's loopback or a task's link never leaves the machine,
// and counts as aws:SecureTransport: else every policy that asks for TLS, as EFS's own default one does, would refuse all calls.
constexpr bool kCountsAsTls = true;

// All parts, in the order in which they are built; they go in reverse.
class Daemon {
 public:
  Daemon(const Config& config, const store::StateDirectory& directory, Survival& survival, ChildExits& exits)
      : config_(config), directory_(directory), survival_(survival), exits_(exits) {}

  Result<> start();
  void run();

 private:
  Result<> open_state();
  Result<> start_share();
  void build_services();
  services::efs::Places places() const;
  Result<> start_runtime();
  Result<> open_doors();
  void start_timers();

  void serve_task(const runtime::TaskListener& listener);
  void refresh_rights();
  nlohmann::json status() const;
  std::string endpoint() const;

  Config config_;
  const store::StateDirectory& directory_;
  Survival& survival_;
  ChildExits& exits_;

  const SystemClock clock_;
  SystemRandom random_;
  const TimePoint started_at_ = clock_.now();
  StopSignal stop_signal_;

  std::unique_ptr<store::Store> store_;
  std::unique_ptr<control::ControlPlane> plane_;
  std::unique_ptr<credentials::SessionTokens> tokens_;
  std::unique_ptr<fuse::Share> share_;
  std::unique_ptr<ShareControl> share_control_;
  services::cloudwatch::MetricStore metrics_;
  std::unique_ptr<EfsMetrics> efs_metrics_;
  std::unique_ptr<launch::Launcher> launcher_;
  std::unique_ptr<launch::HostMounts> host_mounts_;
  std::unique_ptr<runtime::HostPlaces> host_places_;
  std::unique_ptr<docker::Volumes> volumes_;
  std::unique_ptr<launch::TaskCredentials> task_credentials_;
  std::unique_ptr<services::task_metadata::TaskMetadata> task_metadata_;
  std::unique_ptr<services::efs::Parts> efs_;
  std::unique_ptr<api::Registry> registry_;
  std::unique_ptr<api::Dispatcher> dispatcher_;
  std::unique_ptr<TaskLife> life_;
  std::unique_ptr<agent::SimulatedAgent> agent_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<runtime::Runtime> runtime_;
  std::unique_ptr<Admin> admin_;
  std::unique_ptr<Timers> timers_;
  std::unique_ptr<Timers> slow_timers_;  // for what walks the disk
  std::unique_ptr<services::efs::Replicator> replicator_;
};

Result<> Daemon::open_state() {
  auto store = store::Store::open(directory_.database());
  if (!store) return fail(store.error());
  store_ = std::move(*store);
  const auto known = store::read_credentials(directory_);
  if (known && !config_.region_given) config_.region = known->region;
  auto plane = control::ControlPlane::open({.account = "", .region = config_.region, .zones = zone_names(config_)}, *store_,
                                           clock_, random_);
  if (!plane) return fail(plane.error());
  plane_ = std::move(*plane);
  if (auto made = make_default_network(*plane_); !made) return made;
  if (const auto owner = plane_->identities()->administrator()) {
    if (auto written =
            store::write_credentials(directory_, {plane_->account(), plane_->region(), owner.key->id, owner.key->secret});
        !written) {
      return written;
    }
  }
  auto key = store::load_or_make_key(directory_, random_);
  if (!key) return fail(key.error());
  tokens_ = std::make_unique<credentials::SessionTokens>(*key);
  return {};
}

Result<> Daemon::start_share() {
  auto share = fuse::Share::start({.workers = config_.share_workers,
                                   .linger = std::chrono::microseconds(config_.share_linger),
                                   .passthrough = config_.passthrough},
                                  survival_);
  if (!share) return fail(share.error());
  share_ = std::move(*share);
  share_control_ = std::make_unique<ShareControl>(*plane_, *share_, config_.efs_throughput);
  share_control_->begin();
  efs_metrics_ = std::make_unique<EfsMetrics>(*share_, metrics_, clock_);
  auto recovered = share_->recover();
  if (!recovered) return fail(recovered.error());
  if (!recovered->empty()) log::info("mounts recovered", {{"mounts", recovered->size()}});
  return {};
}

void Daemon::build_services() {
  launcher_ = std::make_unique<launch::Launcher>(
      *plane_, launch::Launcher::Options{.file_systems = directory_.file_systems(), .front_door_port = kFrontDoorPortInTask});
  host_mounts_ = std::make_unique<launch::HostMounts>(*plane_, *share_, directory_.file_systems());
  host_places_ = std::make_unique<runtime::LinuxHostPlaces>(runtime::HostNamespace{config_.host_mounts, config_.host_root});
  volumes_ = std::make_unique<docker::Volumes>(
      *plane_, *share_, *host_places_,
      docker::Volumes::Options{
          .file_systems = directory_.file_systems(), .places = directory_.volumes(), .role = config_.docker_role});
  volumes_->recover();
  task_credentials_ = std::make_unique<launch::TaskCredentials>(*plane_, *tokens_, random_);
  task_metadata_ = std::make_unique<services::task_metadata::TaskMetadata>(
      *plane_, clock_,
      [this](const cluster_sim::TaskId& task, const std::string& id,
             TimePoint now) -> std::expected<services::task_metadata::RoleCredentials, services::task_metadata::NoCredentials> {
        using services::task_metadata::NoCredentials;
        auto served = task_credentials_->serve(task, id, now);
        if (served) return services::task_metadata::RoleCredentials{served->role_arn, served->credentials};
        return std::unexpected(served.error() == launch::TaskCredentials::Refusal::unknown_id ? NoCredentials::unknown_id
                                                                                              : NoCredentials::not_available);
      },
      services::task_metadata::TaskMetadata::Options{.steady = config_.metadata_steady, .burst = config_.metadata_burst});
  efs_ = std::make_unique<services::efs::Parts>(services::efs::Parts{
      *plane_, services::efs::directories_in(places()), [this] { refresh_rights(); },
      [this] { share_control_->apply_throughput(); },
      [this](const fuse::FileSystemId& id) { return efs_metrics_->may_have_changed(id); },
      [this](const fuse::FileSystemId& id, const services::efs::Sizes& sizes) { efs_metrics_->measured(id, sizes); },
      [this](const fuse::FileSystemId& id) { replicator_->changed(id); },
      [this](const fuse::FileSystemId& id) { return replicator_->progress(id); }});
  replicator_ = std::make_unique<services::efs::Replicator>(
      *plane_,
      [places = places()](const auto& source, const auto& destination, auto since, auto& progress) {
        return services::efs::replicate_in(places, source, destination, since, progress);
      },
      [this] { refresh_rights(); },
      services::efs::Replicator::Options{.period = std::chrono::seconds(config_.replication_seconds)});
  efs_metrics_->ask([this] { return replicator_->counts(); });

  registry_ = std::make_unique<api::Registry>(make_services(*plane_, *efs_, *tokens_, random_, metrics_));
  const auto identities = [this] { return plane_->identities(); };
  dispatcher_ =
      std::make_unique<api::Dispatcher>(api::DispatcherParts{.registry = *registry_,
                                                             .clock = clock_,
                                                             .random = random_,
                                                             .authenticate = api::authenticate_with(identities, *tokens_),
                                                             .authorize = api::authorize_with(identities),
                                                             .record =
                                                                 [this](const api::CallRecord& call) {
                                                                   if (changes_identities(call)) refresh_rights();
                                                                 },
                                                             .account = plane_->account(),
                                                             .region = plane_->region()});
  agent_ = std::make_unique<agent::SimulatedAgent>(agent::SimulatedAgent::Parts{
      *plane_,
      [this](const credentials::Principal& principal, const std::string& service, const std::string& operation,
             const api::Json& input) { return dispatcher_->call(principal, service, operation, input); },
      [this](std::chrono::seconds delay, std::function<void()> function) { timers_->after(delay, std::move(function)); }});
  life_ = std::make_unique<TaskLife>(TaskLife::Parts{*plane_, *launcher_, *share_,
                                                     [this](const cluster_sim::InstanceId& id) { agent_->boot(id); },
                                                     [this](const cluster_sim::InstanceId& id) { agent_->terminate(id); },
                                                     [this](const std::string& task) {
                                                       task_credentials_->forget(cluster_sim::TaskId{task});
                                                       task_metadata_->forget(cluster_sim::TaskId{task});
                                                     }});
}

services::efs::Places Daemon::places() const { return services::efs::Places(directory_.file_systems(), config_.places); }

Result<> Daemon::start_runtime() {
  places().warn_of_missing_disks();
  std::vector<std::string> hidden = places().all();
  hidden.push_back(directory_.path());
  auto runtime =
      runtime::Runtime::start({.state_directory = directory_.path(),
                               .run_name = run_name(directory_.path()),
                               .hidden_paths = std::move(hidden),
                               .front_door_port = kFrontDoorPortInTask},
                              *share_, survival_, exits_,
                              {.report = [this](const runtime::Report& report) { life_->on_report(report); },
                               .listener_opened = [this](const runtime::TaskListener& listener) { serve_task(listener); },
                               .listeners_closing =
                                   [this](const runtime::TaskId& task) {
                                     server_->stop_listening("task:" + task.str());
                                     server_->stop_listening("task-front-door:" + task.str());
                                   }});
  if (!runtime) return fail(runtime.error());
  runtime_ = std::move(*runtime);
  life_->use(*runtime_);
  return {};
}

// Holds all live mounts against the policies of now.
void Daemon::refresh_rights() {
  life_->refresh_rights();
  host_mounts_->refresh_rights();
  volumes_->refresh_rights();
}

void Daemon::serve_task(const runtime::TaskListener& listener) {
  const std::string task = listener.task.str();
  Result<> adopted;
  if (listener.purpose == "metadata") {
    adopted = server_->adopt("task:" + task, listener.descriptor,
                             [this](const http::Request& request) { return task_metadata_->handle(request); });
  } else {
    const std::string address = plane_->read([&](const control::Control& c) -> std::string {
      const auto found = c.cluster.tasks().find(cluster_sim::TaskId{task});
      if (found == c.cluster.tasks().end() || !found->second.interface) return "";
      const auto interface = c.cluster.interfaces().find(*found->second.interface);
      return interface == c.cluster.interfaces().end() ? "" : cluster_sim::address_text(interface->second.address);
    });
    // The task reaches us over its own veth only; AWS would see the address of its network interface.
    adopted = server_->adopt("task-front-door:" + task, listener.descriptor,
                             [this](const http::Request& request) { return dispatcher_->handle(request); },
                             {.secure = kCountsAsTls, .peer = address});
  }
  if (!adopted) {
    log::error("a task's endpoint can't be served",
               {{"task", task}, {"purpose", listener.purpose}, {"error", adopted.error().message}});
  }
}

Result<> Daemon::open_doors() {
  admin_ = std::make_unique<Admin>(Admin::Parts{[this] { return status(); },
                                                [this](const std::string& action, const Admin::Parameters& parameters) {
                                                  return share_control_->change(action, parameters);
                                                },
                                                [this](const std::string& task, const std::string& container) {
                                                  return runtime_->log_path(runtime::TaskId{task}, container);
                                                },
                                                [this](const std::string& task) {
                                                  return plane_->read([&](const control::Control& c) {
                                                    const auto found = c.cluster.tasks().find(cluster_sim::TaskId{task});
                                                    return found == c.cluster.tasks().end() ||
                                                           found->second.last == cluster_sim::TaskStatus::stopped;
                                                  });
                                                },
                                                [this] { stop_signal_.raise(); },
                                                [this](const std::string& binary) -> Result<> {
                                                  if (auto checked = check_successor(binary); !checked) return checked;
                                                  return survival_.replace_with(binary);
                                                },
                                                [this](const http::Request& r) { return handle_fs(*host_mounts_, r); }});
  const bool loopback = config_.address.starts_with("127.") || config_.address == "::1";
  const auto front_door = [this, loopback](const http::Request& request) {
    // Without a signature, as a scraper asks; so only where nobody but this machine can.
    if (loopback && request.method == "GET" && request.path() == "/metrics") {
      return http::Response{200, {{"Content-Type", "text/plain; version=0.0.4"}}, efs_metrics_->prometheus()};
    }
    return dispatcher_->handle(request);
  };
  if (auto adopted = server_->adopt("front-door", config_.front_door, front_door, {.secure = loopback && kCountsAsTls});
      !adopted) {
    return adopted;
  }
  if (config_.plugin_socket >= 0) {
    auto adopted = server_->adopt("docker-plugin", config_.plugin_socket,
                                  [this](const http::Request& r) { return docker::handle_volume_request(*volumes_, r); });
    if (!adopted) return adopted;
  } else if (!config_.docker_plugin_missing.empty()) {
    log::warning("no volume plugin for Docker and Podman", {{"why", config_.docker_plugin_missing}});
  }
  return server_->listen_unix("admin", directory_.admin_socket(), 0600,
                              [this](const http::Request& r) { return admin_->handle(r); });
}

void Daemon::start_timers() {
  timers_->every(10s, [this] {
    plane_->apply([](control::Control& c) {
      c.cluster.expire(c.now);
      // Launches that failed for want of an address or a size are tried again.
      std::vector<cluster_sim::GroupName> groups;
      for (const auto& [name, group] : c.cluster.groups()) groups.push_back(name);
      for (const auto& name : groups) c.cluster.reconcile_group(c.now, c.random, name);
    });
  });
  timers_->every(10s, [this] { host_mounts_->expire(); });
  // What policies say may change with the time of day.
  slow_timers_->every(60s, [this] { refresh_rights(); });
  const std::chrono::seconds metrics_period{config_.metrics_seconds};
  timers_->every(metrics_period, [this] {
    share_control_->save_credits();
    efs_metrics_->sample();
  });
  slow_timers_->every(metrics_period, [this] {
    services::efs::measure_sizes(*efs_);
    share_control_->apply_throughput();
  });
}

Result<> Daemon::start() {
  timers_ = std::make_unique<Timers>();
  slow_timers_ = std::make_unique<Timers>();
  if (auto opened = open_state(); !opened) return opened;
  if (auto started = start_share(); !started) return started;
  build_services();
  services::efs::settle(*efs_);
  server_ = std::make_unique<http::Server>(http::ServerOptions{.workers = config_.request_workers});
  exits_.start();
  if (auto started = start_runtime(); !started) return started;
  life_->resume([this](const std::string& task) { return std::filesystem::exists(directory_.runtime() + "/tasks/" + task); });
  agent_->resume();
  plane_->deliver_effects_to([this](const cluster_sim::Effect& effect) { life_->on_effect(effect); });
  if (auto opened = open_doors(); !opened) return opened;
  start_timers();
  replicator_->start();
  log::info("berth is up", {{"endpoint", endpoint()},
                            {"account", plane_->account()},
                            {"region", plane_->region()},
                            {"oci_runtime", runtime_->oci_runtime()},
                            {"restarts", survival_.restarts()}});
  return {};
}

void Daemon::run() {
  announce(survival_.restarts() == 0 ? config_.ready_fd : -1, "ready " + endpoint());
  survival_.serves();
  stop_signal_.wait();
  log::info("berth stops");
  life_->stop_all(60s);
  // Nothing may call into what goes next: first the outside, then what works by itself.
  server_->stop();
  slow_timers_.reset();
  timers_.reset();
  replicator_.reset();
  volumes_->unmount_all();
  share_control_->save_credits();
}

std::string Daemon::endpoint() const {
  return fmt::format(fmt::runtime(config_.address.find(':') == std::string::npos ? "http://{}:{}" : "http://[{}]:{}"),
                     config_.address, config_.port);
}

nlohmann::json Daemon::status() const {
  const auto mounts = share_->stats();
  const auto network = share_control_->network();
  nlohmann::json object = plane_->read([&](const control::Control& c) { return status_of(c, mounts, network); });
  const auto where = places();
  for (auto& file_system : object.at("file_systems")) {
    file_system["directory"] = where.directory(fuse::FileSystemId(file_system.at("id").get<std::string>()));
  }
  bool passthrough = !mounts.empty();
  for (const auto& mount : mounts) passthrough = passthrough && mount.passthrough;
  object.update({{"version", BERTH_VERSION},
                 {"endpoint", endpoint()},
                 {"account", plane_->account()},
                 {"region", plane_->region()},
                 {"state_directory", directory_.path()},
                 {"daemon_pid", ::getpid()},
                 {"keeper_pid", ::getppid()},
                 {"restarts", survival_.restarts()},
                 {"upgrade_failure", survival_.replacement_failure()},
                 {"started_at", to_iso8601(started_at_)},
                 {"oci_runtime", runtime_->oci_runtime()},
                 {"docker_plugin", config_.plugin_socket >= 0 ? config_.docker_plugin : ""},
                 {"docker_plugin_missing", config_.docker_plugin_missing},
                 {"volumes", describe(volumes_->list())},
                 {"share", mounts.empty() ? "without mounts"
                           : passthrough  ? "with kernel passthrough"
                                          : "without kernel passthrough"}});
  return object;
}

}  // namespace

int run_daemon(const Config& config, const store::StateDirectory& directory, Survival& survival, ChildExits& exits) {
  const auto daemon = std::make_unique<Daemon>(config, directory, survival, exits);
  if (auto started = daemon->start(); !started) {
    log::error("berth can't start", {{"error", started.error().message}});
    if (!config.log_to_file) fmt::print(stderr, "berthd: {}\n", started.error().message);
    announce(config.ready_fd, "error: " + started.error().message);
    return 1;
  }
  daemon->run();
  return 0;
}

void announce(int ready_fd, const std::string& line) {
  if (ready_fd < 0) return;
  const std::string text = line + "\n";
  [[maybe_unused]] const ssize_t written = ::write(ready_fd, text.data(), text.size());
  ::close(ready_fd);
}

}  // namespace berth::daemon
