#include "broker/daemon/services.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "broker/base/clock.hpp"
#include "broker/base/random.hpp"
#include "broker/control/control_plane.hpp"
#include "broker/services/autoscaling/service.hpp"
#include "broker/services/cloudwatch/service.hpp"
#include "broker/services/ec2/service.hpp"
#include "broker/services/ecs/service.hpp"
#include "broker/services/iam/service.hpp"
#include "broker/services/sts/service.hpp"
#include "broker/store/store.hpp"

namespace berth::daemon {

namespace {

constexpr std::string_view kHead = R"(# The API, operation by operation

Made by `berthd --operations`; a test holds this page against the code. What an operation accepts and does not act on yet is in
[ECS.md](ECS.md) and [EFS.md](EFS.md). What is not built answers `NotImplemented` with status 501 and says the operation's name.
Of EC2 and its hundreds of actions the table holds only those around a cluster; every other one answers `InvalidAction`.
)";

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "berth-operations-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }  // empty: there is none

 private:
  std::string path_;
};

std::string list_service(const api::Entry& entry) {
  std::vector<std::string_view> built, missing;
  for (const auto& [name, operation] : entry.model->operations()) (entry.row(name) ? built : missing).push_back(name);
  std::string text = fmt::format("\n## {} ({})\n\nSigned as `{}`. {} operations are built, {} are not.\n\nBuilt: {}.\n",
                                 entry.model->name(), entry.model->api_version(), fmt::join(entry.service.signing_names, "`, `"),
                                 built.size(), missing.size(), fmt::join(built, ", "));
  if (!missing.empty()) text += fmt::format("\nNot built: {}.\n", fmt::join(missing, ", "));
  return text;
}

}  // namespace

std::vector<api::Service> make_services(control::ControlPlane& plane, const services::efs::Parts& efs,
                                        const credentials::SessionTokens& tokens, Random& random,
                                        const services::cloudwatch::MetricStore& metrics) {
  std::vector<api::Service> made;
  made.push_back(services::ecs::make_ecs(plane));
  made.push_back(services::efs::make_service(efs));
  made.push_back(services::iam::make_iam(plane));
  made.push_back(services::sts::make_sts(plane, tokens, random));
  made.push_back(services::ec2::make_ec2(plane));
  made.push_back(services::autoscaling::make_autoscaling(plane));
  made.push_back(services::cloudwatch::make_cloudwatch(metrics));
  return made;
}

std::string list_operations(const api::Registry& registry) {
  std::string text(kHead);
  for (const auto& entry : registry.entries()) text += list_service(*entry);
  return text;
}

Result<std::string> list_operations() {
  const TemporaryDirectory directory;
  if (directory.path().empty()) return fail_errno(errno, "make a temporary directory");
  const SystemClock clock;
  SystemRandom random;
  auto store = store::Store::open(directory.path() + "/berth.db");
  if (!store) return fail(store.error());
  auto plane = control::ControlPlane::open({}, **store, clock, random);
  if (!plane) return fail(plane.error());
  const credentials::SessionTokens tokens(Secret(std::string(32, '\0')));
  const services::cloudwatch::MetricStore metrics;
  return list_operations(api::Registry(make_services(**plane, {**plane, {}, {}}, tokens, random, metrics)));
}

}  // namespace berth::daemon
