"""`./dev bench`: what Berth costs, as ratios against the bare machine, both measured in one run.

Data and metadata are measured inside one task that has three directories: a directory of the host ("native"), the same kind of
directory behind bindfs, and an EFS volume on the same disk ("berth"). Each figure is the median of some rounds, the
directories taken in turn within a round, so that a noisy machine is noisy for all of them.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

FIO = [  # name, fio options
    ("sequential read 1 MiB", ["--rw=read", "--bs=1M"], "read", "bw_bytes"),
    ("sequential write 1 MiB", ["--rw=write", "--bs=1M"], "write", "bw_bytes"),
    ("random read 4 KiB", ["--rw=randread", "--bs=4k"], "read", "iops"),
    ("random write 4 KiB", ["--rw=randwrite", "--bs=4k"], "write", "iops"),
]


def say(text):
    print(text, file=sys.stderr, flush=True)


class Bench:
    def __init__(self, options):
        self.options = options
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="berth-bench-", dir=options.directory))
        self.state = self.home / "state"
        self.build = pathlib.Path(options.build).resolve()
        self.environment = {**os.environ, "BERTH_STATE_DIR": str(self.state), "AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true"}
        self.results = {}

    # --- Berth

    def berth(self, *words, check=True):
        done = subprocess.run([str(self.build / "broker" / "berth"), *words], env=self.environment, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise SystemExit(f"berth {' '.join(words)}: {done.stderr}")
        return done.stdout

    def up(self):
        begun = time.monotonic()
        self.berth("up", "--listen", "127.0.0.1:0")
        self.environment.update(json.loads(self.berth("env", "--json")))
        import boto3
        self.client = lambda service: boto3.client(service, endpoint_url=self.environment["AWS_ENDPOINT_URL"],
                                                   region_name=self.environment["AWS_REGION"],
                                                   aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
                                                   aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"])
        return time.monotonic() - begun

    def close(self):
        self.berth("down", check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    def status(self):
        return json.loads(self.berth("status", "--json"))

    # --- tasks

    def prepare(self):
        self.ecs, self.efs = self.client("ecs"), self.client("efs")
        self.ecs.create_cluster(clusterName="bench")
        self.subnet = self.status()["zones"][0]["default_subnet"]
        file_system = self.efs.create_file_system(CreationToken="bench")["FileSystemId"]
        while self.efs.describe_file_systems(FileSystemId=file_system)["FileSystems"][0]["LifeCycleState"] != "available":
            time.sleep(0.05)
        self.efs.create_mount_target(FileSystemId=file_system, SubnetId=self.subnet)
        self.file_system = file_system

    def define(self, command, host_volumes=(), efs=False, role=None):
        volumes = [{"name": name, "host": {"sourcePath": str(path)}} for name, path in host_volumes]
        mounts = [{"sourceVolume": name, "containerPath": f"/{name}"} for name, _ in host_volumes]
        if efs:
            volumes.append({"name": "berth", "efsVolumeConfiguration": {"fileSystemId": self.file_system, "transitEncryption": "ENABLED"}})
            mounts.append({"sourceVolume": "berth", "containerPath": "/berth"})
        more = {"taskRoleArn": role} if role else {}
        return self.ecs.register_task_definition(
            family="bench", networkMode="awsvpc", cpu="2048", memory="4096", volumes=volumes,
            containerDefinitions=[{"name": "app", "image": "host", "command": command, "mountPoints": mounts}],
            **more)["taskDefinition"]["taskDefinitionArn"]

    def start(self, definition):
        answer = self.ecs.run_task(cluster="bench", taskDefinition=definition, launchType="FARGATE",
                                   networkConfiguration={"awsvpcConfiguration": {"subnets": [self.subnet]}})
        if answer["failures"]:
            raise SystemExit(answer["failures"])
        return answer["tasks"][0]["taskArn"]

    def wait(self, task, *states):
        while True:
            found = self.ecs.describe_tasks(cluster="bench", tasks=[task])["tasks"][0]
            if found["lastStatus"] in states:
                return found
            if found["lastStatus"] == "STOPPED":
                raise SystemExit(f"the task stopped: {found.get('stoppedReason')}\n{self.berth('logs', task)}")
            time.sleep(0.002)

    def run(self, definition):
        task = self.start(definition)
        ended = self.wait(task, "STOPPED")
        output = self.berth("logs", task)
        if ended["containers"][0].get("exitCode") != 0:
            raise SystemExit(f"the task failed: {ended.get('stoppedReason')}\n{output}")
        return output

    # --- the measurements

    def share(self):
        """Data and metadata: native, bindfs and berth in turn."""
        native, behind, tools = self.home / "native", self.home / "bindfs-source", self.home / "tools"
        bindfs = self.home / "bindfs"
        for folder in [native, behind, tools, bindfs]:
            folder.mkdir()
        shutil.copy(self.build / "tests" / "bench" / "bench_metadata", tools)
        (tools / "inside.py").write_text(INSIDE)
        with_bindfs = shutil.which("bindfs") and subprocess.run(["bindfs", "--multithreaded", str(behind), str(bindfs)]).returncode == 0
        places = ["native", *(["bindfs"] if with_bindfs else []), "berth"]
        try:
            volumes = [("native", native), ("tools", tools)] + ([("bindfs", bindfs)] if with_bindfs else [])
            definition = self.define(["python3", "/tools/inside.py", json.dumps(
                {"places": places, "fio": FIO, "rounds": self.options.rounds, "seconds": self.options.seconds, "files": self.options.files})],
                volumes, efs=True)
            self.results["share"] = json.loads(self.run(definition).strip().splitlines()[-1])
        finally:
            if with_bindfs:
                subprocess.run(["umount", str(bindfs)], check=False)

    def starts(self):
        """RunTask to RUNNING against `runc run` of the same command in a bare bundle."""
        definition = self.define(["sleep", "60"])
        berth, bare = [], []
        bundle = self.bundle()
        for number in range(self.options.rounds * 2):
            begun = time.monotonic()
            task = self.start(definition)
            self.wait(task, "RUNNING")
            berth.append(time.monotonic() - begun)
            self.ecs.stop_task(cluster="bench", task=task)
            self.wait(task, "STOPPED")
            name = f"berth-bench-{os.getpid()}-{number}"
            begun = time.monotonic()
            subprocess.run(["runc", "run", "--detach", "--bundle", str(bundle), name], check=True, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            bare.append(time.monotonic() - begun)
            subprocess.run(["runc", "delete", "--force", name], check=True)
        self.results["start"] = {"RunTask to RUNNING": statistics.median(berth), "runc run --detach": statistics.median(bare)}

    def bundle(self):
        bundle = self.home / "bundle"
        (bundle / "rootfs" / "bin").mkdir(parents=True)
        busybox = next(path for path in ["/bin/busybox", "/usr/bin/busybox"] if os.path.exists(path))
        shutil.copy(busybox, bundle / "rootfs" / "bin" / "sleep")
        subprocess.run(["runc", "spec"], cwd=bundle, check=True)
        config = json.loads((bundle / "config.json").read_text())
        config["process"].update(args=["/bin/sleep", "60"], terminal=False)
        (bundle / "config.json").write_text(json.dumps(config))
        return bundle

    def credentials(self):
        """Credential requests a second on one connection from inside a task."""
        iam = self.client("iam")
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        role = iam.create_role(RoleName="bench", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        tools = self.home / "tools"
        shutil.copy(self.build / "tests" / "bench" / "bench_requests", tools)
        command = ["sh", "-c", "/tools/bench_requests 169.254.170.2 80 $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI %d" % self.options.seconds]
        output = self.run(self.define(command, [("tools", tools)], role=role))
        self.results["credentials"] = {"requests a second": float(output.split()[-1])}

    def daemon(self, first_call):
        pid = self.status()["daemon_pid"]
        memory = next(int(line.split()[1]) for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS"))
        self.results["daemon"] = {"berth up to the first answered calls, s": first_call, "resident memory, MiB": memory / 1024}

    def report(self):
        if self.options.json:
            print(json.dumps(self.results, indent=2))
            return
        places = list(next(iter(self.results["share"].values())))
        print(f"\n{'':28}" + "".join(f"{place:>14}" for place in places) + "".join(f"{'berth/' + place:>16}" for place in places[:-1]))
        for name, figures in self.results["share"].items():
            print(f"{name:28}" + "".join(f"{figures[place]:14,.0f}" for place in places) +
                  "".join(f"{figures['berth'] / figures[place]:16.2f}" for place in places[:-1]))
        start = self.results["start"]
        print(f"\nRunTask to RUNNING {start['RunTask to RUNNING'] * 1000:.0f} ms, bare runc run {start['runc run --detach'] * 1000:.0f} ms: "
              f"{start['RunTask to RUNNING'] / start['runc run --detach']:.2f} times")
        print(f"credentials: {self.results['credentials']['requests a second']:,.0f} requests a second on one connection")
        for name, figure in self.results["daemon"].items():
            print(f"{name}: {figure:.2f}")


INSIDE = r'''
import json, os, shutil, statistics, subprocess, sys
plan = json.loads(sys.argv[1])
figures = {}
def note(name, place, value):
    figures.setdefault(name, {}).setdefault(place, []).append(value)
for round_number in range(plan["rounds"]):
    for name, options, way, figure in plan["fio"]:
        for place in plan["places"]:
            done = subprocess.run(["fio", "--name=x", f"--directory=/{place}", "--size=256M", "--ioengine=psync", "--time_based",
                                   f"--runtime={plan['seconds']}", "--output-format=json", "--randrepeat=1", *options],
                                  capture_output=True, text=True)
            if done.returncode: sys.exit(done.stderr)
            note(name, place, json.loads(done.stdout)["jobs"][0][way][figure])
    for place in plan["places"]:
        done = subprocess.run(["/tools/bench_metadata", f"/{place}", str(plan["files"])], capture_output=True, text=True)
        if done.returncode: sys.exit(done.stderr)
        for line in done.stdout.splitlines():
            name, value = line.split()
            note(name + " a file", place, float(value))
    print(f"round {round_number + 1} of {plan['rounds']}", file=sys.stderr, flush=True)
print(json.dumps({name: {place: statistics.median(values) for place, values in row.items()} for name, row in figures.items()}))
'''


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--directory", default="/var/tmp", help="where the state and the backing directories are")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="of each fio run")
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    bench = Bench(parser.parse_args())
    try:
        first_call = bench.up()
        bench.prepare()
        bench.daemon(first_call)
        for name in ["share", "starts", "credentials"]:
            say(f"measuring: {name}")
            getattr(bench, name)()
        bench.report()
    finally:
        bench.close()


main()
