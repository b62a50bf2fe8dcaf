"""What a malicious task, a malicious client and bad luck try, and what must come of it."""
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import urllib.parse

import botocore.exceptions
import pytest
from berth import BERTH, Berth, Cluster, TRUST_TASKS, allow, policy, wait_until
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SHELL = ["sh", "-c"]


def signed(berth, service, body, content_type, target=None):
    """Sends what no SDK would; gives status and body."""
    headers = {"Content-Type": content_type, **({"X-Amz-Target": target} if target else {})}
    request = AWSRequest("POST", berth.endpoint + "/", data=body, headers=headers)
    keys = Credentials(berth.environment["AWS_ACCESS_KEY_ID"], berth.environment["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(keys, service, berth.environment["AWS_REGION"]).add_auth(request)
    connection = http.client.HTTPConnection(berth.endpoint.removeprefix("http://"), timeout=30)
    connection.request("POST", "/", body=body, headers=dict(request.headers))
    answer = connection.getresponse()
    return answer.status, answer.read()


def refusal(call):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call()
    return error.value.response["Error"]["Code"]


# --- a malicious client ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("body", [
    b'{"x":' + b"[" * 400_000 + b"]" * 400_000 + b"}",
    b'{"a":' * 150_000 + b"1" + b"}" * 150_000,
    b'{"clusterName":"\\ud800"}',
    b'{"clusterName":"\xff"}',
    b'{"maxResults":1e999}',
], ids=["deep lists", "deep objects", "half a character", "bytes", "a number without end"])
def test_json_that_is_made_to_break_parsers_is_a_serialization_error(berth, body):
    pid = berth.status()["daemon_pid"]
    status, answer = signed(berth, "ecs", body, "application/x-amz-json-1.1", "AmazonEC2ContainerServiceV20141113.CreateCluster")
    assert (status, json.loads(answer)["__type"]) == (400, "SerializationException")
    assert berth.status()["daemon_pid"] == pid


def test_bytes_that_are_no_text_can_not_make_a_list_unreadable_for_others(berth, name):
    form = f"Action=CreateRole&Version=2010-05-08&RoleName={name}&Description=%FF&AssumeRolePolicyDocument=" + urllib.parse.quote(TRUST_TASKS)
    status, answer = signed(berth, "iam", form.encode(), "application/x-www-form-urlencoded; charset=utf-8")
    assert status == 400, answer
    assert name not in [role["RoleName"] for role in berth.client("iam").list_roles()["Roles"]]


@pytest.mark.parametrize("bad", ["../../x", "a/b", "..", "a\n", "a\0b", "x" * 256])
def test_a_name_that_would_become_another_path_is_refused(cluster, bad):
    container = {"name": "app", "image": "host", "memory": 16}
    for definition in ({"family": bad, "containerDefinitions": [container]},
                       {"family": "names", "containerDefinitions": [{**container, "name": bad}]},
                       {"family": "names", "containerDefinitions": [container], "volumes": [{"name": bad, "host": {}}]}):
        assert refusal(lambda: cluster.ecs.register_task_definition(**definition)) == "ClientException"
    assert refusal(lambda: cluster.ecs.describe_tasks(cluster=cluster.name, tasks=[bad])) == "InvalidParameterException"
    assert refusal(lambda: cluster.ecs.describe_tasks(cluster=bad, tasks=["a" * 32])) == "InvalidParameterException"


def test_ids_of_another_account_are_refused(cluster):
    foreign = f"arn:aws:ecs:us-east-1:111122223333:task/{cluster.name}/" + "a" * 32
    assert refusal(lambda: cluster.ecs.describe_tasks(cluster=cluster.name, tasks=[foreign])) == "InvalidParameterException"
    assert refusal(lambda: cluster.berth.client("sts").assume_role(
        RoleArn="arn:aws:iam::111122223333:role/admin", RoleSessionName="thief")) == "AccessDenied"


def test_whoever_may_not_pass_a_role_can_not_get_its_rights_through_a_task(cluster, name):
    iam = cluster.berth.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="ecs", PolicyDocument=policy(allow("ecs:*")))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    low = lambda service: cluster.berth.client(service, key["AccessKeyId"], key["SecretAccessKey"])
    power = cluster.role(name, allow("*"))
    prepared, plain = cluster.define(name, ["true"], role=power), cluster.define(name + "-plain", ["true"])
    network = {"awsvpcConfiguration": {"subnets": [cluster.subnets[cluster.zones[0]]]}}
    run = dict(cluster=cluster.name, launchType="FARGATE", networkConfiguration=network)
    container = {"name": "app", "image": "host", "memory": 16}
    for attempt in (lambda: low("ecs").register_task_definition(family=name, taskRoleArn=power, containerDefinitions=[container]),
                    lambda: low("ecs").run_task(taskDefinition=prepared, **run),
                    lambda: low("ecs").run_task(taskDefinition=plain, overrides={"taskRoleArn": power}, **run)):
        assert refusal(attempt) == "AccessDeniedException"
    for attempt in (lambda: low("sts").assume_role(RoleArn=power, RoleSessionName="thief"),
                    lambda: low("iam").create_access_key(UserName="berth-admin"),
                    lambda: low("iam").put_user_policy(UserName=name, PolicyName="all", PolicyDocument=policy(allow("*")))):
        assert refusal(attempt) == "AccessDenied"


def test_a_request_can_not_be_used_for_anything_else_than_what_was_signed(berth):
    request = AWSRequest("POST", berth.endpoint + "/", data=b"{}", headers={
        "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListClusters"})
    keys = Credentials(berth.environment["AWS_ACCESS_KEY_ID"], berth.environment["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(keys, "ecs", berth.environment["AWS_REGION"]).add_auth(request)
    for change, body in (({"X-Amz-Target": "AmazonEC2ContainerServiceV20141113.DeleteCluster"}, b"{}"), ({}, b'{"maxResults":1}')):
        connection = http.client.HTTPConnection(berth.endpoint.removeprefix("http://"), timeout=30)
        connection.request("POST", "/", body=body, headers={**dict(request.headers), **change})
        assert b"InvalidSignatureException" in connection.getresponse().read()


def test_a_request_signed_long_ago_is_refused(berth):
    request = AWSRequest("POST", berth.endpoint + "/", data=b"{}", headers={
        "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListClusters"})
    request.context["timestamp"] = "20200101T000000Z"
    keys = Credentials(berth.environment["AWS_ACCESS_KEY_ID"], berth.environment["AWS_SECRET_ACCESS_KEY"])
    signer = SigV4Auth(keys, "ecs", berth.environment["AWS_REGION"])
    signer._modify_request_before_signing(request)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))
    connection = http.client.HTTPConnection(berth.endpoint.removeprefix("http://"), timeout=30)
    connection.request("POST", "/", body=b"{}", headers=dict(request.headers))
    answer = connection.getresponse().read()
    assert b"InvalidSignatureException" in answer and b"expired" in answer


# --- a malicious task --------------------------------------------------------------------------------------------------------

ESCAPES = r"""
import ctypes, os, socket, stat
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, f):
    try:
        f()
        print("DONE", name)
    except OSError:
        pass
def call(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
def node(kind, major, minor):
    path = "/node-%d-%d-%d" % (kind, major, minor)
    os.mknod(path, kind | 0o600, os.makedev(major, minor))
    os.close(os.open(path, os.O_RDONLY))
def write(path, text="1"):
    file = os.open(path, os.O_WRONLY)  # makes none: what isn't there can't be written
    os.write(file, text.encode())
for kind, major, minor in [(stat.S_IFCHR, 10, 229), (stat.S_IFCHR, 1, 1), (stat.S_IFCHR, 1, 11), (stat.S_IFBLK, 8, 0), (stat.S_IFBLK, 254, 0),
                           (stat.S_IFBLK, 259, 0), (stat.S_IFBLK, 7, 0), (stat.S_IFCHR, 10, 232), (stat.S_IFCHR, 10, 237), (stat.S_IFCHR, 4, 0)]:
    attempt("device %o %d:%d" % (kind, major, minor), lambda: node(kind, major, minor))
for name, number, arguments in [("mount", 165, (b"none", b"/mnt", b"tmpfs", 0, 0)), ("unshare", 272, (0x10000000,)), ("bpf", 321, (0, 0, 0)),
                                ("open_tree", 428, (-100, b"/", 1)), ("fsopen", 430, (b"tmpfs", 0)), ("io_uring", 425, (1, 0)),
                                ("perf", 298, (0, 0, 0, 0, 0)), ("userfaultfd", 323, (0,)), ("keyctl", 250, (0, -3, 0)),
                                ("open_by_handle_at", 304, (0, 0, 0)), ("reboot", 169, (0, 0, 0, 0)), ("syslog", 103, (10, 0, 0)),
                                ("init_module", 175, (0, 0, 0)), ("kexec", 246, (0, 0, 0, 0)), ("setns", 308, (0, 0))]:
    attempt(name, lambda: call(number, *arguments))
for path in ["/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/net/ipv4/ip_forward", "/sys/kernel/uevent_helper",
             "/sys/fs/cgroup/memory/release_agent", "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/cgroup.procs"]:
    attempt(path, lambda: write(path))
attempt("cgroup", lambda: os.mkdir("/sys/fs/cgroup/memory/x"))
attempt("kernel memory", lambda: open("/proc/kcore", "rb").read(1) or call(-1))
attempt("vsock", lambda: socket.socket(40, 1))
attempt("overlay", lambda: os.setxattr("/mnt", "trusted.overlay.redirect", b"/etc"))
print("host sockets", open("/proc/net/unix").read().count("\n") - 1)
print("processes", sum(name.isdigit() for name in os.listdir("/proc")))
"""


def test_nothing_of_the_kernel_or_the_hosts_devices_opens_for_root_in_a_task(cluster):
    code, output, task = cluster.run("escapes", ["python3", "-c", ESCAPES])
    assert code == 0, task
    assert output.splitlines() == ["host sockets 0", "processes 1"]


def test_links_that_a_task_plants_on_the_share_lead_the_daemon_nowhere(cluster):
    file_system = cluster.file_system()["FileSystemId"]
    volume = lambda **more: ({"fileSystemId": file_system, "transitEncryption": "ENABLED", **more}, "/data")
    code, _, task = cluster.run("planter", [*SHELL, "cd /data; ln -s / root; ln -s ../../.. up; ln -s /proc/self/root self"], volume=volume())
    assert code == 0, task
    for link in ("/root", "/up", "/self", "/root/etc"):
        point = cluster.efs.create_access_point(FileSystemId=file_system, ClientToken="planted" + link, RootDirectory={
            "Path": link, "CreationInfo": {"OwnerUid": 0, "OwnerGid": 0, "Permissions": "755"}})["AccessPointId"]
        for way in (volume(authorizationConfig={"accessPointId": point}), volume(rootDirectory=link)):
            code, output, task = cluster.run("follower", [*SHELL, "ls /data"], volume=way)
            assert (code, output) == (None, "")
            assert f"root directory `{link}`: Not a directory" in task["stoppedReason"]


def test_what_a_task_wrote_to_the_share_is_no_image(cluster):
    file_system = cluster.file_system()["FileSystemId"]
    volume = ({"fileSystemId": file_system, "transitEncryption": "ENABLED"}, "/data")
    code, _, task = cluster.run("painter", [*SHELL, "cd /data; echo '{}' > oci-layout; mkfifo index.json"], volume=volume)
    assert code == 0, task
    image = cluster.berth.state / "file-systems" / file_system
    assert (image / "oci-layout").exists()
    _, _, task = cluster.run("framed", ["true"], container={"image": str(image)})
    assert "is no image" in task["stoppedReason"]


def test_a_named_pipe_in_an_image_holds_nobody_up(cluster, tmp_path):
    (tmp_path / "oci-layout").write_text("{}")
    os.mkfifo(tmp_path / "index.json")
    _, _, task = cluster.run("pipe", ["true"], container={"image": str(tmp_path)})
    assert task["stoppedReason"].startswith("CannotPullContainerError")


@pytest.mark.parametrize("script, code", [
    ("exec >&- 2>&-; exit 4", 4),
    ("(setsid sleep 1000 &) ; exit 5", 5),
    ("head -c 20000000 /dev/zero | tr '\\0' x; exit 6", 6),
    ("kill -9 1; kill -9 -1; exit 7", 7),
    ("dd if=/dev/zero of=/dev/shm/x bs=1M count=1000 2>/dev/null; exit 8", 8),
], ids=["no output", "a process left behind", "a line of 20 MB", "kills all it sees", "fills its memory"])
def test_a_task_that_behaves_badly_ends_like_any_other(cluster, script, code):
    ended, _, task = cluster.run("rowdy", [*SHELL, script])
    assert (ended, task["lastStatus"]) == (code, "STOPPED")


# --- bad luck ----------------------------------------------------------------------------------------------------------------

def test_what_was_acknowledged_survives_a_daemon_that_is_killed_again_and_again(own_berth):
    cluster = Cluster(own_berth, "chaos")
    definition = cluster.define("short", [*SHELL, "exit 3"])
    keeper = own_berth.status()["keeper_pid"]
    tasks, file_systems = [], []
    for kill in range(6):
        for i in range(3):
            try:
                tasks.append(cluster.start(definition))
                file_systems.append(cluster.efs.create_file_system(CreationToken=f"{kill}-{i}")["FileSystemId"])
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
                break  # not acknowledged
        pids = wait_until(lambda: subprocess.run(["pgrep", "-P", str(keeper), "-x", "berthd"], capture_output=True, text=True).stdout.split())
        os.kill(int(pids[0]), signal.SIGKILL)
        wait_until(lambda: own_berth.command("status", check=False).returncode == 0)
    assert len(tasks) > 6
    for task in tasks:
        assert cluster.stopped(task)["lastStatus"] == "STOPPED"
    kept = {f["FileSystemId"] for f in cluster.efs.describe_file_systems()["FileSystems"]}
    assert kept.issuperset(file_systems)
    mounts = [line.split()[4] for line in open(f"/proc/{keeper}/mountinfo") if str(own_berth.state) in line]
    assert len(mounts) == len(set(mounts)), "mounts pile up with each crash"
    assert not os.listdir(own_berth.state / "runtime" / "tasks")


def test_after_a_killed_keeper_the_next_start_takes_its_leftovers_away(own_berth):
    cluster = Cluster(own_berth, "leftovers")
    task = cluster.start(cluster.define("long", ["sleep", "1000"]))
    cluster.running(task)
    port = own_berth.endpoint.rsplit(":", 1)[1]
    own_berth.die()
    own_berth.command("up", "--listen", f"127.0.0.1:{port}")
    assert cluster.stopped(task)["stoppedReason"].startswith("Berth was stopped while the task was running")
    task_id = task.rsplit("/", 1)[1]
    left = [folder for folder, folders, _ in os.walk("/sys/fs/cgroup") if task_id in folders]
    assert not left
    assert not (own_berth.state / "runtime" / "netns" / task_id).exists()


def test_a_full_disk_refuses_calls_and_loses_nothing_that_was_acknowledged():
    daemon = Berth()
    daemon.state.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "berth-test", str(daemon.state)], check=True)
    try:
        daemon.up()
        ecs = daemon.client("ecs")
        ecs.create_cluster(clusterName="before")
        ballast = daemon.state / "ballast"
        with open(ballast, "wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(bytes(1 << 16))
        made = ["before"]
        for i in range(2000):
            try:
                ecs.create_cluster(clusterName=f"full-{i}")
                made.append(f"full-{i}")
            except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError):
                break
        else:
            pytest.fail("the disk was never full")
        ballast.unlink()
        wait_until(lambda: daemon.command("status", check=False).returncode == 0 or daemon.command(
            "up", "--listen", "127.0.0.1:0", check=False).returncode == 0)
        daemon.environment = json.loads(daemon.command("env", "--json"))
        arns = daemon.client("ecs").describe_clusters(clusters=made[:1] + made[-1:])["clusters"]
        assert {c["clusterName"] for c in arns} == {made[0], made[-1]}

        def writable_again():
            try:
                return daemon.client("ecs").create_cluster(clusterName="after")
            except botocore.exceptions.ClientError as error:
                assert error.response["Error"]["Code"] == "ServiceUnavailable"
        wait_until(writable_again)
    finally:
        daemon.command("down", check=False)
        subprocess.run(["umount", "--lazy", str(daemon.state)], check=False)
        shutil.rmtree(daemon.home, ignore_errors=True)


def test_a_state_directory_that_holds_no_readable_state_is_told_and_left_alone(tmp_path):
    daemon = Berth()
    try:
        daemon.up()
        daemon.command("down")
        database = next(daemon.state.glob("*.db"))
        database.write_bytes(b"not a database" * 1000)
        done = daemon.command("up", "--listen", "127.0.0.1:0", check=False)
        assert done.returncode == 1
        assert str(database) in done.stderr
        assert database.read_bytes().startswith(b"not a database")
    finally:
        daemon.down()


def test_a_user_other_than_root_is_told_what_is_missing(tmp_path):
    tmp_path.chmod(0o777)
    done = subprocess.run([BERTH, "up", "--state-dir", str(tmp_path / "state"), "--listen", "127.0.0.1:0"], capture_output=True,
                          text=True, timeout=60, user=65534, group=65534, extra_groups=[], cwd="/")
    assert done.returncode == 1
    assert "root" in done.stderr


def test_without_an_oci_runtime_the_start_says_which_ones_would_do(tmp_path):
    """The daemon looks for them in the standard folders: hidden here by mounts of a namespace of the test's own."""
    hide = "for p in /usr/bin/crun /usr/sbin/crun /usr/bin/runc /usr/sbin/runc /sbin/runc /usr/local/bin/runc /usr/local/sbin/runc /usr/local/bin/crun; do " \
           "[ -e $p ] && mount --bind /dev/null $p; done; exec \"$@\""
    done = subprocess.run(["unshare", "--mount", "sh", "-c", hide, "sh", BERTH, "up", "--state-dir", str(tmp_path / "state"), "--listen", "127.0.0.1:0"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "crun" in done.stderr and "runc" in done.stderr


def test_without_dev_fuse_the_start_says_so(tmp_path):
    hide = "mkdir $0/dev && mount --rbind /dev $0/dev && mount -t tmpfs none /dev && for n in null zero full random urandom tty; do " \
           "touch /dev/$n && mount --bind $0/dev/$n /dev/$n; done; exec \"$@\""
    done = subprocess.run(["unshare", "--mount", "sh", "-c", hide, str(tmp_path), BERTH, "up", "--state-dir", str(tmp_path / "state"),
                           "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
    subprocess.run([BERTH, "down", "--state-dir", str(tmp_path / "state")], capture_output=True, timeout=60)
    assert done.returncode == 1
    assert "/dev/fuse" in done.stderr
