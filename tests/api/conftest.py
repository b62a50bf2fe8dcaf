import itertools
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from berth import Berth, Cluster  # noqa: E402

names = itertools.count()


def why_not_here():
    if os.geteuid() != 0:
        return "needs root: the daemon makes namespaces and mounts"
    if not os.path.exists("/dev/fuse"):
        return "needs /dev/fuse"
    return None


@pytest.fixture(autouse=True, scope="session")
def machine():
    reason = why_not_here()
    if reason and os.environ.get("BERTH_NO_SKIP") == "1":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


def one_daemon():
    daemon = Berth()
    try:
        yield daemon.up()
    finally:
        daemon.down()


@pytest.fixture(scope="session")
def berth(machine):
    """One daemon for all tests that do not harm it."""
    yield from one_daemon()


@pytest.fixture
def own_berth(machine):
    """A daemon for one test, which may kill it."""
    yield from one_daemon()


@pytest.fixture
def cluster(berth):
    return Cluster(berth, f"test-{next(names)}")


@pytest.fixture
def directory(tmp_path):
    """For a mount, which goes at the end."""
    place = tmp_path / "mount"
    place.mkdir()
    yield place
    subprocess.run(["umount", "-l", str(place)], capture_output=True)


@pytest.fixture
def name():
    """A name that no other test uses."""
    return f"name-{next(names)}"


RING_SWITCH = pathlib.Path("/sys/module/fuse/parameters/enable_uring")


@pytest.fixture
def ring_switch():
    """The kernel's switch for FUSE over io_uring, on during the test."""
    if not RING_SWITCH.exists():
        pytest.skip("missing: FUSE over io_uring (kernel 6.14)")
    before = RING_SWITCH.read_text().strip()
    RING_SWITCH.write_text("1")
    yield RING_SWITCH
    RING_SWITCH.write_text("1" if before == "Y" else "0")
