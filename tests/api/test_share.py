"""EFS volumes in tasks: two zones, access points, rights by policy, and a daemon that dies under them."""
import json
import os
import signal

import pytest
from berth import Cluster, allow, wait_until

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
        os.kill(own_berth.status()["daemon_pid"], signal.SIGKILL)
        wait_until(lambda: own_berth.command("status", "--json", check=False).returncode == 0)
        assert own_berth.status()["restarts"] == kill
    ended = cluster.stopped(task)
    assert own_berth.logs(task).splitlines() == ["ready", "whole"]
    assert ended["containers"][0]["exitCode"] == 0


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
    os.kill(own_berth.status()["daemon_pid"], signal.SIGKILL)
    wait_until(lambda: own_berth.command("status", "--json", check=False).returncode == 0)
    assert inventory() == before
    own_berth.command("down")
    own_berth.up()
    assert inventory() == before
