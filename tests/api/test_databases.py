"""Databases whose files are on the share, while the daemon is killed over and over: no transfer fails, none is lost, and they find
nothing wrong with their files. `./dev databases SECONDS` does it for longer."""
import os
import threading
import time

import pytest
from berth import Cluster
from databases import MariaDb, PostgreSql
from engines import missing

SECONDS = int(os.environ.get("BERTH_DATABASE_SECONDS", "6"))
BETWEEN_KILLS = 0.3  # seconds, from when a daemon serves again


class Killer(threading.Thread):
    """Kills the daemon each time it has served for a while; its keeper starts the next one."""

    def __init__(self, berth):
        super().__init__()
        self.berth, self.kills, self.over, self.failure = berth, 0, threading.Event(), None

    def run(self):
        try:
            while not self.over.wait(BETWEEN_KILLS):
                self.berth.kill_daemon()
                self.kills += 1
        except Exception as failure:  # shown by the test
            self.failure = failure

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


@pytest.mark.parametrize("kind", [PostgreSql, MariaDb])
def test_a_database_loses_nothing_while_the_daemon_is_killed_over_and_over(own_berth, kind):
    if absent := kind.missing():
        missing(f"needs {', '.join(absent)}: ./dev databases installs them")
    file_system = Cluster(own_berth, "databases").file_system()
    # Not below pytest's own directory, which is closed to the databases' users; `berth down` unmounts it.
    own_berth.home.chmod(0o755)
    directory = own_berth.home / "mount"
    directory.mkdir()
    own_berth.command("fs", "mount", file_system["FileSystemId"], str(directory))
    database = kind(directory, own_berth.home)
    try:
        database.create()
        begun = time.monotonic()
        with Killer(own_berth) as killer:
            done = database.transfer(SECONDS)
        assert killer.failure is None, killer.failure
        assert killer.kills >= SECONDS  # else nothing was shown
        print(f"\n{kind.__name__}: {done} transfers in {time.monotonic() - begun:.0f} s, {killer.kills} kills of the daemon")
        assert database.balances() == (True, done)
        database.check_running()
        database.crash()
        database.start()
        assert database.balances() == (True, done)
        database.stop()
        database.check_stopped()
    finally:
        database.end()
