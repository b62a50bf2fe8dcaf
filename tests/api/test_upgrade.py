"""`berth upgrade`: another program takes the daemon's place under running tasks, or the old one comes back."""
import os
import shutil

from berth import Cluster, wait_until
from test_share import WRITER, volume

BERTHD = os.path.join(os.environ.get("BERTH_BUILD", "build/dev"), "broker", "berthd")


def binary_of(berth):
    return os.readlink(f"/proc/{berth.status()['keeper_pid']}/exe")


def test_a_task_that_writes_does_not_notice_that_another_program_takes_over(own_berth):
    cluster = Cluster(own_berth, "upgraded")
    file_system = cluster.file_system()
    task = cluster.start(cluster.define("writer", ["python3", "-c", WRITER], volume=volume(file_system)))
    cluster.running(task)
    wait_until(lambda: "ready" in own_berth.logs(task))
    before = own_berth.status()
    new = str(own_berth.home / "berthd-2")
    shutil.copy(BERTHD, new)
    own_berth.command("upgrade", "--binary", new)
    after = own_berth.status()
    assert binary_of(own_berth) == new
    assert after["keeper_pid"] == before["keeper_pid"] and after["endpoint"] == before["endpoint"]
    own_berth.command("upgrade", "--binary", os.path.realpath(BERTHD))
    assert binary_of(own_berth) == os.path.realpath(BERTHD)
    ended = cluster.stopped(task)
    assert own_berth.logs(task).splitlines() == ["ready", "whole"]
    assert ended["containers"][0]["exitCode"] == 0


def test_a_program_that_is_no_daemon_or_keeps_its_memory_in_another_form_is_refused(own_berth):
    before = own_berth.status()
    refused = own_berth.command("upgrade", "--binary", "/bin/true", check=False)
    assert refused.returncode != 0 and "no berthd that can take over" in refused.stderr
    missing = own_berth.command("upgrade", "--binary", "/nonexistent/berthd", check=False)
    assert missing.returncode != 0 and "No such file" in missing.stderr
    other = own_berth.home / "other"
    other.write_text("#!/bin/sh\necho 1.2.3\n")
    other.chmod(0o755)
    refused = own_berth.command("upgrade", "--binary", str(other), check=False)
    assert refused.returncode != 0 and "in another form" in refused.stderr
    assert own_berth.status()["daemon_pid"] == before["daemon_pid"]


def test_the_old_program_comes_back_where_the_new_one_does_not_serve(own_berth):
    cluster = Cluster(own_berth, "rolled-back")
    file_system = cluster.file_system()
    task = cluster.start(cluster.define("writer", ["python3", "-c", WRITER], volume=volume(file_system)))
    cluster.running(task)
    wait_until(lambda: "ready" in own_berth.logs(task))
    old = binary_of(own_berth)
    # A berthd that takes over and then can't open its state.
    with open(BERTHD, "rb") as file:
        program = file.read()
    assert b"journal_mode" in program
    broken = own_berth.home / "broken"
    broken.write_bytes(program.replace(b"PRAGMA journal_mode", b"PRAGMA(journal_mode"))
    broken.chmod(0o755)
    failed = own_berth.command("upgrade", "--binary", str(broken), check=False)
    assert failed.returncode != 0 and "the old program goes on" in failed.stderr, failed.stdout + failed.stderr
    assert binary_of(own_berth) == old
    # And one that can't even be executed: a script is no program by descriptor.
    script = own_berth.home / "script"
    script.write_text(f"#!/bin/sh\nexec {os.path.realpath(BERTHD)} \"$@\"\n")
    script.chmod(0o755)
    failed = own_berth.command("upgrade", "--binary", str(script), check=False)
    assert failed.returncode != 0 and "can't be executed" in failed.stderr, failed.stdout + failed.stderr
    assert binary_of(own_berth) == old
    ended = cluster.stopped(task)
    assert own_berth.logs(task).splitlines() == ["ready", "whole"]
    assert ended["containers"][0]["exitCode"] == 0
