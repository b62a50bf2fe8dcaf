"""`./dev bench share`: the share against the bare directory, bindfs and mergerfs, all in one run on one backing directory.

Rows are measured round by round, the subjects in turn within each row, and the best of the rounds is taken: what else the machine
does only ever takes away. All that is measured runs at nice -20. Everything is mounted in a mount namespace of the bench's own.
`quick` measures one short round. docs/FIGURES.md says what each row is.
"""
import argparse
import contextlib
import fcntl
import json
import os
import pathlib
import platform
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

import programs
import report
import rows
import scale
import subjects

GROUPS = [*rows.GROUPS, *programs.GROUPS]


def say(text):
    print(text, file=sys.stderr, flush=True)


def parse(words):
    parser = argparse.ArgumentParser(prog="./dev bench share", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extent", nargs="?", choices=["full", "quick"], default="full")
    parser.add_argument("--build", default="build/release", type=pathlib.Path)
    parser.add_argument("--directory", default="/var/tmp", help="on what all is measured; `tmpfs` makes one for it")
    parser.add_argument("--only", action="append", choices=[*(group.name for group in GROUPS), *scale.FIGURES])
    parser.add_argument("--subject", action="append", choices=["native", "bindfs", "mergerfs", "berth", "point", "ring", "pair"], help="only these")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each fio run")
    parser.add_argument("--files", type=int, help="in each job's directory")
    parser.add_argument("--size", default="64M", help="of each of fio's files")
    parser.add_argument("--mounts", type=int, help="of one daemon")
    parser.add_argument("--known", type=int, help="files that two mounts know")
    parser.add_argument("--kills", type=int, help="of the daemon")
    parser.add_argument("--linger", type=int, help="microseconds for which Berth looks for the next request before it sleeps (100)")
    parser.add_argument("--realtime", action="store_true", help="for a busy machine: measures before all else that runs")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON; progress goes to standard error")
    options = parser.parse_args(words)
    options.quick = options.extent == "quick"
    options.build = options.build.resolve()
    for name, quick, full in [("rounds", 1, 3), ("seconds", 0.3, 0.5), ("files", 500, 2000), ("mounts", 200, 1000),
                              ("known", 10_000, 1_000_000), ("kills", 3, 10)]:
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else full)
    return options


def in_own_mount_namespace():
    """Starts this again in a mount namespace of its own, whose mounts go with it."""
    if os.environ.get("BERTH_BENCH_NAMESPACE") == "own":
        return
    os.environ["BERTH_BENCH_NAMESPACE"] = "own"
    again = [sys.executable, str(pathlib.Path(__file__).parent), *sys.argv[1:]]
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", *again])


def first_among_processes(realtime):
    """All that is measured, servers and clients, goes before what else runs here, which then disturbs little."""
    if realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        return
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    autogroup = pathlib.Path("/proc/self/autogroup")
    if autogroup.exists():  # then priorities count within a session only, and between sessions this one
        if os.getpid() != os.getsid(0):
            os.setsid()
        autogroup.write_text("-20")


def spread(directory):
    """Tells ext4 that what is made here has nothing in common: else it keeps all of it in one place, and looks past every inode
    that was freed there in the last seconds, one by one, before it makes a file. Others don't know it."""
    get_flags, set_flags, top_directory = 0x80086601, 0x40086602, 0x00020000
    fd = os.open(directory, os.O_RDONLY)
    try:
        flags = struct.unpack("l", fcntl.ioctl(fd, get_flags, struct.pack("l", 0)))[0]
        fcntl.ioctl(fd, set_flags, struct.pack("l", flags | top_directory))
    except OSError:
        pass
    os.close(fd)


class Bench:
    def __init__(self, options, ends):
        self.options = options
        self.begun = time.monotonic()
        self.load = os.getloadavg()[0]
        self.rows = {}
        self.figures = {}
        directory = options.directory
        if directory == "tmpfs":
            directory = tempfile.mkdtemp(prefix="berth-bench-tmpfs-")
            ends.callback(os.rmdir, directory)
            subprocess.run(["mount", "-t", "tmpfs", "berth-bench", directory], check=True)
            ends.callback(subprocess.run, ["umount", directory], check=False)
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="berth-bench-", dir=directory))
        ends.callback(shutil.rmtree, self.home, ignore_errors=True)
        options.home = self.home
        self.server = subjects.Server(self.options.build, self.home, options.linger)
        ends.callback(self.server.stop)
        self.subjects = subjects.start_all(self.server, self.home, options.subject, ends, say)

    def measure(self):
        for subject in self.subjects:
            spread(subject.backing)
        for kind in GROUPS:
            if self.options.only and kind.name not in self.options.only:
                continue
            group = kind(self.options)

            def note(row, subject, figure, unit):
                kept = self.rows.setdefault(row, {"group": group.name, "unit": unit, "figures": {}, "all": {}})
                best = min if unit == "s" else max
                kept["all"].setdefault(subject.name, []).append(figure)
                kept["figures"][subject.name] = best(kept["all"][subject.name])

            taking_part = [subject for subject in self.subjects if group.takes(subject)]
            for subject in taking_part:
                group.prepare(subject)
            for number in range(self.options.rounds):
                begun = time.monotonic()
                # Who comes first changes from round to round.
                turn = number % len(taking_part)
                group.measure(taking_part[turn:] + taking_part[:turn], note)
                say(f"{group.name}: round {number + 1} of {self.options.rounds}, {time.monotonic() - begun:.1f} s")

    def scale(self):
        for name, figures in scale.FIGURES.items():
            if not self.options.only or name in self.options.only:
                begun = time.monotonic()
                self.figures[name] = figures(self.options.build, self.home, self.options)
                say(f"{name}: {time.monotonic() - begun:.1f} s")

    def results(self):
        file_system = rows.run(["stat", "--file-system", "--format=%T", self.home]).strip()
        return {"machine": {"kernel": platform.release(), "cpus": os.cpu_count(), "load": self.load, "rounds": self.options.rounds,
                            "realtime": self.options.realtime, "directory": self.options.directory, "file_system": file_system,
                            "passthrough": bool(self.server.stats()["passthrough"]), "took": time.monotonic() - self.begun},
                "subjects": [{"name": subject.name, "how": subject.how} for subject in self.subjects],
                "rows": self.rows, "figures": self.figures}


def main():
    options = parse(sys.argv[1:])
    if os.geteuid() != 0:
        raise SystemExit("the bench makes mounts: run it as root")
    in_own_mount_namespace()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was made is taken away then too
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    first_among_processes(options.realtime)
    with contextlib.ExitStack() as ends:
        bench = Bench(options, ends)
        bench.measure()
        bench.scale()
        results = bench.results()
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        report.report(results)


main()
