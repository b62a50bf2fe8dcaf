"""What bench.py runs inside a task: fio and bench_metadata on each of the task's directories, in turn.

Its one argument is a plan as JSON; it prints the best of the rounds as JSON on its last line.
"""
import json
import subprocess
import sys


def run(words):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)}: {done.stderr or done.stdout}")
    return done.stdout


def fio(place, plan, options):
    # Not invalidated: fio would drop the bare file from the page cache, but not the one behind a FUSE mount.
    return json.loads(run(["fio", "--name=x", f"--directory=/{place}", f"--size={plan['size']}", "--ioengine=psync", "--time_based",
                           f"--runtime={plan['seconds']}", "--output-format=json", "--randrepeat=1",
                           "--invalidate=0", *options]))["jobs"][0]


def main():
    plan = json.loads(sys.argv[1])
    figures = {}

    def note(name, place, value):
        figures.setdefault(name, {}).setdefault(place, []).append(value)

    for place in plan["places"]:  # the file is there and in the cache before anything is measured
        fio(place, {**plan, "seconds": 1}, ["--rw=write", "--bs=1M"])
        fio(place, {**plan, "seconds": 1}, ["--rw=read", "--bs=1M"])
    for number in range(plan["rounds"]):
        for name, options, way, figure in plan["fio"]:
            for place in plan["places"]:
                note(name, place, fio(place, plan, options)[way][figure])
        for place in plan["places"]:
            for line in run(["/tools/bench_metadata", f"/{place}", str(plan["files"])]).splitlines():
                name, value = line.split()
                note(f"{name}, files a second", place, float(value))
        print(f"round {number + 1} of {plan['rounds']}", file=sys.stderr, flush=True)
    print(json.dumps({name: {place: max(values) for place, values in row.items()} for name, row in figures.items()}))


main()
