"""Programs that people run on a share: tar, git, grep, rm and SQLite. Rows in seconds."""
import os
import pathlib
import random
import shutil
import sqlite3
import tarfile
import time

from rows import Group, run

GIT = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_AUTHOR_NAME": "bench",
       "GIT_AUTHOR_EMAIL": "bench@example.com", "GIT_COMMITTER_NAME": "bench", "GIT_COMMITTER_EMAIL": "bench@example.com"}


def make_tree(directory, files):
    """Source files by the look of them: from a seed, so that every run has the same."""
    chance = random.Random(1)
    for i in range(files):
        path = directory / f"d{i // 100}" / f"d{i // 10 % 10}" / f"f{i}.c"
        path.parent.mkdir(parents=True, exist_ok=True)
        words = chance.choices(["int", "return", "struct", "static", "x", "y", "=", ";\n"], k=chance.randrange(20, 4000))
        path.write_text(" ".join(words))


class Timed(Group):
    @staticmethod
    def seconds(work, *arguments):
        begun = time.monotonic()
        work(*arguments)
        return time.monotonic() - begun


class Trees(Timed):
    name = "trees"

    @staticmethod
    def takes(subject):
        return subject.name != "pair"

    def __init__(self, options):
        super().__init__(options)
        self.files = 500 if options.quick else 2000
        self.archive = None

    def prepare(self, subject):
        if self.archive is None:
            self.archive = self.options.home / "tree.tar"
            make_tree(self.options.home / "tree", self.files)
            with tarfile.open(self.archive, "w") as archive:
                archive.add(self.options.home / "tree", "tree")

    def measure(self, subjects, note):
        steps = [("untar", ["tar", "xf", str(self.archive)], "."), ("git init", ["git", "init", "--quiet"], "tree"),
                 ("git add", ["git", "add", "."], "tree"), ("git status", ["git", "status", "--short"], "tree"),
                 ("grep -r", ["grep", "-r", "--count", "nowhere to be found", "."], "tree"), ("rm -rf", ["rm", "-rf", "tree"], ".")]
        homes = {subject.name: pathlib.Path(subject.path) / f"tree-{time.monotonic_ns()}" for subject in subjects}
        for name, words, place in steps:
            for subject in subjects:
                homes[subject.name].mkdir(exist_ok=True)
                done = self.seconds(lambda: run(words, cwd=homes[subject.name] / place, env=GIT, accepted=[0, 1]))
                if name != "git init":
                    note(f"{name}, {self.files} files", subject, done, "s")
        for home in homes.values():
            home.rmdir()


class Sqlite(Timed):
    name = "sqlite"

    def measure(self, subjects, note):
        rows, commits = (10_000, 30) if self.options.quick else (50_000, 100)
        for mode in ["WAL", "DELETE"]:
            for subject in subjects:
                home = pathlib.Path(subject.path) / "sqlite"
                home.mkdir()
                base = sqlite3.connect(home / "base", isolation_level=None)
                base.execute(f"PRAGMA journal_mode={mode}")
                base.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
                note(f"sqlite {mode}, {rows} rows at once", subject, self.seconds(self.bulk, base, rows), "s")
                note(f"sqlite {mode}, {commits} commits of a row", subject, self.seconds(self.commits, base, commits), "s")
                note(f"sqlite {mode}, select over all rows", subject,
                     self.seconds(lambda: base.execute("SELECT count(*) FROM t WHERE text LIKE '%nowhere%'").fetchall()), "s")
                base.close()
                shutil.rmtree(home)

    @staticmethod
    def bulk(base, rows):
        base.execute("BEGIN")
        base.executemany("INSERT INTO t (text) VALUES (?)", ((f"row {i} of some text that a row has",) for i in range(rows)))
        base.execute("COMMIT")

    @staticmethod
    def commits(base, commits):
        for i in range(commits):
            base.execute("INSERT INTO t (text) VALUES (?)", (f"one more {i}",))


GROUPS = [Trees, Sqlite]
