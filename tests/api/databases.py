"""PostgreSQL and MariaDB of the machine, each with a data directory and a user of its own, doing transfers that must add up."""
import pathlib
import pwd
import re
import shutil
import subprocess
import time

CLIENTS = 4


def search_path(name):
    """The program, in Debian's places too."""
    places = [*sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), pathlib.Path("/usr/sbin"), pathlib.Path("/usr/bin")]
    return next((str(place / name) for place in places if (place / name).exists()), shutil.which(name))


class Database:
    """directory: empty, where its files go. home: for its socket and logs, outside of what is tested."""

    def __init__(self, directory, home):
        self.data, self.home = directory / "data", home / self.user
        for place in (self.data, self.home):
            place.mkdir(mode=0o700)
            shutil.chown(place, self.user)

    @classmethod
    def missing(cls):
        return [name for name in cls.programs if search_path(name) is None]

    def words(self, program, *words):
        entry = pwd.getpwnam(self.user)
        return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--init-groups", search_path(program), *map(str, words)]

    def run(self, program, *words, timeout=300):
        done = subprocess.run(self.words(program, *words), capture_output=True, text=True, cwd="/", timeout=timeout)
        assert done.returncode == 0, f"{program}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout


class PostgreSql(Database):
    user = "postgres"
    programs = ["initdb", "pg_ctl", "pgbench", "pg_amcheck", "pg_checksums", "psql"]
    port = 54321  # part of its socket's name, no more

    def __init__(self, directory, home):
        super().__init__(directory, home)
        self.connection = ["-h", self.home, "-p", self.port]

    def create(self):
        self.run("initdb", "-D", self.data, "--data-checksums", "-A", "trust", "--no-instructions")
        self.start()
        self.run("pgbench", *self.connection, "-i", "-q", "-s", 2, "postgres")

    def start(self):
        # Checkpoints come often, so that all kinds of its writing are in every run.
        options = f"-p {self.port} -k {self.home} -c listen_addresses='' -c max_wal_size=64MB -c checkpoint_timeout=30s"
        subprocess.run(self.words("pg_ctl", "-D", self.data, "-o", options, "-l", self.home / "log", "-w", "start"), check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)

    def transfer(self, seconds):
        """Transactions done; that none failed is asserted."""
        said = self.run("pgbench", *self.connection, "-n", "-c", CLIENTS, "-j", 2, "-T", seconds, "postgres", timeout=seconds + 300)
        assert "number of failed transactions: 0 " in said, said
        return int(re.search(r"actually processed: (\d+)", said)[1])

    def balances(self):
        """Whether all sums agree, and how many transfers are on record."""
        query = ("select (select sum(abalance) from pgbench_accounts) = sum(delta), (select sum(bbalance) from pgbench_branches) = sum(delta), "
                 "(select sum(tbalance) from pgbench_tellers) = sum(delta), count(*) from pgbench_history")
        *agree, count = self.run("psql", *self.connection, "-Atc", query, "postgres").strip().split("|")
        return agree == ["t", "t", "t"], int(count)

    def crash(self):
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def check_running(self):
        self.run("pg_amcheck", *self.connection, "--all", "--heapallindexed", "--install-missing")

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")

    def check_stopped(self):
        self.run("pg_checksums", "--check", "-D", self.data)

    def end(self):
        subprocess.run(self.words("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop"), capture_output=True, cwd="/", timeout=120)


class MariaDb(Database):
    user = "mysql"
    programs = ["mariadb-install-db", "mariadbd", "mariadb", "mariadb-admin", "mariadb-slap", "mariadb-check"]
    accounts = 1000
    batch = 1000  # transfers at a time

    def __init__(self, directory, home):
        super().__init__(directory, home)
        self.connection, self.process = ["--no-defaults", f"--socket={self.home}/socket", "--user=root"], None

    def create(self):
        self.run("mariadb-install-db", "--no-defaults", f"--datadir={self.data}", "--auth-root-authentication-method=normal")
        self.start()
        rows = ",".join(f"({i}, 0)" for i in range(self.accounts))
        self.ask("create database bank; use bank;"
                 "create table accounts(id int primary key, balance bigint not null) engine=innodb;"
                 f"insert into accounts values {rows};"
                 "create table history(id bigint auto_increment primary key, account int not null, delta int not null) engine=innodb;"
                 "\ndelimiter //\n"
                 "create procedure transfer() begin\n"
                 f"  declare chosen int default floor(rand() * {self.accounts}); declare by_so_much int default floor(rand() * 1000) - 500;\n"
                 "  declare exit handler for sqlexception begin rollback; resignal; end;\n"
                 "  start transaction; update accounts set balance = balance + by_so_much where id = chosen;\n"
                 "  insert into history(account, delta) values (chosen, by_so_much); commit; end//\n")

    def start(self):
        log = open(self.home / "log", "a")
        # The pool is small and InnoDB opens its files with O_DIRECT and asynchronously, by default: all data goes over the share.
        self.process = subprocess.Popen(
            self.words("mariadbd", "--no-defaults", f"--datadir={self.data}", f"--socket={self.home}/socket", "--skip-networking",
                       f"--pid-file={self.home}/pid", "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M"),
            stdout=log, stderr=log, cwd="/")
        deadline = time.monotonic() + 120
        while subprocess.run(self.words("mariadb-admin", *self.connection, "ping"), capture_output=True).returncode != 0:
            assert self.process.poll() is None and time.monotonic() < deadline, (self.home / "log").read_text()[-4000:]
            time.sleep(0.1)

    def ask(self, statements):
        done = subprocess.run(self.words("mariadb", *self.connection, "--batch", "--skip-column-names"), input=statements, capture_output=True, text=True,
                              timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def transfer(self, seconds):
        until, done = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            self.run("mariadb-slap", *self.connection, "--create-schema=bank", "--no-drop", "--query=call transfer()", f"--concurrency={CLIENTS}",
                     f"--number-of-queries={self.batch}")
            done += self.batch
        return done

    def balances(self):
        agree, count = self.ask("select (select sum(balance) from bank.accounts) = sum(delta), count(*) from bank.history").split()
        return agree == "1", int(count)

    def crash(self):
        self.process.kill()
        self.process.wait()

    def check_running(self):
        said = self.run("mariadb-check", *self.connection, "--all-databases", "--extended")
        assert all(line.endswith(" OK") for line in said.splitlines()), said

    def stop(self):
        self.run("mariadb-admin", *self.connection, "shutdown")
        assert self.process.wait(120) == 0

    def check_stopped(self):
        log = (self.home / "log").read_text()
        assert "[ERROR]" not in log and "corrupt" not in log.lower(), log[-4000:]

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.crash()
