"""What is compared: a bare directory, bindfs, mergerfs and Berth, each with a directory of its own on the same disk.

A subject has `path` (where it is used) and `backing` (the directory behind it).
"""
import os
import pathlib
import shutil
import signal
import subprocess
import time


class Native:
    name = "native"
    how = "the bare directory"

    def __init__(self, home):
        self.path = self.backing = home / "native"
        self.path.mkdir()

    def stop(self):
        pass


class Mounted:
    """A FUSE file system that a command serves in the foreground: it stays in the bench's session, and so at its priority."""

    def __init__(self, home):
        self.backing = home / f"{self.name}-backing"
        self.path = home / self.name
        for directory in [self.backing, self.path]:
            directory.mkdir()
        self.process = subprocess.Popen(self.command())
        deadline = time.monotonic() + 10
        while not self.path.is_mount():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit(f"{self.name} did not mount within 10 seconds")
            time.sleep(0.005)

    def stop(self):
        subprocess.run(["umount", "--lazy", str(self.path)], check=False)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Bindfs(Mounted):
    name = "bindfs"
    # Without lock forwarding its locks are the kernel's own, and hold in one mount only.
    how = "bindfs --multithreaded --enable-lock-forwarding"

    def command(self):
        return [*self.how.split(), "-f", str(self.backing), str(self.path)]


class Mergerfs(Mounted):
    name = "mergerfs"
    how = "mergerfs, the package's defaults"

    def command(self):
        return ["mergerfs", "-f", str(self.backing), str(self.path)]


class Server:
    """bench_share_server: a share with its keeper, and nothing else of the daemon."""
    count = 0

    def __init__(self, build, home, linger=None):
        Server.count += 1
        self.log_path = home / f"server-{Server.count}.log"
        self.log = open(self.log_path, "w", encoding="utf-8")
        lock = home / f"server-{Server.count}.lock"
        words = [build / "tests" / "bench" / "bench_share_server", lock, *([] if linger is None else [str(linger)])]
        self.process = subprocess.Popen(words, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, bufsize=1)
        self.hear_ready()

    def hear(self, wanted):
        line = self.process.stdout.readline().split()
        if not line or line[0] != wanted:
            raise SystemExit(f"the share's server: {' '.join(line) or 'ended'}; {self.log_path.read_text()[-2000:]}")
        return line[1:]

    def hear_ready(self):
        pid, mounts = self.hear("ready")
        self.daemon = int(pid)
        return int(mounts)

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        return self.hear("ok")

    def kill_daemon(self):
        """The daemon dies and the next one serves its mounts; how many."""
        os.kill(self.daemon, signal.SIGKILL)
        return self.hear_ready()

    def stats(self):
        return dict(zip(["mounts", "operations", "inodes", "passthrough"], map(int, self.ask("stats"))))

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


class Berth:
    name = "berth"
    how = "one mount, its tree known to no other"
    ways = ()

    def __init__(self, server, home):
        self.backing = home / f"{self.name}-backing"
        self.path = home / self.name
        for directory in [self.backing, self.path]:
            directory.mkdir()
        server.ask("mount", f"bench/{self.name}", self.backing, self.path, "a", *self.ways)

    def stop(self):
        subprocess.run(["umount", "--lazy", str(self.path)], check=False)


class BerthPoint(Berth):
    """Berth through an access point: everybody is its POSIX user, so the kernel need not know a directory's mode."""
    name = "point"
    how = "Berth through an access point, whose POSIX user is root as the bench is"
    ways = ("point",)


class BerthRing(Berth):
    """Berth, whose requests come over io_uring."""
    name = "ring"
    how = "Berth with the option io_uring: the mount does not outlive its daemon"
    ways = ("io_uring",)


class BerthPair(Berth):
    """Berth, while a second mount of the file system, in another zone, knows every name and its attributes."""
    name = "pair"
    how = "Berth while a second mount, in another zone, knows the whole tree, missing names too"

    def __init__(self, server, home):
        super().__init__(server, home)
        self.other = home / "pair-other"
        self.other.mkdir()
        server.ask("mount", "bench/other", self.backing, self.other, "b")

    def stop(self):
        super().stop()
        subprocess.run(["umount", "--lazy", str(self.other)], check=False)


RING_SWITCH = pathlib.Path("/sys/module/fuse/parameters/enable_uring")


def ring_is_offered():
    return RING_SWITCH.exists() and RING_SWITCH.read_text().strip() == "Y"


def start_all(server, home, wanted, ends, say):
    """Native first, Berth last; peers that can't be had are left out, with a word. `ends` (an ExitStack) stops them."""
    started = []
    for kind in [Native, Bindfs, Mergerfs, Berth, BerthPoint, BerthRing, BerthPair]:
        if wanted and kind.name not in wanted:
            continue
        if issubclass(kind, Mounted) and not shutil.which(kind.name):
            say(f"{kind.name} is not installed: left out")
            continue
        if kind is BerthRing and not ring_is_offered():
            say(f"{RING_SWITCH} is not Y: `ring` is left out")
            continue
        subject = kind(server, home) if issubclass(kind, Berth) else kind(home)
        ends.callback(subject.stop)
        started.append(subject)
    return started
