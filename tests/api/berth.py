"""A Berth of its own for a test: started on a free port in a new state directory, driven by real clients, stopped at the end."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions
import botocore.httpsession

BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", "build/dev")).resolve()
BERTH = str(BUILD / "broker" / "berth")
AWS_CLI = "/usr/bin/aws"  # Debian's


class Berth:
    def __init__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="berth-api-"))
        self.state = self.home / "state"
        self.environment = {}

    def up(self, *options):
        # The default place of the plugin's socket is one for the whole machine.
        plugin = () if "--docker-plugin" in options else ("--docker-plugin", "off")
        self.command("up", "--listen", "127.0.0.1:0", *plugin, *options)
        self.environment = json.loads(self.command("env", "--json"))
        return self

    def command(self, *words, check=True, timeout=120, **options):
        """Runs `berth` and gives its standard output; with check=False the finished process."""
        done = subprocess.run([BERTH, *words], capture_output=True, text=True, timeout=timeout,
                              env={**os.environ, "BERTH_STATE_DIR": str(self.state)}, **options)
        if not check:
            return done
        assert done.returncode == 0, f"berth {' '.join(words)}: {done.returncode}: {done.stderr}\n{self.log_tail()}"
        return done.stdout

    def log_tail(self, lines=30):
        log = self.state / "daemon.log"
        return "\n".join(log.read_text().splitlines()[-lines:]) if log.exists() else "(no log)"

    def status(self):
        return json.loads(self.command("status", "--json"))

    def serving(self):
        """The status, once a daemon answers: one that has died is started again meanwhile."""
        return json.loads(wait_until(lambda: self.command("status", "--json", check=False).stdout))

    def kill_daemon(self):
        """And waits for the next one."""
        os.kill(self.serving()["daemon_pid"], signal.SIGKILL)
        self.serving()

    @property
    def endpoint(self):
        return self.environment["AWS_ENDPOINT_URL"]

    def client(self, service, key=None, secret=None, token=None, validate=True):
        """validate=False: boto3 sends what it would refuse itself, so that Berth must."""
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=self.environment["AWS_REGION"],
            aws_access_key_id=key or self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=secret or self.environment["AWS_SECRET_ACCESS_KEY"], aws_session_token=token,
            config=botocore.config.Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=60, parameter_validation=validate))

    def ecs_call(self, operation, **members):
        """A call that Debian's botocore is too old for, signed by it all the same: (HTTP status, answer)."""
        request = botocore.awsrequest.AWSRequest("POST", self.endpoint + "/", data=json.dumps(members), headers={
            "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"AmazonEC2ContainerServiceV20141113.{operation}"})
        keys = botocore.credentials.Credentials(self.environment["AWS_ACCESS_KEY_ID"], self.environment["AWS_SECRET_ACCESS_KEY"])
        botocore.auth.SigV4Auth(keys, "ecs", self.environment["AWS_REGION"]).add_auth(request)
        answer = botocore.httpsession.URLLib3Session().send(request.prepare())
        return answer.status_code, json.loads(answer.content)

    def efs_call(self, method, path, body=None):
        """The same of EFS, below its version's path: (HTTP status, answer, None where it is empty)."""
        request = botocore.awsrequest.AWSRequest(method, f"{self.endpoint}/2015-02-01/{path}", headers={"Content-Type": "application/json"},
                                                 data=None if body is None else json.dumps(body))
        keys = botocore.credentials.Credentials(self.environment["AWS_ACCESS_KEY_ID"], self.environment["AWS_SECRET_ACCESS_KEY"])
        botocore.auth.SigV4Auth(keys, "elasticfilesystem", self.environment["AWS_REGION"]).add_auth(request)
        answer = botocore.httpsession.URLLib3Session().send(request.prepare())
        return answer.status_code, json.loads(answer.content) if answer.content else None

    def aws(self, *words, check=True):
        """Debian's AWS CLI, which is too old for AWS_ENDPOINT_URL."""
        done = subprocess.run([AWS_CLI, "--endpoint-url", self.endpoint, "--output", "json", *words], capture_output=True,
                              text=True, timeout=120, env={"PATH": "/usr/bin:/bin", "AWS_PAGER": "", **self.environment})
        if not check:
            return done
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def logs(self, task):
        return self.command("logs", task)

    def die(self):
        """Daemon and keeper die at once: neither clears up, and no other daemon comes."""
        status = self.status()
        keeper, daemon = status["keeper_pid"], status["daemon_pid"]
        # The other way round the daemon would go on: the kernel wakes stopped processes whose parent has died.
        os.kill(keeper, signal.SIGSTOP)
        wait_until(lambda: state_of(keeper) == "T")
        for pid in (daemon, keeper):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(state_of(pid) for pid in (keeper, daemon)))

    def down(self):
        self.command("down", check=False)
        shutil.rmtree(self.home, ignore_errors=True)


def state_of(pid):
    """The process's state by its letter; nothing where it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


def wait_until(condition, seconds=30):
    """Asks until the answer is true and gives it; the API is what is waited on, so it is asked again."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"still {answer!r} after {seconds} s"
        time.sleep(0.05)


def refusal(call, *arguments, **more):
    """The error that the call is answered with: (code, HTTP status, message). That it is refused is asserted."""
    try:
        answer = call(*arguments, **more)
    except botocore.exceptions.ClientError as error:
        said = error.response["Error"]
        return said["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"], said.get("Message", "")
    raise AssertionError(f"not refused: {answer}")


TRUST_TASKS = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]})


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions, resources="*", **more):
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


# Runs until it is stopped, and ends at the first SIGTERM; a bare `sleep`, as process 1, would hold a stop up for half a minute.
WAITING = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]


class Cluster:
    """A cluster with what a task needs: the default network, a file system with a mount target in each zone."""

    def __init__(self, berth, name):
        self.berth = berth
        self.ecs, self.efs, self.iam = berth.client("ecs"), berth.client("efs"), berth.client("iam")
        self.name = name
        self.ecs.create_cluster(clusterName=name)
        self.subnets = {zone["name"]: zone["default_subnet"] for zone in berth.status()["zones"]}
        self.zones = sorted(self.subnets)

    def file_system(self, zones=None, policy_document=None, tags=None):
        made = self.efs.create_file_system(CreationToken=f"{self.name}-{time.monotonic_ns()}",
                                           Tags=[{"Key": key, "Value": value} for key, value in (tags or {}).items()])
        wait_until(lambda: self.efs.describe_file_systems(FileSystemId=made["FileSystemId"])["FileSystems"][0]["LifeCycleState"] == "available")
        for zone in self.zones if zones is None else zones:
            self.efs.create_mount_target(FileSystemId=made["FileSystemId"], SubnetId=self.subnets[zone])
        if policy_document:
            self.efs.put_file_system_policy(FileSystemId=made["FileSystemId"], Policy=policy_document)
        return made

    def role(self, name, *statements):
        arn = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST_TASKS)["Role"]["Arn"]
        if statements:
            self.iam.put_role_policy(RoleName=name, PolicyName="test", PolicyDocument=policy(*statements))
        return arn

    def define(self, family, command, volume=None, role=None, **more):
        """A task definition with one container `app` of the host's programs; volume: (efsVolumeConfiguration, path)."""
        container = {"name": "app", "image": "host", "essential": True, "command": command, **more.pop("container", {})}
        definition = {"family": family, "networkMode": "awsvpc", "cpu": "256", "memory": "512",
                      "requiresCompatibilities": ["FARGATE"], **more}
        if volume:
            definition["volumes"] = [{"name": "data", "efsVolumeConfiguration": volume[0]}]
            container["mountPoints"] = [{"sourceVolume": "data", "containerPath": volume[1]}]
        if role:
            definition["taskRoleArn"] = role
        return self.ecs.register_task_definition(containerDefinitions=[container], **definition)["taskDefinition"]["taskDefinitionArn"]

    def start(self, definition, zone=None, **more):
        answer = self.ecs.run_task(
            cluster=self.name, taskDefinition=definition, launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": [self.subnets[zone or self.zones[0]]]}}, **more)
        assert not answer["failures"], answer["failures"]
        return answer["tasks"][0]["taskArn"]

    def describe(self, task):
        return self.ecs.describe_tasks(cluster=self.name, tasks=[task])["tasks"][0]

    def stopped(self, task, seconds=60):
        return wait_until(lambda: (lambda t: t if t["lastStatus"] == "STOPPED" else None)(self.describe(task)), seconds)

    def running(self, task, seconds=60):
        def look():
            found = self.describe(task)
            assert found["lastStatus"] != "STOPPED", found.get("stoppedReason")
            return found if found["lastStatus"] == "RUNNING" else None
        return wait_until(look, seconds)

    def run(self, family, command, **more):
        """Runs the command as a task to its end; gives (exit code, output, the task)."""
        zone = more.pop("zone", None)
        task = self.start(self.define(family, command, **more), zone)
        ended = self.stopped(task)
        return ended["containers"][0].get("exitCode"), self.berth.logs(task), ended
