#include "broker/daemon/config.hpp"

#include <charconv>
#include <filesystem>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace berth::daemon {

namespace {

// ADDRESS:PORT, an IPv6 address in brackets.
Result<> parse_listen(const std::string& text, Config& config) {
  const std::size_t colon = text.rfind(':');
  unsigned port = 0;
  const char* end = text.data() + text.size();
  if (colon == std::string::npos || colon == 0 || std::from_chars(text.data() + colon + 1, end, port).ptr != end ||
      colon + 1 == text.size() || port > 65535) {
    return fail(Code::invalid_argument, "--listen `{}` is not ADDRESS:PORT, e.g. 127.0.0.1:4580", text);
  }
  config.address = text.substr(0, colon);
  if (config.address.front() == '[' && config.address.back() == ']') {
    config.address = config.address.substr(1, config.address.size() - 2);
  }
  config.port = port;
  return {};
}

// NAME=DIRECTORY.
Result<> parse_place(const std::string& text, Config& config) {
  const std::size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789-";
  if (equals == std::string::npos || name.empty() || name.find_first_not_of(kLetters) != std::string::npos)
    return fail(Code::invalid_argument, "--place `{}` is not NAME=DIRECTORY with a name of a-z, 0-9 and -", text);
  std::error_code failed;
  const auto directory = std::filesystem::canonical(text.substr(equals + 1), failed);
  if (failed || !std::filesystem::is_directory(directory))
    return fail(Code::invalid_argument, "--place `{}`: {}", text, failed ? failed.message() : "not a directory");
  if (!config.places.emplace(name, directory.string()).second)
    return fail(Code::invalid_argument, "--place `{}`: the name is given twice", name);
  return {};
}

}  // namespace

ParsedConfig parse_command_line(int argc, char** argv) {
  ParsedConfig parsed;
  Config& config = parsed.config;
  std::string listen = "127.0.0.1:4580";
  std::vector<std::string> places;
  CLI::App app{"The daemon of Berth; `berth up` starts it"};
  app.set_version_flag("--version", "berthd " BERTH_VERSION);
  // First: when one of the others is wrong, this one has been read, and `berth up` is told.
  app.add_option("--ready-fd", config.ready_fd, "descriptor to write `ready ENDPOINT` to");
  app.add_option("--state-dir", config.state_directory)->envname("BERTH_STATE_DIR")->capture_default_str();
  app.add_option("--listen", listen, "address and port of the front door")->capture_default_str();
  CLI::Option* region = app.add_option("--region", config.region, "fixed at the first start")->capture_default_str();
  app.add_option("--zones", config.zones, "availability zones, fixed at the first start")
      ->capture_default_str()
      ->check(CLI::Range(2, 6));
  app.add_option("--request-workers", config.request_workers)->capture_default_str()->check(CLI::Range(1, 256));
  app.add_option("--share-workers", config.share_workers)->capture_default_str()->check(CLI::Range(1, 64));
  app.add_option(
         "--share-linger", config.share_linger,
         "microseconds for which the share looks for the next request before it sleeps; 0: not at all, and idle processors of a "
         "virtual machine may halt between requests")
      ->capture_default_str()
      ->check(CLI::Range(0U, 1000U));
  app.add_flag("--efs-throughput", config.efs_throughput, "hold every file system to its throughput mode, bursting ones too");
  app.add_option("--place", places, "NAME=DIRECTORY: where EFS file systems with the tag berth:place=NAME are kept; repeatable");
  app.add_option("--metrics-seconds", config.metrics_seconds, "how often metrics are sampled and file systems measured")
      ->capture_default_str()
      ->check(CLI::Range(1U, 3600U));
  app.add_option("--replication-seconds", config.replication_seconds, "between two passes of an EFS replication, at least")
      ->capture_default_str()
      ->check(CLI::Range(1U, 900U));
  app.add_option("--metadata-steady", config.metadata_steady, "task endpoint requests a second for each path; 0: no limit")
      ->capture_default_str();
  app.add_option("--metadata-burst", config.metadata_burst)->capture_default_str();
  app.add_flag("!--no-passthrough", config.passthrough, "serve the share's data through the daemon");
  CLI::Option* plugin =
      app.add_option("--docker-plugin", config.docker_plugin, "socket of the volume plugin for Docker and Podman, or off")
          ->capture_default_str();
  app.add_option("--docker-role", config.docker_role, "role of Docker's and Podman's volumes that name none, by name or ARN");
  app.add_option("--handover", config.handover, "for `berth upgrade`")->group("");
  app.add_option("--front-door", config.front_door, "for `berth upgrade`")->group("");
  app.add_option("--plugin-socket", config.plugin_socket, "for `berth upgrade`")->group("");
  app.add_option("--host-mounts", config.host_mounts, "for `berth upgrade`")->group("");
  app.add_option("--host-root", config.host_root, "for `berth upgrade`")->group("");
  app.add_flag("--handover-version", config.handover_version, "for `berth upgrade`")->group("");
  app.add_flag("--log-file", config.log_to_file, "log to <state directory>/daemon.log");
  app.add_flag("--verbose", config.verbose, "log debug lines too");
  app.add_flag("--operations", config.list_operations, "print which operations of which service are built, in Markdown, and end");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    parsed.exit_code = app.exit(error) == 0 ? 0 : 2;
    if (parsed.exit_code != 0) parsed.problem = error.what();
    return parsed;
  }
  config.region_given = region->count() > 0;
  config.docker_plugin_given = plugin->count() > 0;
  if (config.docker_plugin == "off") config.docker_plugin.clear();
  if (!config.docker_plugin.empty())
    config.docker_plugin = std::filesystem::absolute(config.docker_plugin).lexically_normal().string();
  config.state_directory = std::filesystem::absolute(config.state_directory).lexically_normal().string();
  auto read = parse_listen(listen, config);
  for (const std::string& place : places) {
    if (read) read = parse_place(place, config);
  }
  if (!read) {
    parsed.exit_code = 2;
    parsed.problem = read.error().message;
    fmt::print(stderr, "berthd: {}\n", parsed.problem);
  }
  return parsed;
}

std::vector<std::string> zone_names(const Config& config) {
  std::vector<std::string> names;
  for (unsigned i = 0; i < config.zones; ++i) names.push_back(config.region + static_cast<char>('a' + i));
  return names;
}

}  // namespace berth::daemon
