"""Tasks for real: namespaces, credentials, metadata, limits, and what a task must not reach."""
import json
import os
import socket
import threading

import pytest
from berth import WAITING, allow

METADATA = "python3 -c 'import os, urllib.request; print(urllib.request.urlopen(os.environ[\"ECS_CONTAINER_METADATA_URI_V4\"] + \"%s\").read().decode())'"
SHELL = ["sh", "-c"]


def test_a_command_runs_and_its_exit_code_and_output_come_back(cluster):
    code, output, task = cluster.run("exit", [*SHELL, "echo to stdout; echo to stderr >&2; exit 7"])
    assert (code, sorted(output.splitlines())) == (7, ["to stdout"])
    assert (task["stopCode"], task["stoppedReason"]) == ("EssentialContainerExited", "Essential container in task exited")


def test_the_life_of_a_task_leaves_its_time_stamps_in_order(cluster):
    _, _, task = cluster.run("stamps", ["true"])
    stamps = [task[name] for name in ["createdAt", "pullStartedAt", "pullStoppedAt", "startedAt", "stoppingAt", "executionStoppedAt", "stoppedAt"]]
    assert stamps == sorted(stamps)
    assert (task["desiredStatus"], task["lastStatus"], task["containers"][0]["lastStatus"]) == ("STOPPED", "STOPPED", "STOPPED")


def test_stop_task_ends_a_task_by_sigterm_and_says_who_did_it(cluster):
    task = cluster.start(cluster.define("long", [*SHELL, "trap 'echo got TERM; exit 0' TERM; echo ready; while :; do sleep 0.1; done"]))
    cluster.running(task)
    cluster.ecs.stop_task(cluster=cluster.name, task=task, reason="no longer needed")
    ended = cluster.stopped(task)
    assert (ended["stopCode"], ended["stoppedReason"]) == ("UserInitiated", "no longer needed")
    assert "got TERM" in cluster.berth.logs(task)


def test_the_task_has_its_own_address_in_the_subnet(cluster):
    code, output, task = cluster.run("address", [*SHELL, "ip -4 -o address show dev eth0 | awk '{print $4}'"], zone=cluster.zones[1])
    details = {detail["name"]: detail["value"] for detail in task["attachments"][0]["details"]}
    assert code == 0
    assert output.split("/")[0] == details["privateIPv4Address"]
    assert details["subnetId"] == cluster.subnets[cluster.zones[1]]
    assert task["availabilityZone"] == cluster.zones[1]


def test_metadata_v4_tells_the_task_who_it_is(cluster):
    code, output, task = cluster.run("metadata", [*SHELL, METADATA % "/task"])
    assert code == 0, output
    metadata = json.loads(output)
    assert metadata["TaskARN"] == task["taskArn"]
    assert metadata["Family"] == "metadata"
    assert metadata["AvailabilityZone"] == cluster.zones[0]
    assert [container["Name"] for container in metadata["Containers"]] == ["app"]


def test_the_aws_cli_in_a_task_is_the_tasks_role(cluster, name):
    role = cluster.role(name, allow("ecs:ListClusters"))
    script = 'aws --endpoint-url "$AWS_ENDPOINT_URL" sts get-caller-identity --query Arn --output text'
    code, output, task = cluster.run(name, [*SHELL, script], role=role)
    account = role.split(":")[4]
    assert code == 0, output
    assert output.strip() == f"arn:aws:sts::{account}:assumed-role/{name}/{task['taskArn'].split('/')[-1]}"


def test_the_tasks_role_decides_what_the_task_may_call(cluster, name):
    role = cluster.role(name, allow("ecs:ListClusters"))
    script = ('aws --endpoint-url "$AWS_ENDPOINT_URL" ecs list-clusters >/dev/null && echo allowed; '
              'aws --endpoint-url "$AWS_ENDPOINT_URL" iam list-roles 2>&1')
    _, output, _ = cluster.run(name, [*SHELL, script], role=role)
    assert "allowed" in output
    assert "AccessDenied" in output and "no identity-based policy allows the iam:ListRoles action" in output


def test_a_task_without_a_role_has_no_credentials(cluster):
    code, output, _ = cluster.run("roleless", [*SHELL, "echo ${AWS_CONTAINER_CREDENTIALS_RELATIVE_URI:-none}"])
    assert (code, output.strip()) == (0, "none")


def test_a_task_cannot_have_another_tasks_credentials(cluster, name):
    role = cluster.role(name)
    victim = cluster.start(cluster.define(name, [*SHELL, "echo $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; " + WAITING[2]], role=role))
    cluster.running(victim)
    path = cluster.berth.logs(victim).strip()
    assert path.startswith("/v2/credentials/")
    script = f"curl -s -o /tmp/answer -w '%{{http_code}} ' http://169.254.170.2{path}; cat /tmp/answer"
    if not os.path.exists("/usr/bin/curl"):
        script = ("python3 -c 'import urllib.request, urllib.error\ntry:\n print(urllib.request.urlopen(\"http://169.254.170.2" + path +
                  "\").read())\nexcept urllib.error.HTTPError as e:\n print(e.code, e.read().decode())'")
    _, output, _ = cluster.run(name + "-thief", [*SHELL, script], role=cluster.role(name + "-thief"))
    assert output.startswith("400 ") and "InvalidIdInRequest" in output
    cluster.ecs.stop_task(cluster=cluster.name, task=victim)


def test_a_task_cannot_read_the_administrators_key_or_the_hosts_secrets(cluster):
    state = cluster.berth.state
    script = f"""
        cat {state}/credentials; ls {state}; cat /etc/shadow; ls /root/.ssh /root/.aws; cat /etc/ssh/ssh_host_*_key
        find / -xdev -name admin.sock 2>/dev/null; ls /var/run/docker.sock; echo done"""
    code, output, _ = cluster.run("secrets", [*SHELL, script])
    secret = cluster.berth.environment["AWS_SECRET_ACCESS_KEY"]
    assert secret not in output and "root:" not in output and "PRIVATE KEY" not in output
    assert output.strip().splitlines() == ["done"], output


def test_a_task_cannot_reach_the_hosts_network(cluster):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reached = threading.Event()
        server.settimeout(0.2)

        def accept():
            try:
                server.accept()
                reached.set()
            except OSError:
                pass
        front_door = cluster.berth.endpoint.rsplit(":", 1)[1]
        script = f"""python3 - <<'PY'
import socket
for address in [("127.0.0.1", {port}), ("127.0.0.1", {front_door}), ("172.31.0.1", {port}), ("172.31.0.1", 22)]:
    try:
        socket.create_connection(address, timeout=1).close()
        print("reached", address)
    except OSError as error:
        print("not reached")
PY
ls /sys/class/net | tr '\\n' ' '"""
        _, output, _ = cluster.run("network", [*SHELL, script])
        thread = threading.Thread(target=accept)
        thread.start()
        thread.join()
    assert "reached (" not in output, output
    assert not reached.is_set()


def test_tasks_of_both_zones_reach_each_other_by_address(cluster):
    serving = cluster.start(cluster.define("server", ["python3", "-m", "http.server", "8080", "--directory", "/usr/share/common-licenses"],
                                           container={"stopTimeout": 2}),
                            cluster.zones[0])
    task = cluster.running(serving)
    address = {d["name"]: d["value"] for d in task["attachments"][0]["details"]}["privateIPv4Address"]
    script = f"""python3 - <<'PY'
import time, urllib.request
for _ in range(100):
    try:
        print(urllib.request.urlopen("http://{address}:8080/Apache-2.0", timeout=1).status)
        break
    except OSError:
        time.sleep(0.1)
PY"""
    _, output, _ = cluster.run("client", [*SHELL, script], zone=cluster.zones[1])
    assert output.strip() == "200"
    cluster.ecs.stop_task(cluster=cluster.name, task=serving)


def test_a_container_has_dockers_default_powers_and_no_more(cluster):
    script = "grep -E '^(CapBnd|CapEff|Seccomp):' /proc/self/status; echo x > /proc/sys/kernel/hostname || echo read-only; ls /dev | tr '\\n' ' '"
    _, output, _ = cluster.run("powers", [*SHELL, script])
    lines = dict(line.split(":", 1) for line in output.splitlines() if line.startswith(("Cap", "Sec")))
    # CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP
    assert lines["CapBnd"].strip() == "00000000a80425fb"
    assert lines["Seccomp"].strip() == "2"
    assert "read-only" in output
    assert "fuse" not in output and "kvm" not in output


def test_a_container_over_its_memory_limit_is_killed_and_says_so(cluster):
    code, _, task = cluster.run("oom", ["python3", "-c", "b = bytearray(300 << 20); print(len(b))"], container={"memory": 64})
    assert code == 137
    assert "OutOfMemory" in task["containers"][0]["reason"]


def test_an_image_that_is_nowhere_stops_the_task_before_it_starts(cluster):
    definition = cluster.define("nowhere", ["true"], container={"image": "nginx:latest"})
    task = cluster.stopped(cluster.start(definition))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError")
    assert "nginx:latest" in task["stoppedReason"]


def test_a_root_file_system_directory_is_an_image(cluster, tmp_path):
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    busybox = "/bin/busybox" if os.path.exists("/bin/busybox") else "/usr/bin/busybox"
    (root / "bin" / "busybox").write_bytes(open(busybox, "rb").read())
    (root / "bin" / "busybox").chmod(0o755)
    tmp_path.chmod(0o755)
    code, output, _ = cluster.run("rootfs", ["/bin/busybox", "sh", "-c", "/bin/busybox ls /; echo x > /trace && echo wrote"],
                                  container={"image": str(root)})
    assert code == 0, output
    assert "bin" in output.split() and "usr" not in output.split() and "wrote" in output
    assert not (root / "trace").exists()


def test_overrides_change_command_and_environment_of_one_task(cluster):
    definition = cluster.define("overrides", ["echo", "as defined"])
    task = cluster.start(definition, overrides={"containerOverrides": [
        {"name": "app", "command": ["sh", "-c", "echo $GREETING"], "environment": [{"name": "GREETING", "value": "overridden"}]}]})
    cluster.stopped(task)
    assert cluster.berth.logs(task).strip() == "overridden"


def test_ecs_injects_what_it_says(cluster, name):
    _, output, _ = cluster.run(name, [*SHELL, "env"], role=cluster.role(name))
    variables = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    assert variables["AWS_EXECUTION_ENV"] == "AWS_ECS_FARGATE"
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "us-east-1"
    assert variables["ECS_CONTAINER_METADATA_URI_V4"].startswith("http://169.254.170.2/v4/")
    assert variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"].startswith("/v2/credentials/")
    assert variables["AWS_ENDPOINT_URL"].startswith("http://169.254.170.2:")


def test_nothing_of_a_task_is_left_on_the_host(cluster):
    before = open("/proc/self/mountinfo").read()
    _, _, task = cluster.run("clean", ["true"])
    assert open("/proc/self/mountinfo").read() == before
    task_id = task["taskArn"].split("/")[-1]
    for folder, folders, _ in os.walk("/sys/fs/cgroup"):
        assert not any(task_id in name for name in folders), folder


@pytest.mark.parametrize("bad, code", [
    ({"cpu": "256", "memory": "4096"}, "ClientException"),
    ({"cpu": "abc"}, "ClientException"),
])
def test_an_impossible_size_is_refused_when_it_is_registered(cluster, bad, code):
    import botocore.exceptions
    with pytest.raises(botocore.exceptions.ClientError) as error:
        cluster.define("impossible", ["true"], **bad)
    assert error.value.response["Error"]["Code"] == code
