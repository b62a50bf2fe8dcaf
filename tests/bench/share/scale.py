"""Figures of a share by itself: many mounts, many files, and a daemon that dies. Each is (what, value, unit)."""
import pathlib
import subprocess
import time

import rows
import subjects


def of_status(pid, field):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def kernel_kib():
    """What the kernel itself has taken, of which a mount's part is the difference: others' doings are in it too."""
    lines = dict(line.split(":") for line in pathlib.Path("/proc/meminfo").read_text().splitlines())
    return sum(int(lines[name].split()[0]) for name in ["Slab", "Percpu", "PageTables"] if name in lines)


def mounts(build, home, options):
    """Mounts of one daemon: how long one takes, and what it costs while it is idle."""
    count = options.mounts
    backing, places = home / "many-backing", home / "many"
    for directory in [backing, places, *(places / str(i) for i in range(count))]:
        directory.mkdir()
    server = subjects.Server(build, home)
    try:
        warm = home / "warm"  # what comes with the first mount is not a mount's
        warm.mkdir()
        server.ask("mount", "warm", backing, warm, "a")
        rows.run(["sh", "-c", f"for i in $(seq 100); do echo > {warm}/$i; done; rm {warm}/*"])
        user, kernel = of_status(server.daemon, "VmRSS"), kernel_kib()
        seconds, slowest = map(float, server.ask("many", count, backing, places))
        answered = len([i for i in range(count) if (places / str(i)).stat().st_ino])
        user_of_one, kernel_of_one = (of_status(server.daemon, "VmRSS") - user) / count, (kernel_kib() - kernel) / count
        begun = time.monotonic()
        server.kill_daemon()
        recovery = time.monotonic() - begun
        for i in range(count):
            (places / str(i) / "x").exists()
        ended = float(server.ask("detach", count)[0])
        return [(f"mounts of one daemon, all answered ({answered})", count, ""),
                ("a mount made and placed", seconds / count * 1000, "ms"),
                ("the slowest of them", slowest * 1000, "ms"),
                ("a mount ended", ended / count * 1000, "ms"),
                ("memory of an idle mount, daemon", user_of_one, "KiB"),
                ("memory of an idle mount, kernel", kernel_of_one, "KiB"),
                ("a killed daemon serves all of them again after", recovery * 1000, "ms")]
    finally:
        subprocess.run(["umount", "--lazy", str(home / "warm"), *(str(places / str(i)) for i in range(count))], check=False,
                       stderr=subprocess.DEVNULL)
        server.stop()


def files(build, home, options):
    """Many files walked from two mounts: what the daemon keeps of each, and what it gives back when the kernels forget them."""
    backing = home / "files-backing"
    backing.mkdir()
    rows.run([build / "tests" / "bench" / "bench_operations", "tree", backing, options.known])
    places = [home / "files-1", home / "files-2"]
    server = subjects.Server(build, home)
    try:
        for number, place in enumerate(places):
            place.mkdir()
            server.ask("mount", f"files/{number}", backing, place, "ab"[number])
        before = of_status(server.daemon, "VmRSS")
        begun = time.monotonic()
        for place in places:
            rows.run(["find", place, "-size", "+1G"])
        walked = time.monotonic() - begun
        known = server.stats()["inodes"]

        def grown():
            return (of_status(server.daemon, "VmRSS") - before) * 1024 / known

        figures = [("files, each known to two mounts", options.known, ""),
                   ("a file walked (find -size)", walked / known * 1e6, "us"),
                   ("inodes known to the daemon's mounts", known, ""),
                   ("memory of a known inode, daemon", grown(), "B"),
                   ("descriptors of the daemon", len(list(pathlib.Path(f"/proc/{server.daemon}/fd").iterdir())), "")]
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("2")
        deadline = time.monotonic() + 60
        left = server.stats()["inodes"]
        while left > known / 100 and time.monotonic() < deadline:
            time.sleep(0.05)
            left = server.stats()["inodes"]
        figures += [("inodes known after the kernel dropped its caches", left, ""),
                    ("memory that is left then, of each that was known", grown(), "B")]
        for place in places:
            rows.run(["find", place, "-size", "+1G"])
        figures.append(("memory after the same walk again, of each", grown(), "B"))
        return figures
    finally:
        subprocess.run(["umount", "--lazy", *map(str, places)], check=False, stderr=subprocess.DEVNULL)
        server.stop()


def pause(build, home, options):
    """The longest time that an operation took while the daemon was killed over and over."""
    backing, place = home / "pause-backing", home / "pause"
    backing.mkdir()
    place.mkdir()
    server = subjects.Server(build, home)
    try:
        server.ask("mount", "pause", backing, place, "a")
        worker = subprocess.Popen([build / "tests" / "bench" / "bench_operations", "pause", place], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(options.kills):
            time.sleep(0.1)
            server.kill_daemon()
        time.sleep(0.1)
        output = worker.communicate()[0]
        if worker.returncode:
            raise SystemExit("an operation failed while the daemon was killed")
        figures = dict(line.split("\t") for line in output.splitlines())
        return [("kills of the daemon, no operation failed", options.kills, ""),
                ("operations meanwhile", float(figures["operations"]), ""),
                ("the longest of them", float(figures["longest"]) * 1000, "ms")]
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)
        server.stop()


FIGURES = {"mounts": mounts, "files": files, "pause": pause}
