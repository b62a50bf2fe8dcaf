"""`berth fs`: mounts for a person on the host, and looks inside file systems without one."""
import errno
import json
import os
import signal
import stat
import subprocess
import time

import pytest
from berth import BERTH, Cluster, allow, policy, wait_until

CLIENT = "elasticfilesystem:Client"
ENCRYPTED_ONLY = policy({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}})


def mount_table():
    with open("/proc/self/mountinfo") as table:
        return [line for line in table if " fuse.berth " in line]


def fs(cluster, *words, check=True):
    return cluster.berth.command("fs", *words, check=check)


def error_of(function):
    try:
        function()
    except OSError as error:
        return error.errno
    return 0


@pytest.mark.parametrize("command", ["mount", "unmount", "mounts", "ls", "du", "cp"])
def test_the_help_of_each_command_shows_an_example(command):
    done = subprocess.run([BERTH, "fs", command, "--help"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0
    assert f"berth fs {command}" in done.stdout


def test_a_person_and_a_task_share_a_file_system(cluster, directory, name):
    file_system = cluster.file_system(policy_document=ENCRYPTED_ONLY)
    cluster.role(name, allow(CLIENT + "*", file_system["FileSystemArn"]))
    said = fs(cluster, "mount", file_system["FileSystemId"], str(directory), "--role", name)
    assert "read and write" in said
    (directory / "from-host").write_text("host")
    efs = {"fileSystemId": file_system["FileSystemId"], "transitEncryption": "ENABLED"}
    cluster.efs.delete_file_system_policy(FileSystemId=file_system["FileSystemId"])
    code, output, _ = cluster.run(name, ["sh", "-c", "cat /data/from-host; echo task > /data/from-task"], volume=(efs, "/data"))
    assert (code, output.strip()) == (0, "host")
    assert (directory / "from-task").read_text() == "task\n"
    listed = json.loads(fs(cluster, "mounts", "--json"))
    assert [m["directory"] for m in listed if m["file_system"] == file_system["FileSystemId"]] == [str(directory)]
    fs(cluster, "unmount", str(directory))
    assert list(directory.iterdir()) == []
    assert not any(m["directory"] == str(directory) for m in json.loads(fs(cluster, "mounts", "--json")))


def test_policies_decide_what_a_person_may_and_act_at_once(cluster, directory, name):
    file_system = cluster.file_system(policy_document=ENCRYPTED_ONLY)
    arn = file_system["FileSystemArn"]
    cluster.role(name, allow(CLIENT + "*", arn))
    fs(cluster, "mount", file_system["FileSystemId"], str(directory), "--role", name)
    with open(directory / "file", "w") as file:
        file.write("before")
        file.flush()
        cluster.iam.put_role_policy(RoleName=name, PolicyName="test", PolicyDocument=policy(allow(CLIENT + "Mount", arn)))
        assert error_of(lambda: os.write(file.fileno(), b"after")) == errno.EROFS
        assert error_of(lambda: (directory / "new").touch()) == errno.EROFS
        cluster.iam.delete_role_policy(RoleName=name, PolicyName="test")
        assert error_of(lambda: (directory / "file").read_text()) == errno.EACCES
        cluster.iam.put_role_policy(RoleName=name, PolicyName="test", PolicyDocument=policy(allow(CLIENT + "*", arn)))
        assert error_of(lambda: os.write(file.fileno(), b", after")) == 0
    assert (directory / "file").read_text() == "before, after"


def test_who_may_not_mount_is_told_what_is_missing(cluster, directory, name):
    file_system = cluster.file_system(policy_document=ENCRYPTED_ONLY)
    cluster.role(name, allow("s3:GetObject"))
    for words, expected in [(["--role", name], f'"Action": "{CLIENT}Mount"'), (["--role", "nobody-such"], "there is no role"),
                            (["--access-point", "fsap-0"], "there is no access point"), (["--zone", "mars-1a"], "no mount target in zone mars-1a")]:
        done = fs(cluster, "mount", file_system["FileSystemId"], str(directory), *words, check=False)
        assert done.returncode == 1 and expected in done.stderr, done.stderr
    done = fs(cluster, "mount", "fs-0", str(directory), check=False)
    assert done.returncode == 1 and "there is no available file system" in done.stderr
    done = fs(cluster, "mount", file_system["FileSystemId"], str(directory / "none"), check=False)
    assert done.returncode == 1 and "not a directory" in done.stderr
    assert not any(str(directory) in line for line in mount_table())


def test_an_access_point_and_read_only_hold_for_a_person_too(cluster, directory):
    file_system = cluster.file_system()
    point = cluster.efs.create_access_point(
        FileSystemId=file_system["FileSystemId"], PosixUser={"Uid": 1234, "Gid": 1234}, ClientToken=f"fs-{time.monotonic_ns()}",
        RootDirectory={"Path": "/service", "CreationInfo": {"OwnerUid": 1234, "OwnerGid": 1234, "Permissions": "0750"}})["AccessPointId"]
    fs(cluster, "mount", file_system["FileSystemId"], str(directory), "--access-point", point)
    (directory / "mine").touch()
    assert (directory / "mine").stat().st_uid == 1234
    fs(cluster, "unmount", str(directory))
    fs(cluster, "mount", file_system["FileSystemId"] + ":/service", str(directory), "--read-only")
    assert os.listdir(directory) == ["mine"]
    assert error_of(lambda: (directory / "mine").unlink()) == errno.EROFS


def test_nothing_on_it_makes_a_user_of_the_host_more_than_he_is(cluster, directory):
    file_system = cluster.file_system()
    fs(cluster, "mount", file_system["FileSystemId"], str(directory))
    os.mknod(directory / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert error_of(lambda: os.open(directory / "null", os.O_RDONLY)) == errno.EACCES
    assert any(str(directory) in line and "nosuid" in line and "nodev" in line for line in mount_table())


def test_a_mount_in_use_is_left_and_one_that_is_none_is_told(cluster, directory):
    file_system = cluster.file_system()
    fs(cluster, "mount", file_system["FileSystemId"], str(directory))
    assert "already" in fs(cluster, "mount", file_system["FileSystemId"], str(directory), check=False).stderr
    with open(directory / "file", "w"):
        done = fs(cluster, "unmount", str(directory), check=False)
        assert done.returncode == 1 and "in use" in done.stderr
    fs(cluster, "unmount", str(directory))
    done = fs(cluster, "unmount", str(directory), check=False)
    assert done.returncode == 1 and "no mount of Berth" in done.stderr


def test_who_unmounts_by_himself_leaves_nothing_behind(cluster, directory):
    file_system = cluster.file_system()
    fs(cluster, "mount", file_system["FileSystemId"], str(directory))
    subprocess.run(["umount", str(directory)], check=True)
    wait_until(lambda: not any(m["directory"] == str(directory) for m in json.loads(fs(cluster, "mounts", "--json"))))


def test_a_mount_survives_the_daemon_and_ends_with_down(own_berth, directory):
    cluster = Cluster(own_berth, "mounts")
    file_system = cluster.file_system(policy_document=ENCRYPTED_ONLY)
    arn = file_system["FileSystemArn"]
    cluster.role("person", allow(CLIENT + "*", arn))
    fs(cluster, "mount", file_system["FileSystemId"], str(directory), "--role", "person")
    with open(directory / "file", "w") as file:
        file.write("one")
        file.flush()
        os.kill(own_berth.status()["daemon_pid"], signal.SIGKILL)
        file.write(" two")
        file.flush()
        wait_until(lambda: own_berth.command("status", "--json", check=False).returncode == 0)
        cluster.iam.put_role_policy(RoleName="person", PolicyName="test", PolicyDocument=policy(allow(CLIENT + "Mount", arn)))
        assert error_of(lambda: os.write(file.fileno(), b"!")) == errno.EROFS
    assert (directory / "file").read_text() == "one two"
    own_berth.command("down")
    assert list(directory.iterdir()) == []
    assert not any(str(directory) in line for line in mount_table())


def test_over_io_uring_a_person_and_a_task_share_files_until_the_daemon_dies(own_berth, directory, ring_switch):
    cluster = Cluster(own_berth, "ring")
    file_system = cluster.file_system()
    cluster.efs.tag_resource(ResourceId=file_system["FileSystemId"], Tags=[{"Key": "berth:io-uring", "Value": "on"}])
    fs(cluster, "mount", file_system["FileSystemId"], str(directory), "--io-uring")
    assert [m["io_uring"] for m in json.loads(fs(cluster, "mounts", "--json"))] == [True]
    (directory / "from-host").write_text("host")
    efs = {"fileSystemId": file_system["FileSystemId"]}
    code, output, _ = cluster.run("ring", ["sh", "-c", "cat /data/from-host; echo task > /data/from-task"], volume=(efs, "/data"))
    assert (code, output.strip()) == (0, "host")
    assert (directory / "from-task").read_text() == "task\n"
    own_berth.kill_daemon()
    assert error_of(lambda: (directory / "from-task").read_text()) in (errno.ENOTCONN, errno.ECONNABORTED)
    fs(cluster, "unmount", str(directory))
    fs(cluster, "mount", file_system["FileSystemId"], str(directory), "--io-uring")
    assert (directory / "from-task").read_text() == "task\n"


def test_where_the_kernel_has_no_io_uring_for_fuse_a_mount_says_what_to_do(cluster, directory, ring_switch):
    ring_switch.write_text("0")
    file_system = cluster.file_system()
    refused = fs(cluster, "mount", file_system["FileSystemId"], str(directory), "--io-uring", check=False)
    assert refused.returncode != 0
    assert f"`echo 1 > {ring_switch}` as root" in refused.stderr
    fs(cluster, "mount", file_system["FileSystemId"], str(directory))


def test_cp_ls_and_du_look_inside_without_a_mount(cluster, tmp_path):
    file_system = cluster.file_system()["FileSystemId"]
    source = tmp_path / "site"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "index.html").write_text("hello")
    (source / "deep" / "er" / "big").write_bytes(os.urandom(3 << 20))
    (source / "deep" / "link").symlink_to("../index.html")
    os.mkfifo(source / "deep" / "pipe")
    done = fs(cluster, "cp", "-r", str(source), f"{file_system}:/", "--owner", "1000:1001", check=False)
    assert done.returncode == 1 and "left out" in done.stderr  # the pipe; the rest is there
    assert done.stdout == f"3 files, {5 + (3 << 20)} bytes copied\n"
    entries = {e["name"]: e for e in json.loads(fs(cluster, "ls", f"{file_system}:/site/deep", "--json"))}
    assert entries["link"]["target"] == "../index.html"
    assert (entries["er"]["type"], entries["er"]["uid"], entries["er"]["gid"]) == ("directory", 1000, 1001)
    assert "index.html" in fs(cluster, "ls", f"{file_system}:/site")
    usage = json.loads(fs(cluster, "du", file_system, "--json"))
    assert usage["files"] == 3 and usage["apparent_bytes"] >= 5 + (3 << 20) and usage["bytes"] >= 3 << 20
    assert [e["name"] for e in usage["entries"]] == ["site"]
    back = tmp_path / "back"
    back.mkdir()
    fs(cluster, "cp", "-r", f"{file_system}:/site", str(back))
    (source / "deep" / "pipe").unlink()
    assert subprocess.run(["diff", "-r", str(source), str(back / "site")]).returncode == 0
    fs(cluster, "cp", f"{file_system}:/site/index.html", str(back / "renamed"))
    assert (back / "renamed").read_text() == "hello"
    assert not mount_table() or all(file_system not in line for line in mount_table())
    wait_until(lambda: not any("look" in m["id"] for m in cluster.berth.status()["mounts"]))


def test_mistakes_in_ls_du_and_cp_are_told(cluster, tmp_path):
    file_system = cluster.file_system()["FileSystemId"]
    (tmp_path / "directory").mkdir()
    for words, expected in [(["ls", "fs-0"], "there is no available file system"), (["ls", f"{file_system}:/none"], "No such file"),
                            (["ls", "nonsense"], "FILE_SYSTEM[:/PATH]"), (["du", f"{file_system}:/none"], "No such file"),
                            (["cp", str(tmp_path), "/tmp"], "one of the two"), (["cp", str(tmp_path / "directory"), f"{file_system}:/"], "-r"),
                            (["cp", str(tmp_path / "none"), f"{file_system}:/"], "No such file"),
                            (["cp", "-r", str(tmp_path), f"{file_system}:/", "--owner", "me"], "UID:GID")]:
        done = fs(cluster, *words, check=False)
        assert done.returncode == 1 and expected in done.stderr, (words, done.stderr)


def test_links_on_a_file_system_lead_cp_nowhere_outside(cluster, tmp_path):
    file_system = cluster.file_system()["FileSystemId"]
    secret = tmp_path / "secret"
    secret.write_text("of the host")
    (tmp_path / "link").symlink_to(secret)
    fs(cluster, "cp", "-r", str(tmp_path / "link"), f"{file_system}:/link")
    done = fs(cluster, "cp", f"{file_system}:/link", str(tmp_path / "copy"))
    assert (tmp_path / "copy").is_symlink()  # the link itself
    assert fs(cluster, "ls", f"{file_system}:/link", check=False).returncode == 1  # there is nothing like it inside
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "x").write_text("overwritten")
    done = fs(cluster, "cp", str(tmp_path / "tree" / "x"), f"{file_system}:/link", check=False)
    assert done.returncode == 1
    assert secret.read_text() == "of the host"
