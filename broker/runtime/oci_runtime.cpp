#include "broker/runtime/oci_runtime.hpp"

#include <signal.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <sstream>

#include "broker/base/json_depth.hpp"
#include "broker/base/log.hpp"
#include "broker/runtime/files.hpp"
#include "broker/runtime/process.hpp"

namespace berth::runtime {

std::vector<std::string> OciRuntime::arguments(std::vector<std::string> rest, const std::string& bundle) const {
  std::vector<std::string> all{program_, "--root", state_directory_};
  if (!bundle.empty()) all.insert(all.end(), {"--log", bundle + "/log", "--log-format", "json"});
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

// The last error in the log says more than what goes to the terminal.
Error OciRuntime::failure(const std::string& bundle, const Error& error) const {
  Error result = error;
  std::istringstream lines(read_file(bundle + "/log").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    const auto entry = nests_deeper(line) ? nlohmann::json() : nlohmann::json::parse(line, nullptr, false);
    if (entry.is_object() && entry.value("level", "") == "error") result.message = entry.value("msg", result.message);
  }
  return result;
}

Result<std::string> OciRuntime::version() const {
  auto output = run_checked({.arguments = {program_, "--version"}});
  if (!output) return fail(output.error());
  std::istringstream words(*output);
  std::string name, word, number;
  words >> name >> word >> number;
  return name + " " + number;
}

Result<pid_t> OciRuntime::create(const std::string& id, const std::string& bundle, int standard_output,
                                 int standard_error) const {
  const std::string pid_file = bundle + "/pid";
  ::unlink((bundle + "/log").c_str());
  auto created = run_checked({.arguments = arguments({"create", "--bundle", bundle, "--pid-file", pid_file, id}, bundle),
                              .standard_output = standard_output,
                              .standard_error = standard_error});
  if (!created) return fail(failure(bundle, created.error()));
  auto text = read_file(pid_file);
  if (!text) return fail(text.error());
  const pid_t pid = static_cast<pid_t>(std::strtol(text->c_str(), nullptr, 10));
  if (pid <= 1) return fail(Code::internal, "`{}` gave no pid", program_);
  return pid;
}

Result<> OciRuntime::start(const std::string& id, const std::string& bundle) const {
  auto started = run_checked({.arguments = arguments({"start", id}, bundle)});
  if (!started) return fail(failure(bundle, started.error()));
  return {};
}

Result<std::string> OciRuntime::status(const std::string& id) const {
  auto output = run_checked({.arguments = arguments({"state", id})});
  if (!output) return fail(output.error());
  const auto state = nests_deeper(*output) ? nlohmann::json() : nlohmann::json::parse(*output, nullptr, false);
  if (!state.is_object()) return fail(Code::internal, "`{} state` answered no JSON", program_);
  return state.value("status", "");
}

void OciRuntime::remove(const std::string& id) const noexcept {
  auto removed = run_program({.arguments = arguments({"delete", "--force", id})});
  if (!removed) log::warning("a container could not be deleted", {{"container", id}, {"why", removed.error().message}});
}

Result<int> OciRuntime::execute(const std::string& id, const std::vector<std::string>& command, std::chrono::milliseconds timeout,
                                const std::string& pid_file) const {
  std::vector<std::string> rest{"exec", "--pid-file", pid_file, id};
  rest.insert(rest.end(), command.begin(), command.end());
  ::unlink(pid_file.c_str());
  auto finished = run_program({.arguments = arguments(std::move(rest)), .timeout = timeout});
  if (finished) return finished->exit_code;
  // The runtime is dead, but not the command that it started.
  const pid_t pid = static_cast<pid_t>(std::strtol(read_file(pid_file).value_or("").c_str(), nullptr, 10));
  if (pid > 1) ::kill(pid, SIGKILL);
  return fail(finished.error());
}

}  // namespace berth::runtime
