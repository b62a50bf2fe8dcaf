"""The volume plugin: file systems in containers of a real Docker and a real Podman, with the rights that policies give."""
import http.client
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest
from berth import Berth, Cluster, allow, policy, wait_until
from engines import PLUGINS, Docker, PluginConnection, Podman

CLIENT = "elasticfilesystem:Client"
ENCRYPTED_ONLY = policy({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}})
DRIVER = f"berth-test-{os.getpid()}"
SOCKET = PLUGINS / f"{DRIVER}.sock"


@pytest.fixture(scope="module")
def plugged():
    """A Berth whose plugin Docker finds under the name DRIVER."""
    daemon = Berth()
    try:
        yield daemon.up("--docker-plugin", str(SOCKET))
    finally:
        daemon.down()
    assert not SOCKET.exists()


@pytest.fixture(scope="module")
def docker(plugged):
    engine = Docker()
    yield engine
    engine.stop()


@pytest.fixture(scope="module")
def podman(plugged):
    engine = Podman({DRIVER: SOCKET})
    yield engine
    engine.stop()


@pytest.fixture(params=["docker", "podman"])
def engine(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def cloud(plugged, name):
    return Cluster(plugged, name)


def ask(call, body=None, socket=SOCKET):
    """The plugin itself, as an engine would ask it: (status, answer)."""
    connection = PluginConnection(socket)
    connection.request("POST", f"/{call}", json.dumps(body if body is not None else {}))
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def options(**given):
    return [word for name, value in given.items() for word in ("-o", f"{name.replace('_', '-')}={value}")]


def make(engine, name, **given):
    return engine("volume", "create", "-d" if isinstance(engine, Docker) else "--driver", DRIVER, *options(**given), name, check=False)


def places(berth):
    with open("/proc/self/mountinfo") as table:
        return [line.split()[4] for line in table if line.split()[4].startswith(f"{berth.state}/")]


def role_for(cloud, file_system, name, *actions):
    return cloud.role(name, allow([CLIENT + a for a in actions], file_system["FileSystemArn"]))


def test_containers_of_an_engine_and_a_task_share_a_file_system(engine, cloud, name):
    file_system = cloud.file_system()
    assert make(engine, name, file_system=file_system["FileSystemId"]).returncode == 0
    assert f"{DRIVER} {name}" in engine.volumes()
    assert places(cloud.berth) == []
    engine.run("-v", f"{name}:/data", script="echo container > /data/greeting; mkdir /data/deep; mv /data/greeting /data/deep")
    assert engine.run("-v", f"{name}:/data", script="cat /data/deep/greeting") == "container"
    efs = {"fileSystemId": file_system["FileSystemId"], "transitEncryption": "ENABLED"}
    code, output, _ = cloud.run(name, ["sh", "-c", "cat /data/deep/greeting; echo task > /data/answer"], volume=(efs, "/data"))
    assert (code, output.strip()) == (0, "container")
    assert engine.run("-v", f"{name}:/data", script="cat /data/answer") == "task"
    assert places(cloud.berth) == []
    engine("volume", "rm", name)
    assert f"{DRIVER} {name}" not in engine.volumes()
    assert "deep" in cloud.berth.command("fs", "ls", file_system["FileSystemId"])


def test_the_role_s_policies_decide_what_containers_may(engine, cloud, name):
    file_system = cloud.file_system(policy_document=ENCRYPTED_ONLY)
    reader, writer, outsider = (f"{who}-{name}" for who in ("reader", "writer", "outsider"))
    role_for(cloud, file_system, reader, "Mount")
    role_for(cloud, file_system, writer, "Mount", "Write", "RootAccess")
    cloud.role(outsider, allow("s3:GetObject"))
    for role in (reader, writer, outsider):
        assert make(engine, role, file_system=file_system["FileSystemId"], role=role).returncode == 0
    assert engine.run("-v", f"{writer}:/data", script="echo x > /data/file; stat -c %u /data/file") == "0"
    assert engine.run("-v", f"{reader}:/data:ro", script="cat /data/file") == "x"
    refused = engine.run("-v", f"{reader}:/data", script="cat /data/file; touch /data/new", check=False)
    assert refused.returncode != 0 and "Read-only file system" in refused.stderr
    refused = engine.run("-v", f"{outsider}:/data", script="true", check=False)
    assert refused.returncode != 0
    # The text of an ECS task that is refused, but for whom it tells to look.
    assert f'"Action": "{CLIENT}Mount"' in refused.stderr.replace('\\"', '"') and f"role/{outsider}" in refused.stderr
    assert places(cloud.berth) == []


def test_who_names_no_role_is_told_how_where_the_file_system_asks_for_one(engine, cloud, name):
    file_system = cloud.file_system(policy_document=ENCRYPTED_ONLY)
    assert make(engine, name, file_system=file_system["FileSystemId"]).returncode == 0
    refused = engine.run("-v", f"{name}:/data", script="true", check=False)
    assert refused.returncode != 0 and "-o role=ROLE" in refused.stderr and "--docker-role" in refused.stderr


def test_a_policy_change_acts_on_a_running_container(engine, cloud, name):
    file_system = cloud.file_system(policy_document=ENCRYPTED_ONLY)
    role_for(cloud, file_system, name, "Mount", "Write", "RootAccess")
    make(engine, name, file_system=file_system["FileSystemId"], role=name)
    container = engine.start("-v", f"{name}:/data", script="echo 1 > /data/file; exec sleep 1000")
    wait_until(lambda: engine("exec", container, "cat", "/data/file", check=False).stdout == "1\n")
    cloud.iam.put_role_policy(RoleName=name, PolicyName="test", PolicyDocument=policy(allow(CLIENT + "Mount", file_system["FileSystemArn"])))
    assert "Read-only" in engine("exec", container, "touch", "/data/new", check=False).stderr
    cloud.iam.delete_role_policy(RoleName=name, PolicyName="test")
    assert "Permission denied" in engine("exec", container, "cat", "/data/file", check=False).stderr
    assert "none: " in json.dumps(ask("VolumeDriver.Get", {"Name": name})[1])
    engine.kill(container)
    wait_until(lambda: places(cloud.berth) == [])


def test_an_access_point_and_read_only_hold_in_containers(engine, cloud, name):
    file_system = cloud.file_system()
    point = cloud.efs.create_access_point(
        FileSystemId=file_system["FileSystemId"], PosixUser={"Uid": 1234, "Gid": 4321}, ClientToken=f"docker-{time.monotonic_ns()}",
        RootDirectory={"Path": "/service", "CreationInfo": {"OwnerUid": 1234, "OwnerGid": 4321, "Permissions": "0750"}})["AccessPointId"]
    make(engine, name, file_system=file_system["FileSystemId"], access_point=point)
    make(engine, f"{name}-ro", file_system=file_system["FileSystemId"], path="/service", read_only="true")
    assert engine.run("-v", f"{name}:/data", script="touch /data/mine; stat -c %u:%g /data/mine") == "1234:4321"
    assert engine.run("-v", f"{name}-ro:/data", script="ls /data") == "mine"
    refused = engine.run("-v", f"{name}-ro:/data", script="touch /data/x", check=False)
    assert refused.returncode != 0 and "Read-only" in refused.stderr


def test_two_containers_have_one_mount_which_goes_with_the_last(engine, cloud, name):
    file_system = cloud.file_system()
    make(engine, name, file_system=file_system["FileSystemId"])
    place = str(cloud.berth.state / "volumes" / name)
    first = engine.start("-v", f"{name}:/data", script="exec sleep 1000")
    second = engine.start("-v", f"{name}:/data", script="exec sleep 1000")
    assert places(cloud.berth) == [place]
    assert [m["id"].split("~")[0] for m in cloud.berth.status()["mounts"]] == [f"volume/{name}"]
    refused = ask("VolumeDriver.Remove", {"Name": name})
    assert refused[0] == 500 and "stop them first" in refused[1]["Err"]
    # Docker mounts for this with the id of the container, a second time.
    (cloud.berth.home / "copied").write_text("copied")
    engine("cp", str(cloud.berth.home / "copied"), f"{first}:/data/copied")
    assert engine("exec", first, "cat", "/data/copied") == "copied"
    engine.kill(first)
    assert engine("exec", second, "cat", "/data/copied") == "copied"
    assert places(cloud.berth) == [place]
    engine.kill(second)
    assert places(cloud.berth) == [] and not os.path.exists(place)
    assert cloud.berth.status()["mounts"] == []


def test_mounts_on_which_the_daemon_dies_come_out_right(plugged, cloud, name):
    file_system = cloud.file_system()["FileSystemId"]
    ask("VolumeDriver.Create", {"Name": name, "Opts": {"file-system": file_system}})
    wrong, ended = [], threading.Event()

    def insist(call, body):
        while True:
            try:
                return ask(call, body)
            except (OSError, http.client.HTTPException):
                continue  # the daemon died on it

    def mount_and_unmount(worker):
        turns = 0
        while not ended.is_set() or turns < 5:
            turns += 1
            body = {"Name": name, "ID": f"{worker}-{turns}"}
            status, answer = insist("VolumeDriver.Mount", body)
            try:
                pathlib.Path(answer["Mountpoint"], f"file-{worker}").write_text("written")
            except (OSError, KeyError) as error:
                wrong.append((status, answer, error))
            # An answer that was lost may have been a mount; one more unmount is harmless.
            wrong.extend(answer for status, answer in [insist("VolumeDriver.Unmount", body) for _ in range(2)] if status != 200)

    workers = [threading.Thread(target=mount_and_unmount, args=(i,)) for i in range(3)]
    for worker in workers:
        worker.start()
    for _ in range(4):
        status = wait_until(lambda: plugged.command("status", "--json", check=False).stdout)
        os.kill(json.loads(status)["daemon_pid"], signal.SIGKILL)
    ended.set()
    for worker in workers:
        worker.join()
    assert wrong == []
    volume = insist("VolumeDriver.Get", {"Name": name})[1]["Volume"]
    assert volume["Status"]["mounts"] == 0 and places(plugged) == []
    wait_until(lambda: plugged.command("status", "--json", check=False).returncode == 0)
    assert plugged.status()["mounts"] == []


def test_a_volume_whose_containers_died_unseen_can_be_removed(cloud, name):
    file_system = cloud.file_system()["FileSystemId"]
    assert ask("VolumeDriver.Create", {"Name": name, "Opts": {"file-system": file_system}})[0] == 200
    place = ask("VolumeDriver.Mount", {"Name": name, "ID": "of an engine that was killed"})[1]["Mountpoint"]
    with subprocess.Popen(["unshare", "-m", "sh", "-c", f"mount --bind {place} /mnt && echo bound && read line"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as container:
        assert container.stdout.readline() == "bound\n"
        assert "stop them first" in ask("VolumeDriver.Remove", {"Name": name})[1]["Err"]
        container.communicate("\n")
    assert ask("VolumeDriver.Remove", {"Name": name}) == (200, {"Err": ""})
    assert places(cloud.berth) == []


WRITER = """
i=0
while [ $i -lt 400 ]; do
  i=$((i + 1))
  echo $i >> /data/log || exit 1
  cat /data/log > /dev/null || exit 2
  if [ $i = 20 ]; then touch /data/begun; fi
  if [ -e /data/end ]; then i=400; fi
  sleep 0.01
done
echo whole > /data/result
exec sleep 1000
"""


def test_a_container_that_writes_does_not_notice_the_daemon_s_death(engine, cloud, name):
    file_system = cloud.file_system(policy_document=ENCRYPTED_ONLY)
    role_for(cloud, file_system, name, "Mount", "Write", "RootAccess")
    make(engine, name, file_system=file_system["FileSystemId"], role=name)
    container = engine.start("-v", f"{name}:/data", script=WRITER)
    wait_until(lambda: engine("exec", container, "ls", "/data", check=False).stdout.find("begun") >= 0)
    for _ in range(3):
        before = cloud.berth.status()["restarts"]
        cloud.berth.kill_daemon()
        assert cloud.berth.status()["restarts"] == before + 1
        # The next daemon knows who has it mounted.
        assert ask("VolumeDriver.Get", {"Name": name})[1]["Volume"]["Status"]["mounts"] == 1
        assert engine.run("-v", f"{name}:/data", script="ls /data/begun") == "/data/begun"
    engine("exec", container, "touch", "/data/end")
    assert wait_until(lambda: engine("exec", container, "cat", "/data/result", check=False).stdout) == "whole\n"
    log = engine("exec", container, "cat", "/data/log").split()
    assert log == [str(i + 1) for i in range(len(log))] and len(log) >= 20
    # And rights act on what it took over.
    cloud.iam.delete_role_policy(RoleName=name, PolicyName="test")
    assert "Permission denied" in engine("exec", container, "cat", "/data/log", check=False).stderr
    engine.kill(container)
    assert places(cloud.berth) == []


def test_mistakes_in_options_are_told_with_what_to_write(engine, cloud, name):
    file_system = cloud.file_system(zones=[cloud.zones[0]])["FileSystemId"]
    for given, expected in [({}, "-o file-system=fs-..."), ({"file_system": "fs-0"}, "there is no available file system `fs-0`"),
                            ({"file_system": file_system, "filesystem": "x"}, "the options are file-system, access-point"),
                            ({"file_system": file_system, "role": "nobody-such"}, "there is no role"),
                            ({"file_system": file_system, "access_point": "fsap-0"}, "there is no access point `fsap-0`"),
                            ({"file_system": file_system, "zone": cloud.zones[1]}, f"no mount target in zone {cloud.zones[1]}; it has them in {cloud.zones[0]}"),
                            ({"file_system": file_system, "path": "/none"}, None)]:
        made = make(engine, name, **given)
        if expected:
            assert made.returncode != 0 and expected in made.stderr, made.stderr
    refused = engine.run("-v", f"{name}:/data", script="true", check=False)
    assert refused.returncode != 0 and "directory `/none` of" in refused.stderr
    made = make(engine, name, file_system=file_system, read_only="true")
    assert made.returncode == 0 or "other options" in made.stderr or "already exists" in made.stderr


def test_inspect_shows_what_the_volume_is_and_may(docker, cloud, name):
    file_system = cloud.file_system(policy_document=ENCRYPTED_ONLY)
    role = role_for(cloud, file_system, name, "Mount")
    make(docker, name, file_system=file_system["FileSystemId"], role=name)
    shown = docker.inspect(name)
    assert shown["Driver"] == DRIVER and shown["Mountpoint"] == str(cloud.berth.state / "volumes" / name)
    assert shown["Status"] == {"file-system": file_system["FileSystemId"], "path": "/", "role": role, "zone": cloud.zones[0], "read-only": False,
                               "io-uring": False, "rights": "read only, root is nobody", "mounts": 0}
    assert name in cloud.berth.command("status")


def test_a_volume_over_io_uring_is_read_and_written_by_containers(engine, cloud, name, ring_switch):
    file_system = cloud.file_system()["FileSystemId"]
    assert make(engine, name, file_system=file_system, io_uring="true").returncode == 0
    engine.run("-v", f"{name}:/data", script="echo container > /data/greeting")
    assert engine.run("-v", f"{name}:/data", script="cat /data/greeting") == "container"
    ring_switch.write_text("0")
    refused = engine.run("-v", f"{name}:/data", script="true", check=False)
    assert refused.returncode != 0 and f"echo 1 > {ring_switch}" in refused.stderr
    assert places(cloud.berth) == []


def test_docker_makes_a_volume_of_the_options_of_a_mount(docker, cloud, name):
    """What compose files do, in one command."""
    file_system = cloud.file_system()["FileSystemId"]
    mount = f"type=volume,source={name},target=/data,volume-driver={DRIVER},volume-opt=file-system={file_system}"
    assert docker.run("--mount", mount, script="echo 1 > /data/x; cat /data/x") == "1"
    assert docker.run("--volume-driver", DRIVER, "-v", f"{name}:/data", script="cat /data/x") == "1"
    refused = docker.run("--volume-driver", DRIVER, "-v", f"{name}-2:/data", script="true", check=False)
    assert refused.returncode != 0 and "-o file-system=fs-..." in refused.stderr


def test_what_an_image_has_there_is_copied_into_an_empty_volume(docker, cloud, name):
    file_system = cloud.file_system(policy_document=ENCRYPTED_ONLY)
    role_for(cloud, file_system, f"writer-{name}", "Mount", "Write", "RootAccess")
    role_for(cloud, file_system, f"reader-{name}", "Mount")
    for role in ("writer", "reader"):
        make(docker, f"{role}-{name}", file_system=file_system["FileSystemId"], role=f"{role}-{name}")
    # Docker gives the volume's root the owner and mode of the image's directory, too, which a role must be allowed.
    refused = docker.run("-v", f"reader-{name}:/bin", script="true", check=False)
    assert refused.returncode != 0 and "read-only file system" in refused.stderr, refused.stderr
    docker.run("-v", f"writer-{name}:/bin", script="true")
    assert "busybox" in cloud.berth.command("fs", "ls", file_system["FileSystemId"])
    docker.run("-v", f"reader-{name}:/bin:nocopy", script="true")


def test_volumes_outlive_berth_and_mounts_do_not(machine, tmp_path):
    daemon = Berth()
    socket = tmp_path / "plugins" / "own.sock"
    try:
        daemon.up("--docker-plugin", str(socket), "--docker-role", "reader")
        cluster = Cluster(daemon, "own")
        file_system = cluster.file_system(policy_document=ENCRYPTED_ONLY)["FileSystemId"]
        cluster.role("reader", allow(CLIENT + "Mount"))
        assert oct(socket.stat().st_mode & 0o777) == "0o600"
        assert ask("VolumeDriver.Create", {"Name": "data", "Opts": {"file-system": file_system}}, socket) == (200, {"Err": ""})
        status, answer = ask("VolumeDriver.Mount", {"Name": "data", "ID": "1"}, socket)
        assert (status, answer["Mountpoint"]) == (200, str(daemon.state / "volumes" / "data"))
        assert places(daemon) == [answer["Mountpoint"]]
        assert os.listdir(answer["Mountpoint"]) == []
        assert "containers had `data` mounted" in daemon.command("down", check=False).stderr
        assert places(daemon) == [] and not socket.exists()
        daemon.up("--docker-plugin", str(socket))
        volume = ask("VolumeDriver.Get", {"Name": "data"}, socket)[1]["Volume"]
        assert volume["Status"]["mounts"] == 0 and volume["Status"]["role"].endswith("role/reader")
        assert ask("VolumeDriver.Unmount", {"Name": "data", "ID": "1"}, socket)[0] == 200
        assert ask("VolumeDriver.List", {}, socket)[1]["Volumes"] == [{"Name": "data", "Mountpoint": answer["Mountpoint"]}]
    finally:
        daemon.down()


def test_what_a_killed_berth_left_on_the_host_goes_with_the_next(machine, tmp_path):
    daemon = Berth()
    socket = tmp_path / "own.sock"
    try:
        daemon.up("--docker-plugin", str(socket))
        file_system = Cluster(daemon, "own").file_system()["FileSystemId"]
        ask("VolumeDriver.Create", {"Name": "data", "Opts": {"file-system": file_system}}, socket)
        place = ask("VolumeDriver.Mount", {"Name": "data", "ID": "1"}, socket)[1]["Mountpoint"]
        pathlib.Path(place, "file").write_text("kept")
        daemon.die()
        assert places(daemon) == [place] and socket.exists()
        daemon.up("--docker-plugin", str(socket))
        assert places(daemon) == []
        assert ask("VolumeDriver.Mount", {"Name": "data", "ID": "2"}, socket)[1]["Mountpoint"] == place
        assert pathlib.Path(place, "file").read_text() == "kept"
    finally:
        daemon.down()
        subprocess.run(["umount", "-l", str(daemon.state / "volumes" / "data")], capture_output=True)


def test_daemons_side_by_side_do_not_take_each_other_s_socket(plugged, tmp_path):
    second = Berth()
    try:
        done = second.command("up", "--listen", "127.0.0.1:0", "--docker-plugin", str(SOCKET), check=False)
        assert done.returncode == 1 and f"another program serves the volume plugin at {SOCKET}" in done.stderr
        assert ask("VolumeDriver.List")[0] == 200
        second.up("--docker-plugin", "off")
        assert second.status()["docker_plugin"] == ""
    finally:
        second.down()


def test_another_program_that_takes_over_serves_the_plugin_and_its_mounts(machine, tmp_path):
    daemon = Berth()
    socket = tmp_path / "own.sock"
    try:
        daemon.up("--docker-plugin", str(socket))
        file_system = Cluster(daemon, "own").file_system()["FileSystemId"]
        ask("VolumeDriver.Create", {"Name": "data", "Opts": {"file-system": file_system}}, socket)
        place = ask("VolumeDriver.Mount", {"Name": "data", "ID": "1"}, socket)[1]["Mountpoint"]
        with open(os.path.join(place, "file"), "w") as file:
            daemon.command("upgrade")
            file.write("after")
        assert ask("VolumeDriver.Get", {"Name": "data"}, socket)[1]["Volume"]["Status"]["mounts"] == 1
        assert ask("VolumeDriver.Mount", {"Name": "data", "ID": "2"}, socket)[0] == 200
        assert places(daemon) == [place]
        for user in "12":
            ask("VolumeDriver.Unmount", {"Name": "data", "ID": user}, socket)
        assert places(daemon) == []
        daemon.command("down")
        assert not socket.exists()
    finally:
        daemon.down()
