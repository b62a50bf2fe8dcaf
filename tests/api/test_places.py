"""File systems that lie in another place than the state directory: a tmpfs stands for the larger disk."""
import subprocess

import pytest
from berth import Berth, Cluster, refusal, wait_until
from test_share import SHELL, volume

TAG = "berth:place"


@pytest.fixture
def place(tmp_path):
    directory = tmp_path / "big-disk"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "berth-test", directory], check=True)
    yield directory
    subprocess.run(["umount", "--lazy", directory], check=True)


@pytest.fixture
def placed(place):
    """A daemon that has the place, a cluster, and a file system there."""
    daemon = Berth()
    try:
        daemon.up("--", "--place", f"big={place}")
        cluster = Cluster(daemon, "places")
        yield daemon, cluster, cluster.file_system(tags={TAG: "big"})
    finally:
        daemon.down()


def test_a_file_system_in_a_place_is_served_from_there_also_after_the_place_has_no_name_any_more(placed, place):
    daemon, cluster, file_system = placed
    write = cluster.run("write", [*SHELL, "echo hello > /data/greeting"], volume=volume(file_system))
    assert write[0] == 0
    assert (place / file_system["FileSystemId"] / "greeting").read_text() == "hello\n"
    daemon.command("down")
    daemon.up()
    cluster = Cluster(daemon, "places-again")
    assert cluster.run("read", ["cat", "/data/greeting"], volume=volume(file_system))[:2] == (0, "hello\n")
    for target in cluster.efs.describe_mount_targets(FileSystemId=file_system["FileSystemId"])["MountTargets"]:
        cluster.efs.delete_mount_target(MountTargetId=target["MountTargetId"])
    cluster.efs.delete_file_system(FileSystemId=file_system["FileSystemId"])
    wait_until(lambda: not list(place.iterdir()))
    assert not list((daemon.state / "file-systems").iterdir())


def test_what_the_place_lacks_is_logged_when_the_file_system_is_made(placed, place):
    daemon, cluster, _ = placed
    looked_at = [line for line in daemon.log_tail(1000).splitlines() if "backing directory looked at" in line]
    assert len(looked_at) == 1 and f"directory={place}" in looked_at[0] and "type=tmpfs" in looked_at[0]


def test_status_tells_where_a_file_system_lies(placed, place):
    daemon, cluster, file_system = placed
    own = cluster.file_system()["FileSystemId"]
    there = {each["id"]: each["directory"] for each in daemon.status()["file_systems"]}
    assert there == {file_system["FileSystemId"]: f"{place}/{file_system['FileSystemId']}", own: f"{daemon.state}/file-systems/{own}"}


def test_a_disk_that_is_not_mounted_when_berth_starts_is_warned_of(placed, place):
    daemon, _, file_system = placed
    assert "is its disk mounted?" not in daemon.log_tail(1000)
    daemon.command("down")
    subprocess.run(["umount", "--lazy", place], check=True)
    try:
        daemon.up("--", "--place", f"big={place}", "--place", f"same={daemon.state}")
        warnings = [line for line in daemon.log_tail(1000).splitlines() if "is its disk mounted?" in line]
    finally:
        subprocess.run(["mount", "-t", "tmpfs", "berth-test", place], check=True)  # the fixture's own to take away
    assert any(file_system["FileSystemId"] in line for line in warnings), warnings
    assert any("place=same" in line for line in warnings), warnings


def test_a_place_that_nobody_named_is_refused_and_those_that_are_there_are_told(placed):
    _, cluster, file_system = placed
    code, status, message = refusal(cluster.efs.create_file_system, CreationToken="elsewhere", Tags=[{"Key": TAG, "Value": "small"}])
    assert (code, status) == ("BadRequest", 400)
    assert "there are: big" in message
    made = cluster.efs.describe_file_systems()["FileSystems"]
    assert [each["FileSystemId"] for each in made] == [file_system["FileSystemId"]]


def test_a_task_with_the_hosts_image_sees_nothing_of_a_place(placed, place):
    _, cluster, file_system = placed
    (place / file_system["FileSystemId"] / "secret").write_text("secret")
    code, output, _ = cluster.run("look", ["cat", f"{place}/{file_system['FileSystemId']}/secret"])
    assert code != 0 and "secret" not in output.replace("/secret", ""), output


def test_a_place_that_is_not_there_is_told_before_berth_starts(tmp_path):
    daemon = Berth()
    try:
        done = daemon.command("up", "--listen", "127.0.0.1:0", "--docker-plugin", "off", "--", "--place", f"big={tmp_path}/none", check=False)
        assert done.returncode != 0
        assert "No such file or directory" in done.stderr, done.stderr
    finally:
        daemon.down()
