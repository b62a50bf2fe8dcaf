"""The daemon under measurement: starting it, calling it, running tasks on it."""
import base64
import http.client
import json
import os
import subprocess
import time

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ECS_TARGET = "AmazonEC2ContainerServiceV20141113."


class Berth:
    """A daemon on a state directory of its own. Calls to ECS go without an SDK: its own time would be measured too."""

    def __init__(self, build, state):
        self.program = str(build / "broker" / "berth")
        self.state = state
        self.environment = {**os.environ, "BERTH_STATE_DIR": str(state), "AWS_EC2_METADATA_DISABLED": "true"}

    def command(self, *words):
        done = subprocess.run([self.program, *words], env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"berth {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def up(self):
        """Seconds from `berth up` to its first answered call, the command that tells the credentials among them."""
        begun = time.monotonic()
        # A task's endpoint allows 40 requests a second, as the agent's does: here the limit would be all that is measured.
        self.command("up", "--listen", "127.0.0.1:0", "--", "--metadata-steady", "0")
        self.exports = json.loads(self.command("env", "--json"))
        self.host = self.exports["AWS_ENDPOINT_URL"].removeprefix("http://")
        self.connection = http.client.HTTPConnection(self.host)
        key = Credentials(self.exports["AWS_ACCESS_KEY_ID"], self.exports["AWS_SECRET_ACCESS_KEY"])
        self.signer = SigV4Auth(key, "ecs", self.exports["AWS_REGION"])
        self.call("ListClusters")
        return time.monotonic() - begun

    def down(self):
        subprocess.run([self.program, "down"], env=self.environment, capture_output=True)

    def status(self):
        return json.loads(self.command("status", "--json"))

    def call(self, operation, **members):
        request = AWSRequest("POST", f"http://{self.host}/", data=json.dumps(members),
                             headers={"X-Amz-Target": ECS_TARGET + operation, "Content-Type": "application/x-amz-json-1.1"})
        self.signer.add_auth(request)
        self.connection.request("POST", "/", request.data, dict(request.headers))
        response = self.connection.getresponse()
        answer = json.loads(response.read())
        if response.status != 200:
            raise SystemExit(f"{operation}: {answer}")
        return answer

    def client(self, service):
        return boto3.client(service, endpoint_url=self.exports["AWS_ENDPOINT_URL"], region_name=self.exports["AWS_REGION"],
                            aws_access_key_id=self.exports["AWS_ACCESS_KEY_ID"],
                            aws_secret_access_key=self.exports["AWS_SECRET_ACCESS_KEY"])

    # --- what tasks need

    def prepare(self):
        self.call("CreateCluster", clusterName="bench")
        self.subnet = self.status()["zones"][0]["default_subnet"]
        efs = self.client("efs")
        self.file_system = efs.create_file_system(CreationToken="bench")["FileSystemId"]
        while efs.describe_file_systems(FileSystemId=self.file_system)["FileSystems"][0]["LifeCycleState"] != "available":
            time.sleep(0.02)
        efs.create_mount_target(FileSystemId=self.file_system, SubnetId=self.subnet)
        self.add_instance()

    def add_instance(self):
        """A container instance: what compares directories has volumes of the host, which Fargate does not allow."""
        iam = self.client("iam")
        self.make_role("instance", "ec2.amazonaws.com")
        iam.attach_role_policy(RoleName="instance",
                               PolicyArn="arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role")
        iam.create_instance_profile(InstanceProfileName="instance")
        iam.add_role_to_instance_profile(InstanceProfileName="instance", RoleName="instance")
        user_data = base64.b64encode(b"#!/bin/sh\necho ECS_CLUSTER=bench >> /etc/ecs/ecs.config\n").decode()
        self.client("ec2").create_launch_template(LaunchTemplateName="bench", LaunchTemplateData={
            "ImageId": "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id",
            "InstanceType": "m5.xlarge", "IamInstanceProfile": {"Name": "instance"}, "UserData": user_data})
        self.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName="bench", MinSize=1, MaxSize=1, DesiredCapacity=1, VPCZoneIdentifier=self.subnet,
            LaunchTemplate={"LaunchTemplateName": "bench", "Version": "$Latest"})
        deadline = time.monotonic() + 30
        while not self.call("ListContainerInstances", cluster="bench", status="ACTIVE")["containerInstanceArns"]:
            if time.monotonic() > deadline:
                raise SystemExit("no container instance registered itself within 30 seconds")
            time.sleep(0.05)

    def make_role(self, name, service):
        trust = {"Version": "2012-10-17",
                 "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}
        return self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]

    def define(self, command, image="host", volumes=(), efs=False, role=None):
        """A task definition; `volumes` are (name, path of the host), mounted at /name, the share at /berth."""
        names = [name for name, _ in volumes]
        members = {"volumes": [{"name": name, "host": {"sourcePath": str(path)}} for name, path in volumes]}
        if efs:
            names.append("berth")
            members["volumes"].append({"name": "berth", "efsVolumeConfiguration": {"fileSystemId": self.file_system,
                                                                                   "transitEncryption": "ENABLED"}})
        if role:
            members["taskRoleArn"] = role
        container = {"name": "app", "image": image, "command": command,
                     "mountPoints": [{"sourceVolume": name, "containerPath": f"/{name}"} for name in names]}
        return self.call("RegisterTaskDefinition", family="bench", networkMode="awsvpc", cpu="2048", memory="8192",
                         containerDefinitions=[container], **members)["taskDefinition"]["taskDefinitionArn"]

    def start(self, definition):
        answer = self.call("RunTask", cluster="bench", taskDefinition=definition, launchType="EC2",
                           networkConfiguration={"awsvpcConfiguration": {"subnets": [self.subnet]}})
        if answer["failures"]:
            raise SystemExit(f"RunTask: {answer['failures']}")
        return answer["tasks"][0]["taskArn"]

    def wait(self, task, state):
        while True:
            found = self.call("DescribeTasks", cluster="bench", tasks=[task])["tasks"][0]
            if found["lastStatus"] == state:
                return found
            if found["lastStatus"] == "STOPPED":
                raise SystemExit(f"the task stopped: {found.get('stoppedReason')}\n{self.command('logs', task)}")
            time.sleep(0.003)

    def stop(self, task):
        self.call("StopTask", cluster="bench", task=task)
        self.wait(task, "STOPPED")

    def run(self, definition):
        """What a task printed; it has to end well."""
        task = self.start(definition)
        ended = self.wait(task, "STOPPED")
        output = self.command("logs", task)
        if ended["containers"][0].get("exitCode") != 0:
            raise SystemExit(f"a task failed: {ended.get('stoppedReason')}\n{output}")
        return output
