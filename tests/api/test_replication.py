"""EFS replication, really done: first copies, changes, deaths of the daemon, clients of the destination, failover and back."""
import os
import signal
import stat
import urllib.parse
import urllib.request

import pytest
from berth import WAITING, Berth, Cluster, allow, policy, refusal, wait_until

SHELL = ["sh", "-c"]
# Appends numbers for as long as it may, and says when that ends and when it begins again.
WRITER = """
import errno, os, time
said = None
while True:
    try:
        with open("/data/log", "a") as file: file.write("line\\n")
        now = "ok"
    except OSError as error:
        now = errno.errorcode[error.errno]
    if now != said: print(now, flush=True)
    said = now
    time.sleep(0.02)
"""


@pytest.fixture(scope="module")
def quick(machine):
    """A daemon that makes a pass a second."""
    daemon = Berth()
    try:
        yield daemon.up("--", "--replication-seconds", "1")
    finally:
        daemon.down()


@pytest.fixture
def own(machine):
    daemon = Berth()
    try:
        yield daemon.up("--", "--replication-seconds", "1")
    finally:
        daemon.down()


def make(berth, token):
    return berth.client("efs").create_file_system(CreationToken=token)["FileSystemId"]


def make_open(berth, token):
    """A file system that may be overwritten."""
    made = make(berth, token)
    assert berth.efs_call("PUT", f"file-systems/{made}/protection", {"ReplicationOverwriteProtection": "DISABLED"})[0] == 200
    return made


def backing(berth, file_system):
    return berth.state / "file-systems" / file_system


def replicate(berth, source, destination=None):
    wish = {"FileSystemId": destination} if destination else {"Region": "us-east-1"}
    status, answer = berth.efs_call("POST", f"file-systems/{source}/replication-configuration", {"Destinations": [wish]})
    assert status == 200, answer
    [made] = answer["Destinations"]
    assert made["Status"] == "ENABLING"
    return made["FileSystemId"]


def destination(berth, source):
    """Debian's botocore does not know all of it."""
    status, answer = berth.efs_call("GET", f"file-systems/replication-configurations?FileSystemId={source}")
    assert status == 200, answer
    [found] = answer["Replications"]
    return found["Destinations"][0]


def replicated(berth, source):
    """Waits until all that is in the source now is in the destination, as EFS says it."""
    probe = backing(berth, source) / ".probe"
    probe.touch()
    now = probe.stat().st_ctime
    probe.unlink()

    def last():
        found = destination(berth, source)
        at = found.get("LastReplicatedTimestamp")
        return found if at and at > now else None
    return wait_until(last, 60)


def protection(berth, file_system):
    return berth.efs_call("GET", f"file-systems?FileSystemId={file_system}")[1]["FileSystems"][0]["FileSystemProtection"]["ReplicationOverwriteProtection"]


def ended(berth, file_system):
    efs = berth.client("efs")

    def gone():
        try:
            return not efs.describe_replication_configurations(FileSystemId=file_system)["Replications"]
        except efs.exceptions.ReplicationNotFound:
            return True
    wait_until(gone)


def look(root):
    """Of each path: type, mode, owner, modification time, content; names of one file share the first one's."""
    seen, first = {}, {}
    for directory, names, files in os.walk(root):
        names.sort()
        for name in sorted([*names, *files]):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            content = None
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = file.read(), first.setdefault(status.st_ino, os.path.relpath(path, root))
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            seen[os.path.relpath(path, root)] = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, content)
    return seen


def fill(root):
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "file").write_text("text")
    os.chown(root / "a" / "b" / "file", 1000, 1001)
    os.chmod(root / "a" / "b" / "file", 0o4750)
    os.link(root / "a" / "b" / "file", root / "second name")
    os.symlink("/etc/passwd", root / "link")
    os.mkfifo(root / "fifo")
    with open(root / "sparse", "wb") as file:
        file.truncate(1 << 30)
    os.utime(root / "a", (1e9, 1e9))


def test_a_new_replica_becomes_the_same_and_follows(quick, name):
    source = make(quick, name)
    fill(backing(quick, source))
    replica = replicate(quick, source)
    found = replicated(quick, source)
    assert (found["Status"], found["FileSystemId"], found["Region"]) == ("ENABLED", replica, "us-east-1")
    assert "StatusMessage" not in found
    assert protection(quick, replica) == "REPLICATING"
    os.remove(backing(quick, source) / "sparse")  # a gigabyte to compare else
    assert os.stat(backing(quick, replica) / "sparse").st_blocks == 0
    (backing(quick, source) / "a" / "b" / "file").write_text("other")
    os.rename(backing(quick, source) / "a", backing(quick, source) / "c")
    os.remove(backing(quick, source) / "fifo")
    replicated(quick, source)
    assert look(backing(quick, source)) == look(backing(quick, replica))
    [described] = quick.client("efs").describe_file_systems(FileSystemId=replica)["FileSystems"]
    assert described["Encrypted"] is True and described["LifeCycleState"] == "available"


def test_a_task_writes_the_source_and_another_reads_the_replica(quick, name):
    cluster = Cluster(quick, name)
    source, there = cluster.file_system(), cluster.file_system()
    quick.efs_call("PUT", f"file-systems/{there['FileSystemId']}/protection", {"ReplicationOverwriteProtection": "DISABLED"})
    data = [({"fileSystemId": made["FileSystemId"], "transitEncryption": "ENABLED"}, "/data") for made in (source, there)]
    assert cluster.run(name, [*SHELL, "echo before > /data/greeting"], volume=data[1])[0] == 0
    assert cluster.run(name, [*SHELL, "echo hello > /data/greeting"], volume=data[0])[0] == 0
    replicate(quick, source["FileSystemId"], there["FileSystemId"])
    replicated(quick, source["FileSystemId"])
    code, output, _ = cluster.run(name, [*SHELL, "cat /data/greeting; exec 2>&1; (echo mine > /data/greeting); mkdir /data/new"], volume=data[1])
    assert code != 0 and output.splitlines()[0] == "hello", output
    assert output.count("Read-only file system") == 2, output


def test_a_live_client_of_the_destination_can_not_write_until_the_replication_is_deleted(quick, name):
    cluster = Cluster(quick, name)
    there = cluster.file_system()
    quick.efs_call("PUT", f"file-systems/{there['FileSystemId']}/protection", {"ReplicationOverwriteProtection": "DISABLED"})
    volume = {"fileSystemId": there["FileSystemId"], "transitEncryption": "ENABLED"}, "/data"
    task = cluster.start(cluster.define(name, ["python3", "-c", WRITER], volume=volume))
    cluster.running(task)

    def says(*all_of_it):
        wait_until(lambda: quick.logs(task).splitlines() == list(all_of_it))
    says("ok")
    source = make(quick, name + "-source")
    replicate(quick, source, there["FileSystemId"])
    says("ok", "EROFS")
    replicated(quick, source)
    assert not (backing(quick, there["FileSystemId"]) / "log").exists(), "what the source has not is gone"
    quick.client("efs").delete_replication_configuration(SourceFileSystemId=source)
    ended(quick, source)
    says("ok", "EROFS", "ok")
    assert protection(quick, there["FileSystemId"]) == "ENABLED"
    cluster.ecs.stop_task(cluster=cluster.name, task=task)


def test_failover_and_back_lose_nothing(quick, name):
    efs = quick.client("efs")
    primary = efs.create_file_system(CreationToken=name, Encrypted=True)["FileSystemId"]  # as the replica is
    (backing(quick, primary) / "one").write_text("1")
    replica = replicate(quick, primary)
    replicated(quick, primary)
    efs.delete_replication_configuration(SourceFileSystemId=primary)
    ended(quick, replica)
    (backing(quick, replica) / "two").write_text("2")
    quick.efs_call("PUT", f"file-systems/{primary}/protection", {"ReplicationOverwriteProtection": "DISABLED"})
    replicate(quick, replica, primary)
    before = os.stat(backing(quick, primary) / "one").st_ino
    replicated(quick, replica)
    assert sorted(os.listdir(backing(quick, primary))) == ["one", "two"]
    assert os.stat(backing(quick, primary) / "one").st_ino == before, "what is the same stays"
    efs.delete_replication_configuration(SourceFileSystemId=replica)
    ended(quick, replica)
    for file_system in (primary, replica):
        efs.delete_file_system(FileSystemId=file_system)


def test_a_daemon_that_is_killed_during_the_first_copy_finishes_it_later(own):
    source = make(own, "source")
    for number in range(3000):
        file = backing(own, source) / f"d{number % 50}" / f"file{number}"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"text of {number} " * 50)
    replica = replicate(own, source)
    for _ in range(4):
        own.kill_daemon()
        assert destination(own, source)["Status"] in ("ENABLING", "ENABLED")
    replicated(own, source)
    assert look(backing(own, source)) == look(backing(own, replica))


def test_a_replication_deleted_as_the_daemon_dies_ends_all_the_same(own):
    source = make(own, "source")
    replica = replicate(own, source)
    pid = own.status()["daemon_pid"]
    own.client("efs").delete_replication_configuration(SourceFileSystemId=source)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: own.command("status", "--json", check=False).returncode == 0)
    ended(own, replica)
    assert protection(own, replica) == "ENABLED"


def test_what_keeps_it_from_copying_is_told_and_when_it_is_gone_it_goes_on(quick, name):
    source = make(quick, name)
    replica = replicate(quick, source)
    replicated(quick, source)
    away = quick.home / f"away-{name}"
    os.rename(backing(quick, source), away)
    os.mkdir(backing(quick, source))
    found = wait_until(lambda: (lambda d: d if d["Status"] == "ERROR" else None)(destination(quick, source)))
    assert "another directory than at the last pass" in found["StatusMessage"]
    os.rmdir(backing(quick, source))
    os.rename(away, backing(quick, source))
    found = replicated(quick, source)
    assert found["Status"] == "ENABLED" and "StatusMessage" not in found
    assert os.path.isdir(backing(quick, replica))


def test_what_can_not_be_replicated_is_refused(quick, name):
    efs = quick.client("efs", validate=False)
    source, closed = make(quick, name), make(quick, name + "-closed")

    def refused(body, of=source):
        status, answer = quick.efs_call("POST", f"file-systems/{of}/replication-configuration", body)
        return answer.get("ErrorCode"), status
    assert refused({"Destinations": [{"FileSystemId": closed}]}) == ("BadRequest", 400)
    assert refused({"Destinations": [{"FileSystemId": source}]}) == ("BadRequest", 400)
    assert refused({"Destinations": [{"Region": "eu-west-1"}]}) == ("BadRequest", 400)
    assert refused({"Destinations": [{}, {}]}) == ("BadRequest", 400)
    assert refused({}) == ("BadRequest", 400)
    assert refused({"Destinations": [{"AvailabilityZoneName": "us-east-1z"}]}) == ("UnsupportedAvailabilityZone", 400)
    assert refused({"Destinations": [{"FileSystemId": "fs-0123456789abcdef0"}]}) == ("FileSystemNotFound", 404)
    encrypted = efs.create_file_system(CreationToken=name + "-e", Encrypted=True)["FileSystemId"]
    assert refused({"Destinations": [{"FileSystemId": make_open(quick, name + "-open")}]}, of=encrypted) == ("ConflictException", 409)
    assert refusal(efs.describe_replication_configurations, FileSystemId=source)[:2] == ("ReplicationNotFound", 404)
    assert refusal(efs.delete_replication_configuration, SourceFileSystemId=source)[:2] == ("ReplicationNotFound", 404)
    replica = replicate(quick, source)
    assert refused({"Destinations": [{}]}) == ("BadRequest", 400)
    assert refused({"Destinations": [{}]}, of=replica) == ("BadRequest", 400)
    assert refusal(efs.delete_file_system, FileSystemId=replica)[:2] == ("FileSystemInUse", 409)
    assert refusal(efs.delete_file_system, FileSystemId=source)[:2] == ("FileSystemInUse", 409)
    status, answer = quick.efs_call("PUT", f"file-systems/{replica}/protection", {"ReplicationOverwriteProtection": "DISABLED"})
    assert (answer["ErrorCode"], status) == ("ReplicationAlreadyExists", 409)


def test_replicating_asks_for_the_source_and_for_making_the_destination(quick, name):
    iam = quick.client("iam")
    iam.create_user(UserName=name)
    keys = iam.create_access_key(UserName=name)["AccessKey"]
    mine = quick.client("efs", keys["AccessKeyId"], keys["SecretAccessKey"])
    source = make(quick, name)

    def may(*statements):
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(*statements))

    def attempt():
        return mine.create_replication_configuration(SourceFileSystemId=source, Destinations=[{"Region": "us-east-1"}])
    create = allow("elasticfilesystem:CreateReplicationConfiguration")
    may(allow("elasticfilesystem:CreateFileSystem"))
    assert "elasticfilesystem:CreateReplicationConfiguration" in refusal(attempt)[2]
    may(create)
    assert "elasticfilesystem:CreateFileSystem" in refusal(attempt)[2]
    may(create, allow("elasticfilesystem:CreateFileSystem"))
    attempt()


def test_configurations_come_in_pages_and_the_cli_speaks_of_them(quick, name):
    made = {make(quick, f"{name}-{i}") for i in range(3)}
    for source in made:
        quick.aws("efs", "create-replication-configuration", "--source-file-system-id", source, "--destinations", "Region=us-east-1")
    listed, token = [], ""
    while token is not None:
        _, page = quick.efs_call("GET", "file-systems/replication-configurations?MaxResults=2" + (f"&NextToken={urllib.parse.quote(token)}" if token else ""))
        assert len(page["Replications"]) <= 2
        listed += [one["SourceFileSystemId"] for one in page["Replications"]]
        token = page.get("NextToken")
    assert made <= set(listed) and len(listed) == len(set(listed))
    source = made.pop()
    quick.aws("efs", "delete-replication-configuration", "--source-file-system-id", source)
    wait_until(lambda: "(ReplicationNotFound)" in quick.aws("efs", "describe-replication-configurations", "--file-system-id", source, check=False).stderr)


def test_the_replica_has_the_size_of_its_source(own):
    own.command("down")
    own.up("--", "--replication-seconds", "1", "--metrics-seconds", "1")
    source = make(own, "source")
    replica = replicate(own, source)

    def sizes():
        found = own.client("efs").describe_file_systems()["FileSystems"]
        return {one["FileSystemId"]: one["SizeInBytes"]["Value"] for one in found}
    wait_until(lambda: sizes() == {source: 0, replica: 0})
    (backing(own, source) / "file").write_bytes(bytes(1 << 20))
    (backing(own, source) / "file").write_bytes(b"x" * (1 << 20))
    replicated(own, source)
    wait_until(lambda: sizes()[replica] == 1 << 20)


def test_metrics_say_how_far_a_replication_is(quick, name):
    source = make(quick, name)
    (backing(quick, source) / "file").write_text("text")
    replicate(quick, source)
    replicated(quick, source)
    text = urllib.request.urlopen(quick.endpoint + "/metrics").read().decode()
    of_mine = {line.split("{")[0]: float(line.split()[-1]) for line in text.splitlines() if f'"{source}"' in line}
    assert of_mine["berth_efs_replicated_files_total"] >= 1
    assert of_mine["berth_efs_last_replicated_seconds"] > 1e9
