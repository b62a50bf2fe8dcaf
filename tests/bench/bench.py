"""`./dev bench`: what Berth costs, as ratios against the bare machine, both measured in one run.

Data and metadata are measured inside one task that has three directories on the same disk: a directory of the host ("native"),
one behind bindfs, and an EFS volume ("berth"). Each figure is the best of some rounds, the subjects taken in turn within a
round: what else the machine does only ever takes away. `./dev bench quick` measures one short round.
"""
import argparse
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from subject import Berth

FIO = [  # name, fio options, which of fio's figures
    ("sequential read 1 MiB, B/s", ["--rw=read", "--bs=1M"], "read", "bw_bytes"),
    ("sequential write 1 MiB, B/s", ["--rw=write", "--bs=1M"], "write", "bw_bytes"),
    ("random read 4 KiB, IOPS", ["--rw=randread", "--bs=4k"], "read", "iops"),
    ("random write 4 KiB, IOPS", ["--rw=randwrite", "--bs=4k"], "write", "iops"),
]
SLEEPER = ["sh", "-c", "trap exit TERM; sleep 60 & wait"]  # ends at once when it is told to
HERE = pathlib.Path(__file__).parent


def say(text):
    print(text, file=sys.stderr, flush=True)


def resident_mib(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


class Bench:
    def __init__(self, options):
        self.options = options
        self.build = pathlib.Path(options.build).resolve()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="berth-bench-", dir=options.directory))
        self.berth = Berth(self.build, self.home / "state")
        self.bindfs = self.home / "bindfs"
        self.results = {}

    def set_up(self):
        self.results["machine"] = {"kernel": platform.release(), "cpus": os.cpu_count(), "load": os.getloadavg()[0]}
        for name in ["native", "bindfs", "bindfs-source", "tools"]:
            (self.home / name).mkdir()
        for program in ["bench_metadata", "bench_requests"]:
            shutil.copy(self.build / "tests" / "bench" / program, self.home / "tools")
        shutil.copy(HERE / "inside.py", self.home / "tools")
        # Before the daemon starts: it sees no mount that the host makes later.
        command = ["bindfs", "--multithreaded", str(self.home / "bindfs-source"), str(self.bindfs)]
        self.has_bindfs = shutil.which("bindfs") is not None and subprocess.run(command).returncode == 0
        if not self.has_bindfs:
            say("bindfs can't be had: metadata is compared with the bare directory only")

    def close(self):
        self.berth.down()
        if self.bindfs.is_mount():
            subprocess.run(["umount", str(self.bindfs)], check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    # --- the measurements

    def daemon(self):
        """From `berth up` to the first answered call: on a fresh state directory, and on one that has seen a daemon."""
        fresh = self.berth.up()
        later = []
        for _ in range(self.options.rounds):
            self.berth.down()
            later.append(self.berth.up())
        self.berth.prepare()
        status = self.berth.status()
        self.program = status["oci_runtime"].split()[0]
        self.results["machine"]["oci_runtime"] = status["oci_runtime"]
        self.results["daemon"] = {"first start, s": fresh, "later start, s": min(later),
                                  "resident memory of the daemon, MiB": resident_mib(status["daemon_pid"]),
                                  "resident memory of the keeper, MiB": resident_mib(status["keeper_pid"])}

    def share(self):
        """Data and metadata: native, bindfs and berth in turn."""
        places = ["native", *(["bindfs"] if self.has_bindfs else []), "berth"]
        plan = {"places": places, "fio": FIO, "rounds": self.options.rounds, "seconds": self.options.seconds,
                "files": self.options.files, "size": self.options.size}
        volumes = [(name, self.home / name) for name in ["tools", *places[:-1]]]
        task = self.berth.start(self.berth.define(["python3", "/tools/inside.py", json.dumps(plan)], volumes=volumes, efs=True))
        self.berth.wait(task, "RUNNING")
        self.results["machine"]["share"] = self.berth.status()["share"]
        ended = self.berth.wait(task, "STOPPED")
        output = self.berth.command("logs", task)
        if ended["containers"][0].get("exitCode") != 0:
            raise SystemExit(f"the measuring task failed: {ended.get('stoppedReason')}\n{output}")
        self.results["share"] = json.loads(output.strip().splitlines()[-1])

    def starts(self):
        """RunTask to RUNNING against the OCI runtime alone on the same root file system and command."""
        bundle = self.bundle()
        definitions = {"RunTask to RUNNING": self.berth.define(SLEEPER, image=str(bundle / "rootfs")),
                       "RunTask to RUNNING, image host": self.berth.define(SLEEPER),
                       "the same with an EFS volume": self.berth.define(SLEEPER, efs=True)}
        times = {}
        for number in range(self.options.rounds * 2):
            times.setdefault(f"bare {self.program} run", []).append(self.bare_start(bundle, f"berth-bench-{os.getpid()}-{number}"))
            for name, definition in definitions.items():
                begun = time.monotonic()
                task = self.berth.start(definition)
                self.berth.wait(task, "RUNNING")
                times.setdefault(name, []).append(time.monotonic() - begun)
                self.berth.stop(task)
        self.results["start"] = {name: min(values) * 1000 for name, values in times.items()}

    def bare_start(self, bundle, name):
        begun = time.monotonic()
        subprocess.run([self.program, "run", "--detach", "--bundle", str(bundle), name], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took = time.monotonic() - begun
        subprocess.run([self.program, "delete", "--force", name], check=True)
        return took

    def bundle(self):
        bundle = self.home / "bundle"
        programs = bundle / "rootfs" / "bin"
        programs.mkdir(parents=True)
        busybox = shutil.which("busybox")
        if busybox is None:
            raise SystemExit("busybox is missing: install busybox-static")
        for name in ["sh", "sleep"]:
            shutil.copy(busybox, programs / name)
        subprocess.run([self.program, "spec"], cwd=bundle, check=True)
        config = json.loads((bundle / "config.json").read_text())
        config["process"].update(args=SLEEPER, terminal=False)
        (bundle / "config.json").write_text(json.dumps(config))
        return bundle

    def credentials(self):
        """Credential requests a second from inside a task: on one connection, then on four at a time."""
        role = self.berth.make_role("bench", "ecs-tasks.amazonaws.com")
        one = f"/tools/bench_requests 169.254.170.2 80 $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI {self.options.seconds}"
        row = self.results["credentials"] = {}
        for connections in [1, 4]:
            command = ["sh", "-c", f"{one} & " * connections + "wait"]
            output = self.berth.run(self.berth.define(command, volumes=[("tools", self.home / "tools")], role=role))
            rates = [float(line.split()[1]) for line in output.splitlines() if line.startswith("requests ")]
            if len(rates) != connections:
                raise SystemExit(f"credential requests failed:\n{output}")
            row[f"on {connections} connection{'s' * (connections > 1)}"] = sum(rates)

    # --- the report

    def report(self):
        machine = self.results["machine"]
        print(f"Linux {machine['kernel']}, {machine['cpus']} CPUs, load {machine['load']:.1f} at the start, {machine['oci_runtime']}" +
              (f", share {machine['share']}" if "share" in machine else ""))
        if "share" in self.results:
            self.report_share(self.results["share"])
        if "start" in self.results:
            bare_name, bare = next(iter(self.results["start"].items()))
            print(f"\n{'task start':32}{'ms':>16}{'/' + bare_name:>20}")
            for name, figure in self.results["start"].items():
                print(f"{name:32}{figure:16.0f}{figure / bare:20.2f}")
        if "credentials" in self.results:
            print("\ncredential requests a second")
            for name, figure in self.results["credentials"].items():
                print(f"{name:32}{figure:16,.0f}")
        print("\nthe daemon, `berth up` to the first answered call")
        for name, figure in self.results["daemon"].items():
            print(f"{name:36}{figure:12.2f}")

    @staticmethod
    def report_share(rows):
        places = list(next(iter(rows.values())))
        print(f"\n{'':32}" + "".join(f"{place:>16}" for place in places) + "".join(f"{'berth/' + place:>14}" for place in places[:-1]))
        for name, figures in rows.items():
            print(f"{name:32}" + "".join(f"{figures[place]:16,.0f}" for place in places) +
                  "".join(f"{figures['berth'] / figures[place]:14.2f}" for place in places[:-1]))


def parse(words):
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extent", nargs="?", choices=["full", "quick"], default="full")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--directory", default="/var/tmp", help="where the state and the compared directories are")
    parser.add_argument("--only", action="append", choices=["share", "starts", "credentials"], help="besides the daemon itself")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int, help="of each fio run")
    parser.add_argument("--files", type=int, help="that are created, looked up and removed")
    parser.add_argument("--size", default="128M", help="of fio's file")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON; progress goes to standard error")
    options = parser.parse_args(words)
    defaults = {"rounds": 1, "seconds": 1, "files": 1000} if options.extent == "quick" else {"rounds": 3, "seconds": 1, "files": 5000}
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def main():
    options = parse(sys.argv[1:])
    if os.geteuid() != 0:
        raise SystemExit("the bench starts tasks: run it as root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was made is taken away then too
    bench = Bench(options)
    try:
        bench.set_up()
        for name in ["daemon", "share", "starts", "credentials"]:
            if name == "daemon" or not options.only or name in options.only:
                say(f"measuring: {name}")
                getattr(bench, name)()
    finally:
        bench.close()
    if options.json:
        print(json.dumps(bench.results, indent=2))
    else:
        bench.report()


main()
