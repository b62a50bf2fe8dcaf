// `berth upgrade`.
#include <sys/stat.h>

#include <climits>
#include <cstdlib>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/base/encoding.hpp"
#include "broker/cli/commands.hpp"
#include "broker/cli/connection.hpp"

namespace berth::cli {
namespace {

using namespace std::chrono_literals;

Result<std::string> path_of(const std::string& binary) {
  char path[PATH_MAX];
  const std::string wanted = binary.empty() ? daemon_path() : binary;
  if (::realpath(wanted.c_str(), path) == nullptr) return fail_errno(errno, "`" + wanted + "`");
  return std::string(path);
}

// Until the next daemon, of whichever program, answers.
Result<nlohmann::json> wait_for_next(const std::string& state_directory, unsigned restarts) {
  for (int tries = 0; tries < 1200; ++tries) {
    auto status = daemon_status(state_directory);
    if (status && status->value("restarts", 0U) > restarts) return status;
    std::this_thread::sleep_for(100ms);
  }
  return fail(Code::unavailable, "no daemon has answered for two minutes (log: {}/daemon.log)", state_directory);
}

}  // namespace

Result<int> upgrade(const UpgradeOptions& options) {
  auto binary = path_of(options.binary);
  if (!binary) return fail(binary.error());
  auto before = daemon_status(options.state_directory);
  if (!before) return fail(before.error());
  // The daemon may be gone before its answer is here.
  const auto answer = admin(options.state_directory, "POST", "/upgrade?binary=" + percent_encode(*binary), 30s);
  if (!answer && answer.error().code != Code::unavailable) return fail(answer.error());
  auto after = wait_for_next(options.state_directory, before->value("restarts", 0U));
  if (!after) return fail(after.error());
  if (const std::string why = after->value("upgrade_failure", ""); !why.empty()) {
    return fail(Code::failed_precondition, "`{}` did not take over: {}; the old program goes on (log: {}/daemon.log)", *binary,
                why, options.state_directory);
  }
  if (options.json) {
    fmt::print("{}\n", after->dump(2));
  } else {
    fmt::print("Berth {} has taken over from {}\n", after->value("version", ""), before->value("version", ""));
  }
  return 0;
}

}  // namespace berth::cli
