"""What is measured: each group yields (row, figure, unit) for one subject. Rows in seconds are better when smaller."""
import json
import subprocess

FIO = [  # name, fio's options, which of its figures, unit
    ("sequential read 1 MiB", ["--rw=read", "--bs=1M"], ("read", "bw_bytes"), "B/s"),
    ("sequential write 1 MiB", ["--rw=write", "--bs=1M"], ("write", "bw_bytes"), "B/s"),
    ("random read 4 KiB", ["--rw=randread", "--bs=4k"], ("read", "iops"), "/s"),
    ("random write 4 KiB", ["--rw=randwrite", "--bs=4k"], ("write", "iops"), "/s"),
    ("mmap random read 4 KiB", ["--rw=randread", "--bs=4k", "--ioengine=mmap"], ("read", "iops"), "/s"),
    ("mmap random write 4 KiB", ["--rw=randwrite", "--bs=4k", "--ioengine=mmap"], ("write", "iops"), "/s"),
]
JOBS = [1, 4]


def run(words, accepted=(0,), **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    if done.returncode not in accepted:
        raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr or done.stdout}")
    return done.stdout


class Group:
    def __init__(self, options):
        self.options = options

    @staticmethod
    def takes(subject):
        return subject.name not in ["point", "pair"]  # they differ in names only

    def prepare(self, subject):
        pass


class Data(Group):
    name = "data"

    def fio(self, subject, jobs, options, seconds):
        # A file a job, the same ones for every row. Not invalidated: fio would drop the bare file from the page cache, but not
        # the one behind a FUSE mount.
        words = ["fio", "--name=x", f"--directory={subject.path}", "--filename_format=fio.$jobnum", f"--size={self.options.size}",
                 f"--numjobs={jobs}", "--group_reporting", "--ioengine=psync", "--time_based", f"--runtime={int(seconds * 1000)}ms",
                 "--output-format=json", "--randrepeat=1", "--invalidate=0", "--fallocate=none", *options]
        return json.loads(run(words))["jobs"][0]

    def prepare(self, subject):
        """The files are there and in the page cache before anything is measured."""
        for way in ["write", "read"]:
            run(["fio", "--name=x", f"--directory={subject.path}", "--filename_format=fio.$jobnum", f"--size={self.options.size}",
                 f"--numjobs={max(JOBS)}", "--invalidate=0", "--fallocate=none", f"--rw={way}", "--bs=1M"])

    def rows(self):
        return [(f"{name}, {jobs} job{'s' * (jobs > 1)}", jobs, options, figure, unit)
                for name, options, figure, unit in FIO for jobs in JOBS if jobs == 1 or not self.options.quick]

    def measure(self, subjects, note):
        for row, jobs, options, (way, figure), unit in self.rows():
            for subject in subjects:
                note(row, subject, self.fio(subject, jobs, options, self.options.seconds)[way][figure], unit)


class Operations(Group):
    """Groups whose rows bench_operations prints."""

    def measure(self, subjects, note):
        program = self.options.build / "tests" / "bench" / "bench_operations"
        for jobs in JOBS:
            for subject in subjects:
                for line in run([program, *self.words(subject, jobs)]).splitlines():
                    row, figure = line.split("\t")
                    note(f"{row}, {jobs} job{'s' * (jobs > 1)}", subject, float(figure), "/s")


class Names(Operations):
    name = "names"

    @staticmethod
    def takes(subject):
        return True

    def words(self, subject, jobs):
        other = getattr(subject, "other", None)
        return ["names", subject.path, subject.backing, self.options.files, jobs, *([other] if other else [])]


class Appends(Operations):
    name = "appends"

    def words(self, subject, jobs):
        return ["appends", subject.path, self.options.files, jobs]


class Locks(Operations):
    name = "locks"

    def words(self, subject, jobs):
        return ["locks", subject.path, self.options.files, jobs]


GROUPS = [Data, Appends, Names, Locks]
