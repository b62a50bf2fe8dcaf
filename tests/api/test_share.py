"""EFS volumes in tasks: two zones, access points, rights by policy, and a daemon that dies under them."""
import json
import os
import signal

import pytest
from berth import WAITING, Cluster, allow, wait_until

SHELL = ["sh", "-c"]
ENCRYPTED_ONLY = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]})


def volume(file_system, access_point=None, iam=False):
    configuration = {"fileSystemId": file_system["FileSystemId"], "transitEncryption": "ENABLED"}
    authorization = {**({"accessPointId": access_point} if access_point else {}), **({"iam": "ENABLED"} if iam else {})}
    if authorization:
        configuration["authorizationConfig"] = authorization
    return configuration, "/data"


def access_point(cluster, file_system, path="/service", uid=1000, gid=1000, creation=True):
    root = {"Path": path}
    if creation:
        root["CreationInfo"] = {"OwnerUid": uid, "OwnerGid": gid, "Permissions": "0750"}
    return cluster.efs.create_access_point(FileSystemId=file_system["FileSystemId"], PosixUser={"Uid": uid, "Gid": gid},
                                           RootDirectory=root, ClientToken=f"token-{path}-{uid}")


def test_what_one_zone_writes_the_other_reads(cluster):
    file_system = cluster.file_system()
    data = volume(file_system)
    assert cluster.run("write", [*SHELL, "echo hello > /data/greeting"], volume=data, zone=cluster.zones[0])[0] == 0
    code, output, _ = cluster.run("read", ["cat", "/data/greeting"], volume=data, zone=cluster.zones[1])
    assert (code, output.strip()) == (0, "hello")


def test_an_access_point_decides_who_the_task_is_and_where_its_root_is(cluster):
    file_system = cluster.file_system()
    point = access_point(cluster, file_system)["AccessPointId"]
    code, output, _ = cluster.run("point", [*SHELL, "touch /data/mine; stat -c '%u:%g %a' /data/mine /data; ls -A /data/.."],
                                  volume=volume(file_system, point))
    assert code == 0, output
    assert output.splitlines()[:2] == ["1000:1000 644", "1000:1000 750"]
    whole = cluster.run("whole", [*SHELL, "ls /data; ls /data/service"], volume=volume(file_system))[1]
    assert whole.split() == ["service", "mine"]


def test_an_access_point_whose_root_is_missing_stops_the_task_before_it_starts(cluster):
    file_system = cluster.file_system()
    point = access_point(cluster, file_system, path="/never-made", creation=False)["AccessPointId"]
    code, _, task = cluster.run("missing-root", ["true"], volume=volume(file_system, point))
    assert code is None
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("ResourceInitializationError")


def test_without_client_write_the_share_is_read_only(cluster, name):
    file_system = cluster.file_system(policy_document=ENCRYPTED_ONLY)
    arn = file_system["FileSystemArn"]
    writer = cluster.role(name + "-writer", allow(["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite", "elasticfilesystem:ClientRootAccess"], arn))
    reader = cluster.role(name + "-reader", allow("elasticfilesystem:ClientMount", arn))
    assert cluster.run(name, [*SHELL, "echo kept > /data/file"], volume=volume(file_system, iam=True), role=writer)[0] == 0
    code, output, _ = cluster.run(
        name, [*SHELL, "cat /data/file; for c in 'touch /data/new' 'rm /data/file' 'mkdir /data/dir' 'chmod 0 /data/file'; do $c 2>&1; done; exit 5"],
        volume=volume(file_system, iam=True), role=reader)
    assert code == 5
    assert output.splitlines()[0] == "kept"
    assert output.count("Read-only file system") == 4, output


def test_without_client_mount_the_task_stops_before_it_starts_and_says_what_was_missing(cluster, name):
    file_system = cluster.file_system(policy_document=ENCRYPTED_ONLY)
    outsider = cluster.role(name, allow("s3:GetObject"))
    code, _, task = cluster.run(name, ["true"], volume=volume(file_system, iam=True), role=outsider)
    assert code is None
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes")
    assert "access denied by server" in task["stoppedReason"]
    assert "elasticfilesystem:ClientMount" in task["stoppedReason"]


def test_without_client_root_access_root_is_nobody(cluster, name):
    file_system = cluster.file_system(policy_document=ENCRYPTED_ONLY)
    arn = file_system["FileSystemArn"]
    rights = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    root = cluster.role(name + "-root", allow([*rights, "elasticfilesystem:ClientRootAccess"], arn))
    squashed = cluster.role(name + "-squashed", allow(rights, arn))
    data = volume(file_system, iam=True)
    assert cluster.run(name, [*SHELL, "mkdir -m 777 /data/open; touch /data/roots; chmod 600 /data/roots"], volume=data, role=root)[0] == 0
    code, output, _ = cluster.run(name, [*SHELL, "touch /data/open/mine; stat -c %u /data/open/mine; cat /data/roots 2>&1; touch /data/no 2>&1; exit 0"],
                                  volume=data, role=squashed)
    assert code == 0
    assert output.splitlines()[0] == "65534"
    assert output.count("Permission denied") == 2, output


def test_a_zone_without_a_mount_target_can_not_mount(cluster):
    file_system = cluster.file_system(zones=[cluster.zones[0]])
    code, _, task = cluster.run("no-target", ["true"], volume=volume(file_system), zone=cluster.zones[1])
    assert code is None
    assert task["stoppedReason"].startswith("ResourceInitializationError")


def test_a_task_can_not_leave_its_access_point(cluster):
    file_system = cluster.file_system()
    whole = volume(file_system)
    assert cluster.run("secret", [*SHELL, "mkdir -m 777 /data/other /data/jail; echo secret > /data/other/file; chown 1000 /data/jail"], volume=whole)[0] == 0
    point = access_point(cluster, file_system, path="/jail", creation=False)["AccessPointId"]
    script = """cd /data; ln -s ../other/file by-symlink; ln -s /other/file by-absolute-symlink
        cat by-symlink by-absolute-symlink ../other/file ../../other/file 2>/dev/null
        ls -A ../.. | grep -x other; mv /data/../other here 2>/dev/null; ls -A; exit 0"""
    code, output, _ = cluster.run("escape", [*SHELL, script], volume=volume(file_system, point))
    assert code == 0
    assert "secret" not in output and "other" not in output.split(), output


def test_a_policy_change_acts_on_a_running_task_and_on_its_open_files(cluster, name):
    file_system = cluster.file_system(policy_document=ENCRYPTED_ONLY)
    arn = file_system["FileSystemArn"]
    rights = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite", "elasticfilesystem:ClientRootAccess"]
    role = cluster.role(name, allow(rights, arn))
    # Says what a write to a file opened long ago gives, and a read of one opened now, whenever that changes.
    script = """
import errno, os, time
def outcome(function):
    try: function()
    except OSError as error: return errno.errorcode[error.errno]
    return "ok"
def fresh():
    with open("/data/file") as file: file.read()
old, said = os.open("/data/file", os.O_RDWR | os.O_CREAT), None
while True:
    now = outcome(lambda: os.pwrite(old, b"x", 0)), outcome(fresh)
    if now != said: print(*now, flush=True)
    said = now
    time.sleep(0.02)
"""
    task = cluster.start(cluster.define(name, ["python3", "-c", script], volume=volume(file_system, iam=True), role=role))
    cluster.running(task)

    def says(*last):
        wait_until(lambda: cluster.berth.logs(task).splitlines()[-1:] == [" ".join(last)])

    def put(actions):
        cluster.iam.put_role_policy(RoleName=name, PolicyName="test", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow(actions, arn)]}))
    says("ok", "ok")
    passthrough = cluster.berth.status()["share"] == "with kernel passthrough"
    put(rights[0])
    says("EIO" if passthrough else "EROFS", "ok")
    put("s3:GetObject")
    says("EIO" if passthrough else "EACCES", "EACCES")
    put(rights)
    says("EIO" if passthrough else "ok", "ok")
    cluster.iam.delete_role_policy(RoleName=name, PolicyName="test")
    cluster.iam.delete_role(RoleName=name)
    says("EIO" if passthrough else "EACCES", "EACCES")
    cluster.ecs.stop_task(cluster=cluster.name, task=task)


def test_what_a_policy_took_away_stays_away_over_a_daemon_that_dies(own_berth):
    cluster = Cluster(own_berth, "revoked")
    file_system = cluster.file_system(policy_document=ENCRYPTED_ONLY)
    arn = file_system["FileSystemArn"]
    rights = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite", "elasticfilesystem:ClientRootAccess"]
    role = cluster.role("person", allow(rights, arn))
    script = """
import os, sys, time
old = os.open("/data/file", os.O_RDWR | os.O_CREAT)
def outcome(function):
    try: function()
    except OSError: return "refused"
    return "ok"
def fresh(mode):
    with open("/data/file", mode): pass
said = None
while True:
    now = outcome(lambda: os.pwrite(old, b"x", 0)), outcome(lambda: fresh("r")), outcome(lambda: fresh("r+"))
    if now != said: print(*now, flush=True)
    said = now
    time.sleep(0.02)
"""
    task = cluster.start(cluster.define("revoked", ["python3", "-c", script], volume=volume(file_system, iam=True), role=role))
    cluster.running(task)

    def says(*last):
        wait_until(lambda: own_berth.logs(task).splitlines()[-1:] == [" ".join(last)])

    def put(actions):
        cluster.iam.put_role_policy(RoleName="person", PolicyName="test", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow(actions, arn)]}))
    says("ok", "ok", "ok")
    put([rights[0], rights[2]])
    says("refused", "ok", "refused")
    lines = len(own_berth.logs(task).splitlines())
    own_berth.kill_daemon()
    assert len(own_berth.logs(task).splitlines()) == lines  # its death and the next one's start changed nothing
    put(rights)
    wait_until(lambda: own_berth.logs(task).splitlines()[-1].split()[1:] == ["ok", "ok"])


def test_a_closed_security_group_stops_the_task_as_a_mount_that_times_out(cluster, name):
    file_system = cluster.file_system(zones=[])
    ec2 = cluster.berth.client("ec2")
    subnet = cluster.subnets[cluster.zones[0]]
    vpc = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"]
    group = ec2.create_security_group(GroupName=name, Description="nfs", VpcId=vpc)["GroupId"]
    cluster.efs.create_mount_target(FileSystemId=file_system["FileSystemId"], SubnetId=subnet, SecurityGroups=[group])
    code, _, task = cluster.run(name, ["true"], volume=volume(file_system))
    assert code is None
    assert task["stoppedReason"].startswith("ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: Mount attempt 1/3")
    assert group in task["stoppedReason"] and "2049" in task["stoppedReason"]
    ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=2049, ToPort=2049, CidrIp="0.0.0.0/0")
    assert cluster.run(name, ["true"], volume=volume(file_system))[0] == 0


def test_a_root_directory_that_is_missing_reads_as_in_the_cloud(cluster, name):
    file_system = cluster.file_system()
    configuration, path = volume(file_system)
    code, _, task = cluster.run(name, ["true"], volume=({**configuration, "rootDirectory": "/none"}, path))
    assert code is None
    assert "mounting 127.0.0.1:/none failed, reason given by server: No such file or directory" in task["stoppedReason"]
    point = access_point(cluster, file_system, path="/none", creation=False)["AccessPointId"]
    _, _, task = cluster.run(name, ["true"], volume=volume(file_system, point))
    assert "access denied by server while mounting 127.0.0.1:/" in task["stoppedReason"]
    assert point in task["stoppedReason"] and "CreationInfo" in task["stoppedReason"]


def test_neither_devices_nor_handles_open_on_a_share_inside_a_task(cluster, name):
    script = """
import ctypes, errno, os, stat
libc = ctypes.CDLL(None, use_errno=True)
os.mknod("/data/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
for path in ["/data/null", "/ro/null"]:
    try: os.open(path, os.O_RDONLY); print("open", path)
    except OSError as error: print(errno.errorcode[error.errno])
handle = ctypes.create_string_buffer(136); handle[0] = 128
if libc.syscall(303, -100, b"/data/null", handle, ctypes.byref(ctypes.c_int()), 0) != 0: handle = ctypes.create_string_buffer(bytes([12, 0, 0, 0, 0x81, 0, 0, 0] + [0] * 12), 136)
directory = os.open("/data", os.O_RDONLY)
print(libc.syscall(304, directory, handle, 0), errno.errorcode[ctypes.get_errno()])
"""
    more = {"container": {"mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}, {"sourceVolume": "data", "containerPath": "/ro", "readOnly": True}]},
            "volumes": [{"name": "data", "efsVolumeConfiguration": volume(cluster.file_system())[0]}]}
    code, output, _ = cluster.run(name, ["python3", "-c", script], **more)
    assert (code, output.split()) == (0, ["EACCES", "EACCES", "-1", "EPERM"]), output


def test_a_working_directory_on_the_volume_is_the_volume(cluster, name):
    file_system = cluster.file_system()
    code, output, _ = cluster.run(name, ["sh", "-c", "pwd; echo here > file; cat /data/file"], volume=volume(file_system), container={"workingDirectory": "/data"})
    assert (code, output.split()) == (0, ["/data", "here"])


def test_no_namespace_but_the_tasks_own_shows_its_mounts(cluster, name):
    file_system = cluster.file_system()
    task = cluster.start(cluster.define(name, WAITING, volume=volume(file_system)))
    cluster.running(task)
    status = cluster.berth.status()
    for pid in [status["daemon_pid"], status["keeper_pid"], 1]:
        with open(f"/proc/{pid}/mountinfo") as table:
            assert task.split("/")[-1] + "/data" not in table.read()
    cluster.ecs.stop_task(cluster=cluster.name, task=task)
    cluster.stopped(task)
    assert not any(m["id"].startswith(task.split("/")[-1]) for m in cluster.berth.status()["mounts"])


@pytest.mark.parametrize("program", ["sqlite3", "git", "tar"])
def test_real_programs_work_on_the_share(cluster, program):
    script = {
        "sqlite3": "cd /data && sqlite3 db 'PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES (1),(2); SELECT sum(x) FROM t; PRAGMA integrity_check'",
        "git": "cd /data && export HOME=/tmp GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b && git init -q r && cd r && "
               "for i in 1 2 3; do echo $i > f$i; done && git add . && git commit -qm one && git mv f1 g && git commit -qm two && git fsck --strict 2>&1 && git log --oneline | wc -l",
        "tar": "cd /data && tar cf t.tar -C /usr/share common-licenses && tar xf t.tar && diff -r common-licenses /usr/share/common-licenses && echo same",
    }[program]
    last = {"sqlite3": "ok", "git": "2", "tar": "same"}[program]
    code, output, _ = cluster.run(program, [*SHELL, script], volume=volume(cluster.file_system()))
    assert code == 0, output
    assert output.strip().splitlines()[-1] == last


WRITER = """
import os
with open("/data/journal", "w+b", buffering=0) as journal:
    for number in range(3000):
        journal.write(b"%06d\\n" % number)
        if number % 20 == 0:
            os.fsync(journal.fileno())
            os.stat("/data/journal")
            part = f"/data/part-{number % 7}"
            with open(part, "wb") as file:
                file.write(b"x" * 100)
            if os.path.getsize(part) != 100: raise SystemExit("short")
        if number == 100: print("ready", flush=True)
        import time; time.sleep(0.001)
lines = open("/data/journal", "rb").read().split()
if lines != [b"%06d" % number for number in range(3000)]: raise SystemExit("lost")
print("whole")
"""


def test_a_task_that_writes_does_not_notice_that_the_daemon_is_killed(own_berth):
    cluster = Cluster(own_berth, "killed")
    file_system = cluster.file_system()
    task = cluster.start(cluster.define("writer", ["python3", "-c", WRITER], volume=volume(file_system)))
    cluster.running(task)
    wait_until(lambda: "ready" in own_berth.logs(task))
    for kill in range(1, 4):
        own_berth.kill_daemon()
        assert own_berth.status()["restarts"] == kill
    ended = cluster.stopped(task)
    assert own_berth.logs(task).splitlines() == ["ready", "whole"]
    assert ended["containers"][0]["exitCode"] == 0


def test_a_daemon_that_is_killed_over_and_over_is_not_given_up(own_berth, directory):
    file_system = Cluster(own_berth, "storm").file_system()
    own_berth.command("fs", "mount", file_system["FileSystemId"], str(directory))
    with open(directory / "journal", "w") as journal:
        for kill in range(1, 16):
            os.kill(own_berth.serving()["daemon_pid"], signal.SIGKILL)
            print(kill, file=journal, flush=True)
            assert (directory / "journal").read_text().split()[-1] == str(kill)
    assert own_berth.serving()["restarts"] == 15


def test_a_daemon_killed_while_tasks_get_their_mounts_leaves_neither_half_a_task_nor_a_mount(own_berth):
    cluster = Cluster(own_berth, "starting")
    file_system = cluster.file_system()
    point = access_point(cluster, file_system)["AccessPointId"]
    volumes = [{"name": "data", "efsVolumeConfiguration": volume(file_system)[0]}, {"name": "point", "efsVolumeConfiguration": volume(file_system, point)[0]}]
    container = {"mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}, {"sourceVolume": "point", "containerPath": "/data/inner", "readOnly": True}]}
    definition = cluster.define("starting", ["sh", "-c", "trap 'exit 0' TERM; ls /data/inner && touch /data/$HOSTNAME || exit 9; echo ready; while :; do sleep 0.1; done"],
                                container=container, volumes=volumes)
    tasks = []
    for _ in range(8):
        tasks.append(cluster.start(definition))
        own_berth.kill_daemon()
    for task in tasks:
        found = wait_until(lambda: (lambda t: t if t["lastStatus"] in ("RUNNING", "STOPPED") else None)(cluster.describe(task)), 60)
        if found["lastStatus"] == "STOPPED":  # its preparation was cut off, and that is what it says
            assert "Berth was" in found["stoppedReason"], found["stoppedReason"]
        else:
            wait_until(lambda: "ready" in own_berth.logs(task))  # before that its shell would not hear of the stop
            cluster.ecs.stop_task(cluster="starting", task=task)
            assert cluster.stopped(task)["containers"][0]["exitCode"] == 0
    wait_until(lambda: not own_berth.status()["mounts"])
    keeper = own_berth.status()["keeper_pid"]

    def devices():
        links = [os.readlink(f"/proc/{keeper}/fd/{fd}") for fd in os.listdir(f"/proc/{keeper}/fd") if os.path.islink(f"/proc/{keeper}/fd/{fd}")]
        return [link for link in links if link == "/dev/fuse"]
    assert devices() == []


def test_every_api_object_is_there_after_the_daemon_was_killed_and_after_a_stop(own_berth):
    cluster = Cluster(own_berth, "kept")
    file_system = cluster.file_system()
    access_point(cluster, file_system)
    cluster.role("kept", allow("s3:GetObject"))
    definition = cluster.define("kept", ["true"])

    def inventory():
        ecs, efs, iam = own_berth.client("ecs"), own_berth.client("efs"), own_berth.client("iam")
        return [ecs.list_clusters()["clusterArns"], ecs.list_task_definitions()["taskDefinitionArns"],
                ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"],
                efs.describe_file_systems()["FileSystems"], efs.describe_access_points()["AccessPoints"],
                efs.describe_mount_targets(FileSystemId=file_system["FileSystemId"])["MountTargets"],
                iam.list_roles()["Roles"], iam.get_role_policy(RoleName="kept", PolicyName="test")["PolicyDocument"],
                own_berth.client("ec2").describe_subnets()["Subnets"]]
    before = inventory()
    own_berth.kill_daemon()
    assert inventory() == before
    own_berth.command("down")
    own_berth.up()
    assert inventory() == before
