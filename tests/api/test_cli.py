"""`berth` as a user meets it: run, logs, stop, status, env, help, mistakes, and what stays over down and up."""
import json
import os
import re
import signal
import subprocess

import pytest
from berth import BERTH, WAITING, Berth, wait_until

COMMANDS = ["up", "env", "status", "run", "logs", "stop", "down"]


def berth_process(berth, *words, **options):
    return subprocess.Popen([BERTH, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "BERTH_STATE_DIR": str(berth.state)}, **options)


def run(berth, *words, timeout=60):
    return berth.command("run", *words, check=False, timeout=timeout)


# Without a daemon


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_shows_an_example(command):
    done = subprocess.run([BERTH, command, "--help"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0
    assert re.search(rf"Example:\s+.*berth {command}", done.stdout), done.stdout


@pytest.mark.parametrize("words", [[], ["fly"], ["status", "--sideways"], ["logs"], ["stop"], ["logs", "a", "b"], ["up", "--listen"]])
def test_words_that_mean_nothing_exit_with_2_and_say_how(words):
    done = subprocess.run([BERTH, *words], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "--help" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("words", [["status"], ["env"], ["down"], ["stop", "abc"], ["logs", "abc"], ["run", "--", "true"]])
def test_without_a_daemon_each_command_says_what_to_do(tmp_path, words):
    done = subprocess.run([BERTH, words[0], "--state-dir", str(tmp_path / "none"), *words[1:]], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "berth up" in done.stderr, done.stderr


def test_an_address_that_is_none_is_refused(tmp_path):
    done = subprocess.run([BERTH, "up", "--state-dir", str(tmp_path / "state"), "--listen", "nonsense"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "nonsense" in done.stderr and "127.0.0.1:4580" in done.stderr


# With one


def test_run_gives_the_output_and_the_exit_code(berth):
    done = run(berth, "--", "sh", "-c", "echo out; echo err >&2; exit 5")
    assert (done.returncode, done.stdout) == (5, "out\n")
    assert "err\n" in done.stderr


def test_run_passes_words_and_variables_as_they_are(berth):
    done = run(berth, "-e", "GREETING=hello world", "-e", "EMPTY=", "--", "sh", "-c", 'echo "$GREETING|$EMPTY|$1"', "sh", "--json -x $HOME")
    assert (done.returncode, done.stdout) == (0, "hello world||--json -x $HOME\n")


def test_run_with_a_role_and_a_volume_is_the_role_and_writes_the_share(cluster, name):
    from berth import allow
    made = cluster.file_system()
    point = cluster.efs.create_access_point(FileSystemId=made["FileSystemId"], PosixUser={"Uid": 1000, "Gid": 1000},
                                            RootDirectory={"Path": "/x", "CreationInfo": {"OwnerUid": 1000, "OwnerGid": 1000, "Permissions": "0750"}})
    role = cluster.role(name, allow(["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"], made["FileSystemArn"]))
    place = f"{made['FileSystemId']}/{point['AccessPointId']}:/data"
    script = 'echo written > /data/file && stat -c "%u %n" /data/file && aws --endpoint-url "$AWS_ENDPOINT_URL" sts get-caller-identity --query Arn --output text'
    done = run(cluster.berth, "--cluster", cluster.name, "--role", name, "-v", place, "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    owner, arn = done.stdout.splitlines()
    assert owner == "1000 /data/file" and f":assumed-role/{role.split('/')[-1]}/" in arn
    again = run(cluster.berth, "--cluster", cluster.name, "--zone", cluster.zones[1], "-v", place + ":ro", "--role", name, "--",
                "sh", "-c", "cat /data/file; echo x > /data/file")
    assert again.returncode != 0 and again.stdout == "written\n" and "Read-only file system" in again.stderr


def test_run_takes_a_task_definition_and_prints_the_task_as_json(cluster, name):
    definition = cluster.define(name, ["sh", "-c", "echo by definition; exit 4"])
    done = run(cluster.berth, "--cluster", cluster.name, "--task-definition", definition, "--json")
    assert done.returncode == 4
    output, task = done.stdout.split("\n", 1)
    assert output == "by definition"
    assert json.loads(task)["taskDefinitionArn"] == definition


def test_run_exits_with_the_code_of_the_essential_container_not_of_the_one_that_prepared_it(cluster, name):
    definition = cluster.ecs.register_task_definition(
        family=name, networkMode="awsvpc", cpu="256", memory="512", requiresCompatibilities=["FARGATE"], containerDefinitions=[
            {"name": "first", "image": "host", "essential": False, "command": ["true"]},
            {"name": "app", "image": "host", "essential": True, "command": ["sh", "-c", "exit 6"],
             "dependsOn": [{"containerName": "first", "condition": "SUCCESS"}]}])["taskDefinition"]["taskDefinitionArn"]
    assert run(cluster.berth, "--cluster", cluster.name, "--task-definition", definition).returncode == 6


@pytest.mark.parametrize("words, said", [
    (["--role", "no-such-role", "--", "true"], "no-such-role"),
    (["-v", "nonsense", "--", "true"], "nonsense"),
    (["-v", "fs-0123456789abcdef0:/data", "--", "true"], "fs-0123456789abcdef0"),
    (["-e", "=x", "--", "true"], "NAME=value"),
    (["--image", "nowhere:latest", "--", "true"], "nowhere:latest"),
    (["--cpu", "7", "--", "true"], "cpu"),
    (["--zone", "us-east-1z", "--", "true"], "us-east-1z"),
    (["--task-definition", "no-such-family"], "no-such-family|TaskDefinition not found"),
    (["--", "/no/such/program"], "/no/such/program|exec"),
    ([], "--task-definition"),
])
def test_run_that_cannot_says_why(berth, words, said):
    done = run(berth, *words)
    assert done.returncode not in (0, -signal.SIGSEGV, -signal.SIGABRT)
    assert re.search(said, done.stderr), done.stderr


def test_run_stops_its_task_when_it_is_interrupted(berth):
    process = berth_process(berth, "run", "--", "sh", "-c", "trap 'echo ended; exit 9' TERM; echo ready; while :; do sleep 0.1; done")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (9, "ended\n")


def test_logs_follow_a_task_to_its_end(cluster, name):
    task = cluster.start(cluster.define(name, ["sh", "-c", "echo first; trap 'echo last; exit 0' TERM; while :; do sleep 0.1; done"]))
    following = berth_process(cluster.berth, "logs", "-f", task)
    assert following.stdout.readline() == "first\n"
    done = cluster.berth.command("stop", task.split("/")[-1][:12], "--reason", "seen enough")
    assert task.split("/")[-1] in done
    output, _ = following.communicate(timeout=60)
    assert (following.returncode, output) == (0, "last\n")
    assert cluster.stopped(task)["stoppedReason"] == "seen enough"
    [stamped] = [line for line in cluster.berth.command("logs", "-t", task).splitlines() if line.endswith("first")]
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z stdout first$", stamped), stamped


def test_logs_for_machines_are_an_object_a_line(cluster, name):
    task = cluster.start(cluster.define(name, ["sh", "-c", "echo out; printf 'bad \\377\\n' >&2"]))
    cluster.stopped(task)
    lines = {line["stream"]: line for line in map(json.loads, cluster.berth.command("logs", "--json", task).splitlines())}
    assert (lines["stdout"]["text"], lines["stdout"]["container"]) == ("out", "app")
    assert lines["stderr"]["text"] == "bad \ufffd" and lines["stderr"]["time"].endswith("Z")


def test_logs_and_stop_of_a_task_that_is_not_there_say_so(berth):
    for command in ["logs", "stop"]:
        done = berth.command(command, "ffffffff", check=False)
        assert done.returncode == 1 and "ffffffff" in done.stderr


def test_status_tells_what_the_api_tells(cluster, name):
    task = cluster.start(cluster.define(name, WAITING))
    cluster.running(task)
    status = cluster.berth.status()
    [shown] = [t for t in status["tasks"] if t["arn"] == task]
    assert (shown["status"], shown["cluster"], shown["definition"], shown["capacity"]) == ("RUNNING", cluster.name, f"{name}:1", "FARGATE")
    [mine] = [c for c in status["clusters"] if c["name"] == cluster.name]
    assert (mine["running"], mine["pending"]) == (1, 0)
    assert status["endpoint"] == cluster.berth.endpoint
    table = cluster.berth.command("status")
    assert shown["id"] in table and cluster.name in table
    cluster.ecs.stop_task(cluster=cluster.name, task=task)


def test_env_is_what_a_shell_evaluates(berth):
    script = f'eval "$({BERTH} env --state-dir {berth.state})" && env'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=30,
                          env={"PATH": "/usr/bin:/bin", "AWS_SESSION_TOKEN": "of the cloud", "AWS_PROFILE": "prod"})
    variables = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert {k: variables[k] for k in berth.environment} == berth.environment
    assert "AWS_SESSION_TOKEN" not in variables and "AWS_PROFILE" not in variables


def test_up_where_one_is_up_already_says_so_and_changes_nothing(berth):
    before = berth.status()
    assert "already" in berth.command("up", "--listen", "127.0.0.1:0")
    after = berth.status()
    assert (after["endpoint"], after["keeper_pid"]) == (before["endpoint"], before["keeper_pid"])


def test_a_question_to_a_daemon_that_is_coming_back_is_answered(own_berth):
    daemons = {own_berth.status()["daemon_pid"]}
    for _ in range(5):
        os.kill(own_berth.status()["daemon_pid"], signal.SIGKILL)
        daemons.add(json.loads(own_berth.command("status", "--json"))["daemon_pid"])
    assert len(daemons) >= 5


def test_what_the_api_holds_is_there_after_down_and_up(machine):
    daemon = Berth().up()
    try:
        key = daemon.environment["AWS_ACCESS_KEY_ID"]
        ecs, efs, iam = (daemon.client(service) for service in ["ecs", "efs", "iam"])
        ecs.create_cluster(clusterName="kept", tags=[{"key": "a", "value": "b"}])
        role = iam.create_role(RoleName="kept", AssumeRolePolicyDocument='{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
                               '"Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}')["Role"]["Arn"]
        file_system = efs.create_file_system(CreationToken="kept")["FileSystemId"]
        definition = ecs.register_task_definition(family="kept", containerDefinitions=[{"name": "a", "image": "host", "memory": 64}])
        task = daemon.command("run", "--json", "--", "true")
        running = berth_process(daemon, "run", "--", *WAITING)
        wait_until(lambda: any(t["status"] == "RUNNING" for t in daemon.status()["tasks"]))
        account = daemon.status()["account"]
        daemon.command("down")
        running.communicate(timeout=30)
        assert daemon.command("status", check=False).returncode == 1
        daemon.up()
        assert daemon.environment["AWS_ACCESS_KEY_ID"] == key and daemon.status()["account"] == account
        ecs, efs, iam = (daemon.client(service) for service in ["ecs", "efs", "iam"])
        assert ecs.describe_clusters(clusters=["kept"], include=["TAGS"])["clusters"][0]["tags"] == [{"key": "a", "value": "b"}]
        assert iam.get_role(RoleName="kept")["Role"]["Arn"] == role
        assert efs.describe_file_systems(FileSystemId=file_system)["FileSystems"][0]["LifeCycleState"] == "available"
        assert ecs.describe_task_definition(taskDefinition="kept")["taskDefinition"] == definition["taskDefinition"]
        described = ecs.describe_tasks(tasks=[json.loads(task)["taskArn"]])["tasks"][0]
        assert (described["lastStatus"], described["containers"][0]["exitCode"]) == ("STOPPED", 0)
        assert all(t["status"] == "STOPPED" for t in daemon.status()["tasks"]), "down stops all tasks"
        assert run(daemon, "--", "echo", "again").stdout == "again\n"
    finally:
        daemon.down()
