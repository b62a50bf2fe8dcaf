"""Container instances: an Auto Scaling group as in the demo, tasks on EC2, what draining and scaling do, agents that may not register."""
import base64
import json

import pytest
from berth import WAITING, refusal, wait_until

TRUST_EC2 = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
AGENT_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
IMAGE = "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
INSTANT = 20  # seconds that the simulated start of an instance may take on a busy machine


class Fleet:
    """A cluster with an Auto Scaling group of container instances in a VPC of its own."""

    def __init__(self, cluster, name, desired, managed_policy=AGENT_POLICY, kinds=("m5.large", "t2.medium")):
        self.cluster, self.berth, self.name, self.ecs = cluster, cluster.berth, name, cluster.ecs
        self.iam, self.ec2, self.scaling = (self.berth.client(service) for service in ["iam", "ec2", "autoscaling"])
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST_EC2)
        if managed_policy:
            self.iam.attach_role_policy(RoleName=name, PolicyArn=managed_policy)
        self.iam.create_instance_profile(InstanceProfileName=name)
        self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        self.vpc = self.ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.20.{i}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
                        for i, zone in enumerate(cluster.zones)]
        user_data = base64.b64encode(f"#!/bin/bash\necho ECS_CLUSTER={cluster.name} >> /etc/ecs/ecs.config\n".encode()).decode()
        self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={
            "ImageId": IMAGE, "InstanceType": kinds[0], "IamInstanceProfile": {"Name": name}, "UserData": user_data})
        self.scaling.create_auto_scaling_group(
            AutoScalingGroupName=name, MinSize=0, MaxSize=6, DesiredCapacity=desired, VPCZoneIdentifier=",".join(self.subnets),
            MixedInstancesPolicy={
                "LaunchTemplate": {"LaunchTemplateSpecification": {"LaunchTemplateName": name, "Version": "$Latest"},
                                   "Overrides": [{"InstanceType": kind} for kind in kinds]},
                "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 0, "SpotAllocationStrategy": "lowest-price",
                                          "SpotInstancePools": len(kinds)}})

    def arns(self, **filters):
        return self.ecs.list_container_instances(cluster=self.cluster.name, **filters)["containerInstanceArns"]

    def registered(self, count):
        wait_until(lambda: len(self.arns(status="ACTIVE")) == count, INSTANT)
        return self.described()

    def described(self):
        arns = self.arns()
        return self.ecs.describe_container_instances(cluster=self.cluster.name, containerInstances=arns)["containerInstances"] if arns else []

    def group(self):
        return self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])["AutoScalingGroups"][0]

    def define(self, family, command=tuple(WAITING), **container):
        return self.ecs.register_task_definition(
            family=family, networkMode="awsvpc", requiresCompatibilities=["EC2"],
            containerDefinitions=[{"name": "app", "image": "host", "memory": 128, "cpu": 64, "command": list(command), **container}])[
                "taskDefinition"]["taskDefinitionArn"]

    def network(self, *subnets):
        return {"awsvpcConfiguration": {"subnets": list(subnets) or self.subnets}}

    def run(self, definition, **more):
        return self.ecs.run_task(cluster=self.cluster.name, taskDefinition=definition, networkConfiguration=self.network(), **more)

    def stop_all(self):
        for task in self.ecs.list_tasks(cluster=self.cluster.name)["taskArns"]:
            self.ecs.stop_task(cluster=self.cluster.name, task=task)

    def end(self):
        self.stop_all()
        self.scaling.delete_auto_scaling_group(AutoScalingGroupName=self.name, ForceDelete=True)


def attribute(instance, name):
    return next(a.get("value") for a in instance["attributes"] if a["name"] == name)


def amount(instance, name, which="remainingResources"):
    return next(r["integerValue"] for r in instance[which] if r["name"] == name)


@pytest.fixture
def fleet(cluster, name):
    made = []

    def make(desired, **more):
        made.append(Fleet(cluster, name, desired, **more))
        return made[0]
    yield make
    for fleet in made:
        fleet.end()


def test_the_demos_group_registers_one_of_each_type_in_each_zone(fleet):
    instances = fleet(4).registered(4)
    places = sorted((attribute(i, "ecs.availability-zone"), attribute(i, "ecs.instance-type")) for i in instances)
    assert places == [(zone, kind) for zone in ["us-east-1a", "us-east-1b"] for kind in ["m5.large", "t2.medium"]]
    for instance in instances:
        assert instance["agentConnected"] and instance["status"] == "ACTIVE" and instance["runningTasksCount"] == 0
        assert amount(instance, "CPU") == 2048
        assert 0 < amount(instance, "MEMORY") < (8192 if attribute(instance, "ecs.instance-type") == "m5.large" else 4096)
        assert instance["remainingResources"] == instance["registeredResources"]


def test_the_group_scales_out_and_in_to_what_is_desired(fleet):
    group = fleet(1)
    group.registered(1)
    group.scaling.set_desired_capacity(AutoScalingGroupName=group.name, DesiredCapacity=3)
    group.registered(3)
    assert {i["LifecycleState"] for i in group.group()["Instances"]} == {"InService"}
    group.scaling.set_desired_capacity(AutoScalingGroupName=group.name, DesiredCapacity=1)
    group.registered(1)
    wait_until(lambda: len(group.group()["Instances"]) == 1, INSTANT)
    activities = group.scaling.describe_scaling_activities(AutoScalingGroupName=group.name)["Activities"]
    assert {a["Description"].split()[0] for a in activities} == {"Launching", "Terminating"}
    assert refusal(group.scaling.set_desired_capacity, AutoScalingGroupName=group.name, DesiredCapacity=7)[:2] == ("ValidationError", 400)
    assert refusal(group.scaling.set_desired_capacity, AutoScalingGroupName="no such group", DesiredCapacity=1)[:2] == ("ValidationError", 400)
    assert refusal(group.scaling.delete_auto_scaling_group, AutoScalingGroupName=group.name)[:2] == ("ResourceInUse", 400)


@pytest.mark.parametrize("managed_policy", [None, "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"])
def test_an_agent_whose_role_may_not_register_is_refused_and_says_so(fleet, managed_policy):
    group = fleet(1, managed_policy=managed_policy)
    mine = lambda: [i for i in group.berth.status()["instances_without_agent"] if i["id"] in [g["InstanceId"] for g in group.group()["Instances"]]]
    why = wait_until(lambda: next((i["why"] for i in mine() if "unable to register" in i["why"]), None), INSTANT)
    assert "AccessDeniedException" in why and "ecs:RegisterContainerInstance" in why and f"assumed-role/{group.name}/i-" in why
    assert group.arns() == []
    assert group.group()["Instances"][0]["LifecycleState"] == "InService", "to EC2 the machine is well"


def test_an_instance_without_a_profile_says_that_it_has_no_credentials(berth, cluster, name):
    ec2 = berth.client("ec2")
    [made] = ec2.run_instances(ImageId=IMAGE, InstanceType="m5.large", MinCount=1, MaxCount=1)["Instances"]
    why = wait_until(lambda: next((i["why"] for i in berth.status()["instances_without_agent"]
                                   if i["id"] == made["InstanceId"] and "NoCredentialProviders" in i["why"]), None), INSTANT)
    assert "no instance profile" in why
    assert made["SubnetId"] == berth.status()["zones"][0]["default_subnet"], "no subnet was named"
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])


def test_a_zone_without_a_default_subnet_is_named(berth):
    code, status, message = refusal(berth.client("ec2").run_instances, ImageId=IMAGE, InstanceType="m5.large", MinCount=1, MaxCount=1,
                                    Placement={"AvailabilityZone": "us-east-1z"})
    assert (code, status) == ("MissingInput", 400) and "us-east-1z" in message


def test_a_task_takes_its_share_of_an_instance_and_gives_it_back(fleet, name):
    group = fleet(1, kinds=("m5.large",))
    [before] = group.registered(1)
    answer = group.run(group.define(name))
    assert answer["failures"] == [] and answer["tasks"][0]["containerInstanceArn"] == before["containerInstanceArn"]
    assert answer["tasks"][0]["launchType"] == "EC2"
    [during] = group.described()
    assert amount(before, "CPU") - amount(during, "CPU") == 64 and amount(before, "MEMORY") - amount(during, "MEMORY") == 128
    task = answer["tasks"][0]["taskArn"]
    group.cluster.running(task)
    assert group.described()[0]["runningTasksCount"] == 1
    assert group.ecs.list_tasks(cluster=group.cluster.name, containerInstance=before["containerInstanceArn"])["taskArns"] == [task]
    group.ecs.stop_task(cluster=group.cluster.name, task=task)
    group.cluster.stopped(task)
    assert group.described()[0]["remainingResources"] == before["remainingResources"]


@pytest.mark.parametrize("container, reason", [({"memory": 30000}, "RESOURCE:MEMORY"), ({"cpu": 4096}, "RESOURCE:CPU")])
def test_what_does_not_fit_is_a_failure_with_the_resource(fleet, name, container, reason):
    group = fleet(1, kinds=("m5.large",))
    [instance] = group.registered(1)
    answer = group.run(group.define(name, **container))
    assert answer["tasks"] == []
    assert [(f["reason"], f["arn"]) for f in answer["failures"]] == [(reason, instance["containerInstanceArn"])]


def test_network_interfaces_run_out_before_memory_does(fleet, name):
    """An m5.large has three, one of which is its own."""
    group = fleet(1, kinds=("m5.large",))
    group.registered(1)
    answer = group.run(group.define(name), count=3)
    assert len(answer["tasks"]) == 2 and [f["reason"] for f in answer["failures"]] == ["RESOURCE:ENI"]


def test_a_constraint_that_no_instance_meets_is_a_failure(fleet, name):
    group = fleet(1, kinds=("m5.large",))
    group.registered(1)
    answer = group.run(group.define(name), placementConstraints=[{"type": "memberOf", "expression": "attribute:ecs.instance-type == t2.medium"}])
    assert answer["tasks"] == [] and "MemberOf" in answer["failures"][0]["reason"]
    code, status, _ = refusal(group.run, group.define(name), placementConstraints=[{"type": "memberOf", "expression": "attribute:x =="}])
    assert (code, status) == ("InvalidParameterException", 400)


def test_start_task_uses_the_instance_that_it_is_told(fleet, name):
    group = fleet(2, kinds=("m5.large",))
    instances = group.registered(2)
    for instance in instances:
        subnet = group.subnets[group.cluster.zones.index(attribute(instance, "ecs.availability-zone"))]
        answer = group.ecs.start_task(cluster=group.cluster.name, taskDefinition=group.define(name), containerInstances=[instance["containerInstanceArn"]],
                                      networkConfiguration=group.network(subnet))
        assert answer["failures"] == []
        assert answer["tasks"][0]["containerInstanceArn"] == instance["containerInstanceArn"]
    unknown = instances[0]["containerInstanceArn"].rsplit("/", 1)[0] + "/" + "0" * 32
    answer = group.ecs.start_task(cluster=group.cluster.name, taskDefinition=name, containerInstances=[unknown], networkConfiguration=group.network())
    assert answer["tasks"] == [] and [(f["arn"], f["reason"]) for f in answer["failures"]] == [(unknown, "MISSING")]


def test_a_draining_instance_gets_no_new_task(fleet, name):
    group = fleet(1, kinds=("m5.large",))
    [instance] = group.registered(1)
    arn = instance["containerInstanceArn"]
    answer = group.ecs.update_container_instances_state(cluster=group.cluster.name, containerInstances=[arn, "0" * 32], status="DRAINING")
    assert [i["status"] for i in answer["containerInstances"]] == ["DRAINING"]
    assert [f["reason"] for f in answer["failures"]] == ["MISSING"]
    assert group.arns(status="DRAINING") == [arn] and group.arns(status="ACTIVE") == []
    answer = group.run(group.define(name))
    assert answer["tasks"] == [] and "DRAINING" in answer["failures"][0]["detail"]
    group.ecs.update_container_instances_state(cluster=group.cluster.name, containerInstances=[arn], status="ACTIVE")
    assert len(group.run(name)["tasks"]) == 1
    assert refusal(group.ecs.delete_cluster, cluster=group.cluster.name)[0] == "ClusterContainsContainerInstancesException"


def test_a_task_dies_with_its_instance(fleet, name):
    group = fleet(1, kinds=("m5.large",))
    [instance] = group.registered(1)
    task = group.run(group.define(name))["tasks"][0]["taskArn"]
    group.cluster.running(task)
    group.ec2.terminate_instances(InstanceIds=[instance["ec2InstanceId"]])
    ended = group.cluster.stopped(task)
    assert ended["stopCode"] == "TerminationNotice" or "Host EC2" in ended["stoppedReason"], ended["stoppedReason"]


def test_container_instances_are_tagged_and_filtered(fleet):
    group = fleet(2)
    group.registered(2)
    zone_a = group.arns(filter="attribute:ecs.availability-zone == us-east-1a")
    assert len(zone_a) == 1
    group.ecs.tag_resource(resourceArn=zone_a[0], tags=[{"key": "a", "value": "1"}])
    [found] = group.ecs.describe_container_instances(cluster=group.cluster.name, containerInstances=zone_a, include=["TAGS"])["containerInstances"]
    assert {"key": "a", "value": "1"} in found["tags"]
    assert refusal(group.ecs.list_container_instances, cluster=group.cluster.name, filter="nonsense ==")[0] == "InvalidParameterException"


def test_a_group_needs_what_it_names(berth, name):
    scaling = berth.client("autoscaling")
    make = lambda **more: refusal(scaling.create_auto_scaling_group, **{"AutoScalingGroupName": name, "MinSize": 0, "MaxSize": 1, **more})[:2]
    zone = berth.status()["zones"][0]["default_subnet"]
    template = {"LaunchTemplateName": name + "-unknown", "Version": "$Latest"}
    assert make(VPCZoneIdentifier=zone) == ("ValidationError", 400)
    assert make(VPCZoneIdentifier=zone, LaunchTemplate=template) == ("ValidationError", 400)
    assert make(VPCZoneIdentifier="subnet-0123456789abcdef0", LaunchTemplate=template) == ("ValidationError", 400)
    assert scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"] == []


# EC2


def test_the_network_of_a_region_is_there_and_can_be_made(berth):
    ec2 = berth.client("ec2")
    assert [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]] == ["us-east-1a", "us-east-1b"]
    [default] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    assert {s["AvailabilityZone"] for s in ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [default["VpcId"]]}])["Subnets"]} == {
        "us-east-1a", "us-east-1b"}
    vpc = ec2.create_vpc(CidrBlock="10.30.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "x"}]}])["Vpc"]
    assert vpc["Tags"] == [{"Key": "Name", "Value": "x"}]
    subnet = ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.30.1.0/24")["Subnet"]
    assert subnet["AvailableIpAddressCount"] == 251, "AWS keeps five addresses of every subnet"
    assert refusal(ec2.create_subnet, VpcId=vpc["VpcId"], CidrBlock="10.30.1.128/25")[:2] == ("InvalidSubnet.Conflict", 400)
    assert refusal(ec2.create_subnet, VpcId=vpc["VpcId"], CidrBlock="10.99.0.0/24")[:2] == ("InvalidSubnet.Range", 400)
    assert refusal(ec2.create_subnet, VpcId="vpc-0123456789abcdef0", CidrBlock="10.30.2.0/24")[:2] == ("InvalidVpcID.NotFound", 400)
    assert refusal(ec2.delete_vpc, VpcId=vpc["VpcId"])[:2] == ("DependencyViolation", 400)
    ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=vpc["VpcId"])
    assert refusal(ec2.describe_vpcs, VpcIds=[vpc["VpcId"]])[:2] == ("InvalidVpcID.NotFound", 400)
    assert refusal(ec2.create_vpc, CidrBlock="10.30.0.0/16", DryRun=True)[0] == "DryRunOperation"


def test_an_operation_of_ec2_that_is_not_built_says_so(berth):
    code, status, message = refusal(berth.client("ec2").create_internet_gateway)
    assert (code, status) == ("NotImplemented", 501) and "CreateInternetGateway" in message
    code, status, message = refusal(berth.client("ec2").create_volume, AvailabilityZone="us-east-1a", Size=1)
    assert (code, status) == ("InvalidAction", 400) and "CreateVolume" in message, "not even in the table"


def test_the_aws_cli_speaks_the_query_protocols(berth):
    assert berth.aws("ec2", "describe-subnets")["Subnets"]
    assert berth.aws("autoscaling", "describe-auto-scaling-groups")["AutoScalingGroups"] is not None
    failed = berth.aws("ec2", "describe-subnets", "--subnet-ids", "subnet-0123456789abcdef0", check=False)
    assert failed.returncode == 254 and "(InvalidSubnetID.NotFound)" in failed.stderr
