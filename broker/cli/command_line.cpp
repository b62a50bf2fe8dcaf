#include "broker/cli/command_line.hpp"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <functional>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "broker/cli/commands.hpp"

namespace berth::cli {

namespace {

void add_state_directory(CLI::App& command, std::string& directory) {
  const auto absolute = [](const std::string& text) { return std::filesystem::absolute(text).lexically_normal().string(); };
  command.add_option("--state-dir", directory, "Berth's state directory")
      ->envname("BERTH_STATE_DIR")
      ->default_val("/var/lib/berth")
      ->transform(absolute);
}

void add_common(CLI::App& command, CommonOptions& options) {
  add_state_directory(command, options.state_directory);
  command.add_flag("--json", options.json, "print JSON, for machines");
}

// What a command's --help shows below its options.
void add_example(CLI::App& command, const std::string& example) { command.footer("Example:\n  " + example); }

void add_zone_command(CLI::App& zones, const std::string& action, ZoneOptions& options, std::function<Result<int>()>& chosen) {
  const char* what = action == "isolate"   ? "cut a zone off from all others"
                     : action == "lose"    ? "let nothing in a zone answer"
                     : action == "restore" ? "give a zone back; what waits goes on"
                                           : "how long a request takes between two zones, or inside one";
  CLI::App* made = zones.add_subcommand(action, what);
  made->callback([&options, &chosen, action] {
    options.action = action;
    chosen = [&options] { return zone(options); };
  });
  add_common(*made, options);
  made->add_option("zone", options.zone, "e.g. us-east-1a")->required();
  if (action == "latency") {
    made->add_option("other", options.other, "the other zone, or the same")->required();
    made->add_option("milliseconds", options.milliseconds, "0 takes it away")->required();
  } else if (action != "restore") {
    auto* soft = made->add_flag("--soft", options.soft, "I/O fails with EIO, as on a soft NFS mount, instead of waiting");
    made->add_flag("--read-only", options.read_only, "mounts go to a copy that can be read and not written")->excludes(soft);
    made->add_option("--timeo", options.timeo, "with --soft: tenths of a second until the first retransmission")
        ->capture_default_str()
        ->check(CLI::Range(1U, 36000U));
    made->add_option("--retrans", options.retrans, "with --soft: how many retransmissions, each waited for one timeo longer")
        ->capture_default_str()
        ->check(CLI::Range(0U, 10U));
  }
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CLI::App app{"Berth: Amazon ECS, for real, on one Linux machine"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "berth " BERTH_VERSION);
  std::function<Result<int>()> chosen;
  const auto command = [&](const char* name, const char* what, std::function<Result<int>()> function) {
    CLI::App* made = app.add_subcommand(name, what);
    made->callback([&chosen, function = std::move(function)] { chosen = function; });
    return made;
  };

  UpOptions up_options;
  CLI::App* made = command("up", "start the daemon and wait until it answers", [&] { return up(up_options); });
  add_state_directory(*made, up_options.state_directory);
  made->add_option("--listen", up_options.listen, "address and port of the front door; port 0 takes a free one")
      ->capture_default_str();
  made->add_option("--region", up_options.region, "region to simulate (us-east-1 at first start, then fixed)");
  made->add_option("--docker-plugin", up_options.docker_plugin,
                   "socket of the volume plugin for Docker and Podman, or off (/run/docker/plugins/berth.sock)");
  made->add_option("--docker-role", up_options.docker_role, "role of Docker's and Podman's volumes that name none");
  made->add_flag("--json", up_options.json, "print JSON, for machines");
  made->add_option("daemon-options", up_options.daemon_options, "options of berthd (see berthd --help), behind --");
  made->positionals_at_end();
  add_example(*made, "berth up --listen 127.0.0.1:4580\n  berth up -- --zones 3 --metadata-steady 0");

  CommonOptions env_options;
  made = command("env", "print exports of the endpoint and the administrator's key", [&] { return env(env_options); });
  add_common(*made, env_options);
  add_example(*made, "eval \"$(berth env)\"; aws ecs list-clusters");

  CommonOptions status_options;
  made = command("status", "show the daemon, clusters, tasks and file systems", [&] { return status(status_options); });
  add_common(*made, status_options);
  add_example(*made, "berth status --json");

  ZoneOptions zone_options;
  made = app.add_subcommand("zone", "isolate, lose and restore availability zones; latency between them");
  made->require_subcommand(1);
  for (const char* action : {"isolate", "lose", "restore", "latency"}) add_zone_command(*made, action, zone_options, chosen);
  add_example(*made, "berth zone lose us-east-1a; berth zone restore us-east-1a\n  berth zone latency us-east-1a us-east-1b 1.5");

  RunOptions run_options;
  made = command("run", "run one command or task definition as a task, stream its output, exit with its code",
                 [&] { return run(run_options); });
  add_common(*made, run_options);
  made->add_option("--task-definition", run_options.task_definition, "family, family:revision or ARN, instead of a command");
  made->add_option("--image", run_options.image, "host, a root file system's directory or an OCI layout")->capture_default_str();
  made->add_option("--role", run_options.role, "task role, by name or ARN");
  made->add_option("--volume,-v", run_options.volumes, "FILE_SYSTEM[/ACCESS_POINT]:/path[:ro], e.g. fs-0123/fsap-4567:/data");
  made->add_option("--env,-e", run_options.environment, "NAME=value");
  made->add_option("--cluster", run_options.cluster, "ECS cluster; `default` is made where missing")->capture_default_str();
  made->add_option("--launch-type", run_options.launch_type, "FARGATE or EC2")->capture_default_str();
  made->add_option("--zone", run_options.zone, "availability zone, e.g. us-east-1b");
  made->add_option("--subnet", run_options.subnet, "subnet instead of the zone's default one");
  made->add_option("--cpu", run_options.cpu, "task CPU units")->capture_default_str();
  made->add_option("--memory", run_options.memory, "task memory in MiB")->capture_default_str();
  made->add_option("command", run_options.argv, "the program and its arguments, behind --");
  made->positionals_at_end();
  add_example(*made, "berth run --role writer -v fs-0123/fsap-4567:/data -- sh -c 'date > /data/now'");

  LogsOptions logs_options;
  made = command("logs", "print what a task's containers wrote", [&] { return logs(logs_options); });
  add_common(*made, logs_options);
  made->add_option("task", logs_options.task, "task ARN, id or the beginning of an id")->required();
  made->add_option("--container", logs_options.container, "one container only");
  made->add_flag("-f,--follow", logs_options.follow, "go on until the task has stopped");
  made->add_flag("-t,--timestamps", logs_options.timestamps, "print each line's time and stream");
  add_example(*made, "berth logs -f 0f3c");

  UpgradeOptions upgrade_options;
  made = command("upgrade", "let another berthd take the running one's place; tasks and mounts see a pause",
                 [&] { return upgrade(upgrade_options); });
  add_common(*made, upgrade_options);
  made->add_option("--binary", upgrade_options.binary, "that berthd; default: the one beside this program");
  add_example(*made, "berth upgrade --binary /opt/berth-2/berthd");

  StopOptions stop_options;
  made = command("stop", "stop a task", [&] { return stop(stop_options); });
  add_common(*made, stop_options);
  made->add_option("task", stop_options.task, "task ARN, id or the beginning of an id")->required();
  made->add_option("--reason", stop_options.reason, "becomes the task's stoppedReason");
  add_example(*made, "berth stop 0f3c --reason 'no longer needed'");

  CLI::App* fs = app.add_subcommand("fs", "mount file systems on the host, and look inside them without");
  fs->require_subcommand(1);
  fs->footer("Example:\n  berth fs ls fs-0123:/service");
  const auto fs_command = [&](const char* name, const char* what, std::function<Result<int>()> function) {
    CLI::App* one = fs->add_subcommand(name, what);
    one->callback([&chosen, function = std::move(function)] { chosen = function; });
    return one;
  };

  FsMountOptions mount_options;
  made = fs_command("mount", "mount a file system on a directory, until it is unmounted or `berth down`",
                    [&] { return fs_mount(mount_options); });
  add_common(*made, mount_options);
  made->add_option("source", mount_options.source, "FILE_SYSTEM[:/PATH]")->required();
  made->add_option("directory", mount_options.directory, "where")->required();
  made->add_option("--role", mount_options.role, "as which role, by name or ARN: its policies decide as for a task");
  made->add_option("--access-point", mount_options.access_point, "through this access point (fsap-...)");
  made->add_option("--zone", mount_options.zone, "through the mount target of this zone instead of the first");
  made->add_flag("--read-only", mount_options.read_only, "without writing, whatever the role may");
  made->add_flag("--io-uring", mount_options.io_uring,
                 "FUSE over io_uring: faster, but the mount ends when the daemon is killed or upgraded");
  add_example(*made, "berth fs mount fs-0123 /mnt --role writer --access-point fsap-4567");

  FsUnmountOptions unmount_options;
  made = fs_command("unmount", "take such a mount away", [&] { return fs_unmount(unmount_options); });
  add_common(*made, unmount_options);
  made->add_option("directory", unmount_options.directory, "where it is")->required();
  made->add_flag("--lazy", unmount_options.lazy, "also while it is in use");
  add_example(*made, "berth fs unmount /mnt");

  CommonOptions mounts_options;
  made = fs_command("mounts", "list the mounts on the host", [&] { return fs_mounts(mounts_options); });
  add_common(*made, mounts_options);
  add_example(*made, "berth fs mounts --json");

  FsLookOptions ls_options;
  made = fs_command("ls", "list a directory of a file system, as the administrator", [&] { return fs_ls(ls_options); });
  add_common(*made, ls_options);
  made->add_option("path", ls_options.path, "FILE_SYSTEM[:/PATH]")->required();
  add_example(*made, "berth fs ls fs-0123:/service");

  FsLookOptions du_options;
  made = fs_command("du", "how much the directories of a file system hold", [&] { return fs_du(du_options); });
  add_common(*made, du_options);
  made->add_option("path", du_options.path, "FILE_SYSTEM[:/PATH]")->required();
  add_example(*made, "berth fs du fs-0123 --json");

  FsCopyOptions cp_options;
  made = fs_command("cp", "copy files into a file system or out of it, as the administrator", [&] { return fs_cp(cp_options); });
  add_common(*made, cp_options);
  made->add_option("from", cp_options.from, "file or directory; FILE_SYSTEM:/PATH on a file system")->required();
  made->add_option("to", cp_options.to, "where to; the other side of the two")->required();
  made->add_flag("-r,--recursive", cp_options.recursive, "directories with what is in them");
  made->add_option("--owner", cp_options.owner, "UID:GID of what is made on the file system (0:0)");
  add_example(*made, "berth fs cp -r ./site fs-0123:/www --owner 1000:1000\n  berth fs cp fs-0123:/www/index.html .");

  CommonOptions down_options;
  made = command("down", "stop all tasks and the daemon; the state stays", [&] { return down(down_options); });
  add_common(*made, down_options);
  add_example(*made, "berth down");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const Result<int> done = chosen();
  if (done) return *done;
  fmt::print(stderr, "berth: {}\n", done.error().message);
  return 1;
}

}  // namespace berth::cli
