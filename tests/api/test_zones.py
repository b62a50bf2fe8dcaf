"""Zones and throughput of the share: a lost zone's tasks wait and go on, and what a file system does is metered."""
import json
import os
import shutil
import subprocess
import time
import urllib.request

import pytest
from berth import AWS_CLI, Cluster, refusal, wait_until

SHELL = ["sh", "-c"]
# Puts a number there, whole, once in a while, and says which after it.
TICKING = [*SHELL, "trap 'exit 0' TERM; i=0; while :; do i=$((i + 1)); echo $i > /data/next && mv /data/next /data/tick && echo wrote $i; sleep 0.05; done"]
NEWER_CLI = shutil.which("aws", path=os.environ.get("BERTH_NEWER_AWS_CLI", os.environ["PATH"]))


def volume(file_system):
    return {"fileSystemId": file_system["FileSystemId"], "transitEncryption": "ENABLED"}, "/data"


def waiting(berth, task):
    return sum(mount["waiting"] for mount in berth.status()["mounts"] if mount["id"].startswith(task.split("/")[-1]))


def zone(berth, *words):
    return berth.command("zone", *words)


@pytest.fixture
def own(own_berth):
    return Cluster(own_berth, "zones")


def backing(berth, file_system):
    return berth.state / "file-systems" / file_system["FileSystemId"]


def ticks(berth, file_system):
    file = backing(berth, file_system) / "tick"
    return int(file.read_text() or 0) if file.exists() else 0


def test_a_lost_zone_s_tasks_wait_and_go_on_even_over_a_death_of_the_daemon(own):
    berth, (a, b) = own.berth, own.zones
    file_system = own.file_system()
    task = own.start(own.define("tick", TICKING, volume=volume(file_system)), zone=a)
    own.running(task)
    wait_until(lambda: ticks(berth, file_system) > 2)
    assert "lost" in zone(berth, "lose", a)
    wait_until(lambda: waiting(berth, task) == 1)
    assert {z["name"]: z["state"] for z in berth.status()["zones"]} == {a: "lost", b: "up"}
    stuck = ticks(berth, file_system)
    # The other zone works on, in the same directory.
    code, output, _ = own.run("other", [*SHELL, "echo b > /data/b && cat /data/tick"], volume=volume(file_system), zone=b)
    assert (code, output.strip()) == (0, str(stuck))
    # A task that comes now does not get its volume.
    late = own.run("late", ["true"], volume=volume(file_system), zone=a)[2]
    assert late["stopCode"] == "TaskFailedToStart" and "Connection timed out" in late["stoppedReason"]
    # What is lost stays lost when the daemon dies, and the task still waits.
    berth.kill_daemon()
    wait_until(lambda: waiting(berth, task) == 1)
    assert ticks(berth, file_system) == stuck
    zone(berth, "restore", a)
    wait_until(lambda: ticks(berth, file_system) > stuck + 2)
    said = berth.logs(task).split("\n")
    assert f"wrote {stuck + 1}" in said, "not one write was lost"


def test_a_task_that_waits_for_a_lost_zone_can_be_stopped(own):
    berth, a = own.berth, own.zones[0]
    file_system = own.file_system()
    definition = own.define("stuck", [*SHELL, "while :; do cat /data/nothing 2>/dev/null; sleep 0.05; done"], volume=volume(file_system),
                            container={"stopTimeout": 2})
    task = own.start(definition, zone=a)
    own.running(task)
    zone(berth, "isolate", a)
    wait_until(lambda: waiting(berth, task) == 1)
    own.ecs.stop_task(cluster=own.name, task=task)
    assert own.stopped(task)["containers"][0]["exitCode"] == 137


def test_a_soft_loss_is_eio_and_a_read_only_one_erofs(own):
    berth, a = own.berth, own.zones[0]
    file_system = own.file_system()
    script = "trap 'exit 0' TERM; while :; do date > /data/now; cat /data/kept; sleep 0.05; done 2>&1"
    (backing(berth, file_system) / "kept").write_text("still here\n")
    task = own.start(own.define("soft", [*SHELL, script], volume=volume(file_system)), zone=a)
    own.running(task)
    wait_until(lambda: "still here" in berth.logs(task))
    zone(berth, "lose", a, "--soft", "--timeo", "1", "--retrans", "0")
    wait_until(lambda: "Input/output error" in berth.logs(task) or "I/O error" in berth.logs(task))
    zone(berth, "lose", a, "--read-only")
    wait_until(lambda: "Read-only file system" in berth.logs(task))
    before = berth.logs(task).count("still here")
    wait_until(lambda: berth.logs(task).count("still here") > before)


def test_latency_shows_and_takes_effect(own):
    berth, (a, b) = own.berth, own.zones
    zone(berth, "latency", a, b, "1.5")
    zone(berth, "latency", a, a, "0.25")
    shown = {z["name"]: z["latency_ms"] for z in berth.status()["zones"]}
    assert shown == {a: {a: 0.25, b: 1.5}, b: {a: 1.5}}
    assert "us-east-1b 1.5" in berth.command("status")
    file_system = own.file_system()
    assert own.run("slow", [*SHELL, "echo x > /data/x && cat /data/x"], volume=volume(file_system), zone=a)[0] == 0
    zone(berth, "latency", a, b, "0")
    zone(berth, "latency", a, a, "0")
    assert all(not z["latency_ms"] for z in berth.status()["zones"])


def test_wrong_words_are_refused_with_a_reason(own_berth):
    for words in (["lose", "us-east-1z"], ["latency", "us-east-1a", "us-east-1b", "soon"], ["latency", "us-east-1a", "us-east-1b", "-1"]):
        done = own_berth.command("zone", *words, check=False)
        assert done.returncode != 0 and done.stderr.strip(), words
    assert "the zones are us-east-1a, us-east-1b" in own_berth.command("zone", "lose", "us-east-1z", check=False).stderr


@pytest.fixture(scope="module")
def metered(machine):
    from berth import Berth
    daemon = Berth()
    try:
        daemon.up("--", "--metrics-seconds", "1")
        yield Cluster(daemon, "metered")
    finally:
        daemon.down()


def used(cluster, tag=None, **more):
    """A file system on which a task has written 1 MiB by 16 KiB and read it."""
    file_system = cluster.file_system()
    if tag:
        cluster.efs.tag_resource(ResourceId=file_system["FileSystemId"], Tags=[{"Key": tag[0], "Value": tag[1]}])
    script = "mkdir /data/teams; dd if=/dev/zero of=/data/teams/file bs=16k count=64; cat /data/teams/file | wc -c"
    code, output, _ = cluster.run("use", [*SHELL, script], volume=volume(file_system))
    assert code == 0 and "1048576" in output, output
    return file_system["FileSystemId"]


def statistics(client, file_system, metric, **more):
    now = time.time()
    points = client.get_metric_statistics(Namespace="AWS/EFS", MetricName=metric, StartTime=now - 600, EndTime=now + 120, Period=3600,
                                          Dimensions=[{"Name": "FileSystemId", "Value": file_system}, *more.pop("dimensions", [])],
                                          Statistics=["Sum", "SampleCount", "Minimum", "Maximum", "Average"])["Datapoints"]
    return {name: sum(point[name] for point in points) if name in ("Sum", "SampleCount") else max(point[name] for point in points)
            for name in ("Sum", "SampleCount", "Minimum", "Maximum", "Average")} if points else None


def test_a_file_system_that_is_metered_exactly_counts_every_byte(metered):
    cloudwatch = metered.berth.client("cloudwatch")
    file_system = used(metered, ("berth:metered", "exact"))
    written = wait_until(lambda: statistics(cloudwatch, file_system, "DataWriteIOBytes"))
    assert (written["Sum"], written["SampleCount"], written["Minimum"], written["Maximum"]) == (1048576, 64, 16384, 16384)
    assert statistics(cloudwatch, file_system, "MetadataIOBytes")["Sum"] > 0
    assert statistics(cloudwatch, file_system, "TotalIOBytes")["Sum"] >= 1048576
    stored = wait_until(lambda: statistics(cloudwatch, file_system, "StorageBytes", dimensions=[{"Name": "StorageClass", "Value": "Total"}]))
    assert stored["Maximum"] >= 1048576
    assert metered.efs.describe_file_systems(FileSystemId=file_system)["FileSystems"][0]["SizeInBytes"]["Value"] >= 1048576


def test_prometheus_reads_the_same_from_the_loopback(metered):
    file_system = used(metered, ("berth:metered", "exact"))

    def text():
        answer = urllib.request.urlopen(metered.berth.endpoint + "/metrics", timeout=10)
        assert answer.headers["Content-Type"].startswith("text/plain")
        return answer.read().decode()

    assert f'berth_efs_io_bytes_total{{file_system="{file_system}",kind="write"}} 1048576' in text()
    wait_until(lambda: f'berth_efs_directory_bytes{{file_system="{file_system}",directory="/teams"}}' in text())


def newer_cli():
    if not NEWER_CLI or os.path.realpath(NEWER_CLI) == os.path.realpath(AWS_CLI):
        pytest.skip("needs an AWS CLI of 2025 or later in PATH, which speaks AWS JSON")
    return NEWER_CLI


@pytest.mark.parametrize("command", ["Debian's", "a newer one"])
def test_both_command_lines_read_the_metrics(metered, command):
    file_system = used(metered, ("berth:metered", "exact"))
    cloudwatch = metered.berth.client("cloudwatch")
    wait_until(lambda: statistics(cloudwatch, file_system, "DataWriteIOBytes"))
    program = AWS_CLI if command == "Debian's" else newer_cli()

    def aws(*words):
        done = subprocess.run([program, "--endpoint-url", metered.berth.endpoint, "--output", "json", "cloudwatch", *words], text=True,
                              capture_output=True, timeout=120, env={**os.environ, "AWS_PAGER": "", **metered.berth.environment})
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else done.stderr

    names = {m["MetricName"] for m in aws("list-metrics", "--namespace", "AWS/EFS", "--dimensions", f"Name=FileSystemId,Value={file_system}")[1]["Metrics"]}
    assert {"DataWriteIOBytes", "MetadataIOBytes", "TotalIOBytes", "MeteredIOBytes", "PercentIOLimit"} <= names
    query = [{"Id": "written", "MetricStat": {"Period": 60, "Stat": "Sum", "Metric": {
        "Namespace": "AWS/EFS", "MetricName": "DataWriteIOBytes", "Dimensions": [{"Name": "FileSystemId", "Value": file_system}]}}}]
    now = int(time.time())
    code, data = aws("get-metric-data", "--metric-data-queries", json.dumps(query), "--start-time", str(now - 600), "--end-time", str(now + 120))
    assert code == 0, data
    assert sum(data["MetricDataResults"][0]["Values"]) == 1048576
    code, error = aws("get-metric-statistics", "--namespace", "AWS/EFS", "--metric-name", "DataWriteIOBytes", "--period", "61",
                      "--start-time", str(now - 600), "--end-time", str(now), "--statistics", "Sum")
    assert code != 0 and "InvalidParameterValue" in error


def test_provisioned_throughput_is_held_and_shows(metered):
    cloudwatch = metered.berth.client("cloudwatch")
    file_system = metered.file_system()
    identity = file_system["FileSystemId"]
    metered.efs.update_file_system(FileSystemId=identity, ThroughputMode="provisioned", ProvisionedThroughputInMibps=4)
    permitted = wait_until(lambda: statistics(cloudwatch, identity, "PermittedThroughput"))
    assert permitted["Maximum"] == 4 * 1024 * 1024
    assert refusal(metered.efs.update_file_system, FileSystemId=identity, ThroughputMode="elastic")[:2] == ("TooManyRequests", 429)
    code, output, _ = metered.run("limited", [*SHELL, "head -c 2097152 /dev/zero > /data/two && wc -c < /data/two"], volume=volume(file_system))
    assert (code, output.strip()) == (0, "2097152")
    mounts = [m for m in metered.berth.status()["mounts"] if m["file_system"] == identity]
    assert not any(m["passthrough"] for m in mounts)


def test_a_bursting_file_system_is_held_to_its_throughput_where_its_tag_says_so(metered):
    cloudwatch = metered.berth.client("cloudwatch")
    identity = metered.file_system()["FileSystemId"]
    metered.efs.tag_resource(ResourceId=identity, Tags=[{"Key": "berth:throughput", "Value": "enforced"}])
    credits = wait_until(lambda: statistics(cloudwatch, identity, "BurstCreditBalance"))
    assert credits["Maximum"] == pytest.approx(2.1 * 2**40)
    assert statistics(cloudwatch, identity, "PermittedThroughput")["Maximum"] == 100 * 2**20
    metered.efs.untag_resource(ResourceId=identity, TagKeys=["berth:throughput"])
    wait_until(lambda: f'permitted_throughput_bytes_per_second{{file_system="{identity}"' not in
               urllib.request.urlopen(metered.berth.endpoint + "/metrics", timeout=10).read().decode())


def test_metrics_need_a_permission_like_everything_else(metered):
    user = metered.iam.create_user(UserName="no-metrics")["User"]["UserName"]
    key = metered.iam.create_access_key(UserName=user)["AccessKey"]
    client = metered.berth.client("cloudwatch", key["AccessKeyId"], key["SecretAccessKey"])
    code, status, message = refusal(client.list_metrics)
    assert status == 403 and "cloudwatch:ListMetrics" in message
