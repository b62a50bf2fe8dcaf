"""Real container engines for a test: a dockerd and a podman that keep everything in directories of their own."""
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

PLUGINS = pathlib.Path("/run/docker/plugins")  # where dockerd looks; it has no option for that
PROGRAMS = ["sh", "cat", "echo", "ls", "sleep", "touch", "stat", "id", "rm", "mkdir", "dd", "sync", "mv", "tail"]


class PluginConnection(http.client.HTTPConnection):
    """To a plugin's socket."""

    def __init__(self, path):
        super().__init__("plugin", timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def program(name):
    """Debian's before any other in the PATH; where there is none, the test is skipped, but in CI fails."""
    for found in (f"/usr/bin/{name}", f"/usr/sbin/{name}", shutil.which(name)):
        if found and os.path.exists(found):
            return found
    return missing(f"needs {name}: ./dev test installs it")


def missing(reason):
    if os.environ.get("BERTH_NO_SKIP") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def root_file_system(directory):
    """An archive of a root with busybox, for `import`."""
    root = directory / "root"
    for folder in ["bin", "proc", "dev", "tmp"]:
        (root / folder).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for name in PROGRAMS:
        (root / "bin" / name).symlink_to("busybox")
    archive = directory / "root.tar"
    subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
    shutil.rmtree(root)
    return archive


def remove_cgroups(name):
    for path in sorted(pathlib.Path("/sys/fs/cgroup").glob(f"**/{name}/**/"), key=lambda p: -len(p.parts)):
        try:
            path.rmdir()
        except OSError:
            pass  # another hierarchy's view of it


class Engine:
    """docker's or podman's command line. Containers have no network, limits that any machine has, and no files to copy up."""
    run_options = ["--network", "none"]
    at_once = []  # options of `rm -f`, without which it waits

    def __init__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="berth-engine-"))
        self.cgroup = f"berth-test-{self.home.name}"

    def __call__(self, *words, check=True, timeout=120):
        done = subprocess.run([*self.command, *words], capture_output=True, text=True, timeout=timeout, env=self.environment)
        if not check:
            return done
        assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}: {done.stderr}"
        return done.stdout.strip()

    def run(self, *words, script, check=True, options=()):
        return self("run", "--rm", *self.run_options, *options, *words, "box", "/bin/sh", "-c", script, check=check)

    def start(self, *words, script):
        return self("run", "-d", *self.run_options, *words, "box", "/bin/sh", "-c", script)

    def kill(self, container):
        self("rm", "-f", *self.at_once, container)

    def inspect(self, volume):
        return json.loads(self("volume", "inspect", volume))[0]

    def volumes(self):
        return self("volume", "ls", "--format", "{{.Driver}} {{.Name}}").splitlines()


class Docker(Engine):
    def __init__(self):
        super().__init__()
        daemon = program("dockerd")
        door = f"unix://{self.home / 'docker.sock'}"
        self.command = [program("docker"), "-H", door]
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.home)}
        with open(self.home / "log", "w") as log:
            self.daemon = subprocess.Popen(
                [daemon, "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver", "vfs",
                 "--data-root", self.home / "data", "--exec-root", self.home / "exec", "--pidfile", self.home / "pid",
                 "--cgroup-parent", f"/{self.cgroup}", "-H", door], stdout=log, stderr=log, env=self.environment)
        deadline = time.monotonic() + 60
        while self("version", check=False).returncode != 0:
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                last = (self.home / "log").read_text()[-1500:]
                self.stop()
                missing(f"dockerd does not start here: {last}")
            time.sleep(0.1)
        self("import", str(root_file_system(self.home)), "box")

    def stop(self):
        if self.daemon.poll() is None:
            for container in self("ps", "-aq", check=False).stdout.split():
                self("rm", "-f", container, check=False)
            self.daemon.terminate()
            self.daemon.wait(60)
        subprocess.run(["umount", "-l", self.home / "data"], capture_output=True)
        shutil.rmtree(self.home, ignore_errors=True)
        remove_cgroups(self.cgroup)


class Podman(Engine):
    at_once = ["-t", "0"]

    def __init__(self, plugins):
        """plugins: the sockets of volume plugins, by driver."""
        super().__init__()
        configuration = self.home / "containers.conf"
        configuration.write_text("[engine.volume_plugins]\n" + "".join(f'{name} = "{path}"\n' for name, path in plugins.items()))
        self.command = [program("podman"), "--root", str(self.home / "root"), "--runroot", str(self.home / "run"), "--tmpdir",
                        str(self.home / "tmp"), "--storage-driver", "vfs", "--runtime", program("runc"), "--cgroup-manager", "cgroupfs",
                        "--events-backend", "none"]
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.home), "CONTAINERS_CONF": str(configuration)}
        # Podman asks for as many files and processes as it may have at most, which not every root may.
        self.run_options = ["--network", "none", "--log-driver", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024",
                            "--cgroup-parent", f"/{self.cgroup}"]
        self("import", str(root_file_system(self.home)), "box")

    def stop(self):
        self("rm", "-af", "-t", "0", check=False)
        self("volume", "rm", "-af", check=False)
        shutil.rmtree(self.home, ignore_errors=True)
        remove_cgroups(self.cgroup)
