"""ECS as boto3 sees it: clusters, task definitions, container instances, failures, tags, tokens. What tasks do is in test_tasks.py."""
import datetime

import pytest
from berth import WAITING, refusal, wait_until

FOREIGN = "arn:aws:ecs:us-east-1:999988887777:"

# One value at least for each member that a container on EC2 can have.
CONTAINER = {
    "name": "app", "image": "host", "repositoryCredentials": {"credentialsParameter": "arn:aws:secretsmanager:us-east-1:123456789012:secret:x"},
    "cpu": 64, "memory": 256, "memoryReservation": 128, "links": ["helper"],
    "portMappings": [{"containerPort": 80, "hostPort": 8080, "protocol": "tcp", "name": "http", "appProtocol": "http"}],
    "essential": True, "entryPoint": ["sh"], "command": ["-c", "true"],
    "environment": [{"name": "A", "value": "1"}, {"name": "EMPTY", "value": ""}],
    "environmentFiles": [{"value": "arn:aws:s3:::bucket/file.env", "type": "s3"}],
    "mountPoints": [{"sourceVolume": "scratch", "containerPath": "/scratch", "readOnly": True}],
    "volumesFrom": [{"sourceContainer": "helper", "readOnly": True}],
    "linuxParameters": {"capabilities": {"add": ["NET_ADMIN"], "drop": ["MKNOD"]},
                        "devices": [{"hostPath": "/dev/null", "containerPath": "/dev/nothing", "permissions": ["read"]}],
                        "initProcessEnabled": True, "sharedMemorySize": 64, "tmpfs": [{"containerPath": "/t", "size": 8, "mountOptions": ["noexec"]}],
                        "maxSwap": 16, "swappiness": 10},
    "secrets": [{"name": "S", "valueFrom": "arn:aws:ssm:us-east-1:123456789012:parameter/s"}],
    "dependsOn": [{"containerName": "helper", "condition": "START"}], "startTimeout": 30, "stopTimeout": 20,
    "hostname": "host-name", "user": "1000:1000", "workingDirectory": "/tmp", "disableNetworking": False, "privileged": False,
    "readonlyRootFilesystem": True, "dnsServers": ["10.0.0.2"], "dnsSearchDomains": ["example.com"],
    "extraHosts": [{"hostname": "db", "ipAddress": "10.0.0.9"}], "dockerSecurityOptions": ["no-new-privileges"],
    "interactive": True, "pseudoTerminal": True, "dockerLabels": {"team": "x", "empty": ""},
    "ulimits": [{"name": "nofile", "softLimit": 1024, "hardLimit": 4096}],
    "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p"},
                         "secretOptions": [{"name": "token", "valueFrom": "arn:aws:ssm:us-east-1:123456789012:parameter/t"}]},
    "healthCheck": {"command": ["CMD-SHELL", "true"], "interval": 10, "timeout": 3, "retries": 2, "startPeriod": 5},
    "systemControls": [{"namespace": "net.core.somaxconn", "value": "512"}],
    "resourceRequirements": [{"value": "1", "type": "GPU"}],
}
HELPER = {"name": "helper", "image": "host", "essential": False, "memory": 32,
          "firelensConfiguration": {"type": "fluentbit", "options": {"enable-ecs-log-metadata": "true"}}}
DEFINITION = {
    "networkMode": "bridge",
    "containerDefinitions": [CONTAINER, HELPER],
    "volumes": [
        {"name": "scratch", "host": {"sourcePath": "/tmp"}},
        {"name": "docker", "dockerVolumeConfiguration": {"scope": "shared", "autoprovision": True, "driver": "local", "driverOpts": {"o": "x"}, "labels": {"l": "1"}}},
        {"name": "efs", "efsVolumeConfiguration": {"fileSystemId": "fs-0123456789abcdef0", "rootDirectory": "/", "transitEncryption": "ENABLED",
                                                   "transitEncryptionPort": 2999,
                                                   "authorizationConfig": {"accessPointId": "fsap-0123456789abcdef0", "iam": "ENABLED"}}},
    ],
    "placementConstraints": [{"type": "memberOf", "expression": "attribute:ecs.instance-type =~ m5.*"}],
    "requiresCompatibilities": ["EC2"], "cpu": "512", "memory": "1024", "pidMode": "task", "ipcMode": "none",
    "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
}


def contains(got, wanted, path="taskDefinition"):
    """Everything that was sent is there; what the service adds is its own affair."""
    if isinstance(wanted, dict):
        for name, value in wanted.items():
            assert name in got, f"{path}.{name} is missing"
            contains(got[name], value, f"{path}.{name}")
    elif isinstance(wanted, list):
        assert len(got) == len(wanted), path
        for i, value in enumerate(wanted):
            contains(got[i], value, f"{path}[{i}]")
    else:
        assert got == wanted, path


@pytest.fixture
def ecs(berth):
    return berth.client("ecs")


def minimal(ecs, family, **more):
    return ecs.register_task_definition(family=family, containerDefinitions=[
        {"name": "app", "image": "host", "memory": 64, "command": ["true"], **more.pop("container", {})}], **more)["taskDefinition"]


# Clusters


def test_a_cluster_is_made_described_listed_and_deleted(ecs, name):
    made = ecs.create_cluster(clusterName=name, tags=[{"key": "team", "value": "x"}], capacityProviders=["FARGATE", "FARGATE_SPOT"],
                              defaultCapacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1, "base": 1}],
                              settings=[{"name": "containerInsights", "value": "enabled"}],
                              configuration={"executeCommandConfiguration": {"logging": "NONE"}})["cluster"]
    assert made["status"] == "ACTIVE" and made["clusterArn"].endswith(f":cluster/{name}")
    [found] = ecs.describe_clusters(clusters=[made["clusterArn"]], include=["TAGS", "SETTINGS", "CONFIGURATIONS", "STATISTICS"])["clusters"]
    assert found["tags"] == [{"key": "team", "value": "x"}]
    assert found["capacityProviders"] == ["FARGATE", "FARGATE_SPOT"]
    assert found["defaultCapacityProviderStrategy"] == [{"capacityProvider": "FARGATE", "weight": 1, "base": 1}]
    assert found["settings"] == [{"name": "containerInsights", "value": "enabled"}]
    assert found["configuration"]["executeCommandConfiguration"]["logging"] == "NONE"
    assert {"runningFargateTasksCount", "pendingEC2TasksCount"} <= {pair["name"] for pair in found["statistics"]}
    assert made["clusterArn"] in ecs.list_clusters()["clusterArns"]
    assert ecs.delete_cluster(cluster=name)["cluster"]["status"] == "INACTIVE"
    assert made["clusterArn"] not in ecs.list_clusters()["clusterArns"]
    assert refusal(ecs.list_tasks, cluster=name)[:2] == ("ClusterNotFoundException", 400)


def test_making_a_cluster_twice_gives_the_one_that_is_there(ecs, name):
    first = ecs.create_cluster(clusterName=name)["cluster"]["clusterArn"]
    assert ecs.create_cluster(clusterName=name)["cluster"]["clusterArn"] == first


def test_an_unknown_cluster_is_a_failure_of_describe_and_an_error_elsewhere(ecs, name):
    answer = ecs.describe_clusters(clusters=[name])
    assert answer["clusters"] == []
    assert [(f["reason"], f["arn"].split("/")[-1]) for f in answer["failures"]] == [("MISSING", name)]
    for call, more in [(ecs.list_tasks, {}), (ecs.list_container_instances, {}), (ecs.delete_cluster, {}), (ecs.run_task, {"taskDefinition": "x"}),
                       (ecs.describe_tasks, {"tasks": ["0" * 32]}), (ecs.stop_task, {"task": "0" * 32})]:
        assert refusal(call, cluster=name, **more)[:2] == ("ClusterNotFoundException", 400), call


def test_a_bad_cluster_name_provider_or_setting_is_refused(ecs, name):
    assert refusal(ecs.create_cluster, clusterName="no spaces")[0] == "InvalidParameterException"
    assert refusal(ecs.create_cluster, clusterName=name, capacityProviders=["NOWHERE"])[0] == "InvalidParameterException"
    assert refusal(ecs.create_cluster, clusterName=name, settings=[{"name": "containerInsights", "value": "maybe"}])[0] == "InvalidParameterException"
    assert ecs.describe_clusters(clusters=[name])["clusters"] == [], "a refused call leaves nothing behind"


def test_pages_of_clusters_hold_each_one_once(ecs, name):
    made = {ecs.create_cluster(clusterName=f"{name}-{i}")["cluster"]["clusterArn"] for i in range(5)}
    pages = list(ecs.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 2}))
    listed = [arn for page in pages for arn in page["clusterArns"]]
    assert all(len(page["clusterArns"]) <= 2 for page in pages)
    assert made <= set(listed) and len(listed) == len(set(listed))
    assert refusal(ecs.list_clusters, nextToken="not one of ours!")[0] == "InvalidParameterException"


# Task definitions


def test_every_parameter_of_a_task_definition_comes_back(berth, ecs, name):
    account = berth.status()["account"]
    roles = {member: f"arn:aws:iam::{account}:role/{member}" for member in ["taskRoleArn", "executionRoleArn"]}
    registered = ecs.register_task_definition(family=name, tags=[{"key": "a", "value": "b"}], **roles, **DEFINITION)
    contains(registered["taskDefinition"], {"family": name, "revision": 1, "status": "ACTIVE", **roles, **DEFINITION})
    assert registered["tags"] == [{"key": "a", "value": "b"}]
    described = ecs.describe_task_definition(taskDefinition=name, include=["TAGS"])
    assert described["taskDefinition"] == registered["taskDefinition"]
    assert described["tags"] == registered["tags"]
    assert isinstance(described["taskDefinition"]["registeredAt"], datetime.datetime)
    assert described["taskDefinition"]["registeredBy"].endswith(":user/berth-admin")


def test_the_parameters_of_fargate_alone_come_back_too(berth, name):
    fargate = {"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "1024", "memory": "2048",
               "ephemeralStorage": {"sizeInGiB": 40}, "pidMode": "task",
               "proxyConfiguration": {"type": "APPMESH", "containerName": "app", "properties": [{"name": "ProxyIngressPort", "value": "15000"}]},
               "volumes": [{"name": "later", "configuredAtLaunch": True}],
               "containerDefinitions": [{"name": "app", "image": "host", "essential": True, "restartPolicy": {"enabled": False}}]}
    registered = berth.ecs_call("RegisterTaskDefinition", family=name, **fargate)[1]["taskDefinition"]
    contains(registered, fargate)
    assert set(registered["compatibilities"]) == {"EC2", "FARGATE"}


def test_revisions_count_up_and_are_never_given_twice(ecs, name):
    assert [minimal(ecs, name)["revision"] for _ in range(3)] == [1, 2, 3]
    assert ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]["revision"] == 3
    assert ecs.describe_task_definition(taskDefinition=f"{name}:2")["taskDefinition"]["revision"] == 2
    gone = ecs.deregister_task_definition(taskDefinition=f"{name}:3")["taskDefinition"]
    assert gone["status"] == "INACTIVE" and "deregisteredAt" in gone
    assert ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]["revision"] == 2, "the latest that is ACTIVE"
    assert minimal(ecs, name)["revision"] == 4


def test_an_inactive_revision_can_be_described_but_not_run(cluster, name):
    minimal(cluster.ecs, name)
    cluster.ecs.deregister_task_definition(taskDefinition=f"{name}:1")
    assert cluster.ecs.describe_task_definition(taskDefinition=f"{name}:1")["taskDefinition"]["status"] == "INACTIVE"
    assert refusal(cluster.ecs.run_task, cluster=cluster.name, taskDefinition=f"{name}:1")[0] in ("InvalidParameterException", "ClientException")
    assert refusal(cluster.ecs.run_task, cluster=cluster.name, taskDefinition=name)[0] == "ClientException"
    listed = cluster.ecs.list_task_definitions(familyPrefix=name, status="INACTIVE")["taskDefinitionArns"]
    assert [arn.split("/")[-1] for arn in listed] == [f"{name}:1"]
    assert cluster.ecs.list_task_definitions(familyPrefix=name)["taskDefinitionArns"] == []
    assert cluster.ecs.list_task_definition_families(familyPrefix=name, status="ACTIVE")["families"] == []
    assert cluster.ecs.list_task_definition_families(familyPrefix=name, status="INACTIVE")["families"] == [name]
    assert cluster.ecs.list_task_definition_families(familyPrefix=name)["families"] == []  # ACTIVE is the default


def test_task_definitions_are_listed_by_number_in_both_directions_and_in_pages(ecs, name):
    for _ in range(11):
        minimal(ecs, name)
    pages = ecs.get_paginator("list_task_definitions")
    numbers = lambda **more: [int(arn.rsplit(":", 1)[1]) for page in pages.paginate(familyPrefix=name, **more) for arn in page["taskDefinitionArns"]]
    assert numbers(PaginationConfig={"PageSize": 4}) == list(range(1, 12))
    assert numbers(sort="DESC", PaginationConfig={"PageSize": 4}) == list(range(11, 0, -1))
    assert refusal(ecs.list_task_definitions, maxResults=101)[0] == "InvalidParameterException"


def test_a_revision_is_deleted_only_after_it_was_deregistered(berth, ecs, name):
    minimal(ecs, name)
    delete = lambda: berth.ecs_call("DeleteTaskDefinitions", taskDefinitions=[f"{name}:1"])[1]
    answer = delete()
    assert answer["taskDefinitions"] == [] and len(answer["failures"]) == 1
    ecs.deregister_task_definition(taskDefinition=f"{name}:1")
    assert delete()["taskDefinitions"][0]["status"] == "DELETE_IN_PROGRESS"


@pytest.mark.parametrize("bad", [
    {"family": "no spaces allowed"},
    {"containerDefinitions": [{"name": "a", "image": "host", "memory": 64}, {"name": "a", "image": "host", "memory": 64}]},
    {"containerDefinitions": [{"name": "a", "image": "host"}]},  # no memory anywhere
    {"containerDefinitions": [{"name": "a", "image": "host", "memory": 64, "essential": False}]},
    {"containerDefinitions": [{"name": "a", "image": "host", "memory": 64, "mountPoints": [{"sourceVolume": "none", "containerPath": "/x"}]}]},
    {"containerDefinitions": [{"name": "a", "image": "host", "memory": 64, "dependsOn": [{"containerName": "a", "condition": "START"}]}]},
    {"requiresCompatibilities": ["FARGATE"], "networkMode": "bridge", "cpu": "256", "memory": "512"},
    {"placementConstraints": [{"type": "memberOf", "expression": "attribute:x =="}]},
])
def test_a_task_definition_that_could_never_run_is_refused_whole(ecs, name, bad):
    definition = {"family": name, "containerDefinitions": [{"name": "a", "image": "host", "memory": 64}], **bad}
    assert refusal(ecs.register_task_definition, **definition)[:2] == ("ClientException", 400)
    assert ecs.list_task_definition_families(familyPrefix=name, status="ALL")["families"] == []


def test_unknown_task_definitions_say_so(ecs, name):
    assert refusal(ecs.describe_task_definition, taskDefinition=name) == ("ClientException", 400, "Unable to describe task definition.")
    assert refusal(ecs.deregister_task_definition, taskDefinition=f"{name}:1")[0] == "ClientException"
    assert refusal(ecs.deregister_task_definition, taskDefinition=f"{name}:x")[0] in ("ClientException", "InvalidParameterException")


# Tasks


def test_run_task_on_ec2_without_instances_says_so(cluster, name):
    code, status, message = refusal(cluster.ecs.run_task, cluster=cluster.name, taskDefinition=minimal(cluster.ecs, name)["taskDefinitionArn"])
    assert (code, status) == ("InvalidParameterException", 400)
    assert message == "No Container Instances were found in your cluster."


def test_a_client_token_starts_its_tasks_once(cluster, name):
    call = {"cluster": cluster.name, "taskDefinition": cluster.define(name, WAITING), "launchType": "FARGATE", "clientToken": name,
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": [cluster.subnets[cluster.zones[0]]]}}}
    _, first = cluster.berth.ecs_call("RunTask", **call)
    _, again = cluster.berth.ecs_call("RunTask", **call)
    assert [t["taskArn"] for t in again["tasks"]] == [t["taskArn"] for t in first["tasks"]] != []
    status, refused = cluster.berth.ecs_call("RunTask", **call, count=2)
    assert (status, refused["__type"].split("#")[-1]) == (400, "ConflictException")
    assert refused["resourceIds"] == [first["tasks"][0]["taskArn"]]
    assert len(cluster.ecs.list_tasks(cluster=cluster.name)["taskArns"]) == 1
    cluster.ecs.stop_task(cluster=cluster.name, task=first["tasks"][0]["taskArn"])


def test_tasks_are_listed_by_family_status_launch_type_and_starter(cluster, name):
    one = cluster.start(cluster.define(name + "-one", WAITING), startedBy="me")
    two = cluster.start(cluster.define(name + "-two", WAITING))
    listed = lambda **filters: set(cluster.ecs.list_tasks(cluster=cluster.name, **filters)["taskArns"])
    assert listed() == {one, two}
    assert listed(family=name + "-one") == listed(startedBy="me") == {one}
    assert listed(launchType="FARGATE") == {one, two} and listed(launchType="EC2") == set()
    assert listed(desiredStatus="STOPPED") == set()
    cluster.ecs.stop_task(cluster=cluster.name, task=one)
    assert listed(desiredStatus="STOPPED") == {one} and listed() == {two}
    cluster.ecs.stop_task(cluster=cluster.name, task=two)
    assert refusal(cluster.ecs.delete_cluster, cluster=cluster.name)[0] == "ClusterContainsTasksException"


def test_an_unknown_task_is_a_failure_and_one_of_another_account_an_error(cluster):
    unknown = "0123456789abcdef" * 2
    answer = cluster.ecs.describe_tasks(cluster=cluster.name, tasks=[unknown])
    assert answer["tasks"] == [] and answer["failures"][0]["reason"] == "MISSING"
    assert answer["failures"][0]["arn"].endswith(f":task/{cluster.name}/{unknown}")
    assert refusal(cluster.ecs.stop_task, cluster=cluster.name, task=unknown)[:2] == ("InvalidParameterException", 400)
    foreign = f"{FOREIGN}task/{cluster.name}/{unknown}"
    code, _, message = refusal(cluster.ecs.describe_tasks, cluster=cluster.name, tasks=[foreign])
    assert code == "InvalidParameterException" and "999988887777" in message
    assert refusal(cluster.ecs.describe_tasks, cluster=cluster.name, tasks=["short"])[0] == "InvalidParameterException"
    assert refusal(cluster.ecs.describe_clusters, clusters=[f"{FOREIGN}cluster/x"])[0] == "InvalidParameterException"
    assert refusal(cluster.ecs.describe_task_definition, taskDefinition=f"{FOREIGN}task-definition/x:1")[0] in ("ClientException", "InvalidParameterException")
    assert refusal(cluster.ecs.list_tags_for_resource, resourceArn=f"{FOREIGN}cluster/x")[:2] == ("AccessDeniedException", 400), "no policy of ours gives another account's"


@pytest.mark.parametrize("more, code", [
    ({"launchType": "FARGATE"}, "InvalidParameterException"),  # no network configuration
    ({"launchType": "FARGATE", "count": 11}, "InvalidParameterException"),
    ({"launchType": "FARGATE", "placementStrategy": [{"type": "random"}]}, "InvalidParameterException"),
    ({"launchType": "FARGATE", "platformVersion": "9.9.9"}, "PlatformUnknownException"),
    ({"launchType": "EXTERNAL"}, "UnsupportedFeatureException"),
    ({"launchType": "FARGATE", "enableExecuteCommand": True}, "UnsupportedFeatureException"),
    ({"launchType": "FARGATE", "overrides": {"containerOverrides": [{"name": "nobody"}]}}, "InvalidParameterException"),
    ({"launchType": "FARGATE", "group": "service:x"}, "InvalidParameterException"),
])
def test_a_call_of_run_task_that_makes_no_sense_starts_nothing(cluster, name, more, code):
    definition = cluster.define(name, ["true"])
    if "placementStrategy" in more or "group" in more:
        more = {**more, "networkConfiguration": {"awsvpcConfiguration": {"subnets": [cluster.subnets[cluster.zones[0]]]}}}
    assert refusal(cluster.ecs.run_task, cluster=cluster.name, taskDefinition=definition, **more)[:2] == (code, 400)
    assert cluster.ecs.list_tasks(cluster=cluster.name)["taskArns"] == []


def test_what_a_task_cannot_have_yet_is_refused_by_name(cluster, name):
    definition = cluster.define(name, ["true"], container={"secrets": [{"name": "S", "valueFrom": "parameter"}]},
                                executionRoleArn=cluster.role(name))
    network = {"awsvpcConfiguration": {"subnets": [cluster.subnets[cluster.zones[0]]]}}
    code, status, message = refusal(cluster.ecs.run_task, cluster=cluster.name, taskDefinition=definition, launchType="FARGATE",
                                    networkConfiguration=network)
    assert (code, status) == ("UnsupportedFeatureException", 400)
    assert "secrets" in message


def test_a_subnet_that_is_not_there_is_refused(cluster, name):
    call = {"cluster": cluster.name, "taskDefinition": cluster.define(name, ["true"]), "launchType": "FARGATE"}
    code, status, message = refusal(cluster.ecs.run_task, **call, networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-0123456789abcdef0"]}})
    assert (code, status) == ("InvalidParameterException", 400)
    assert "subnet-0123456789abcdef0" in message


# Tags


def test_everything_that_carries_tags_can_be_tagged_and_untagged(cluster, name):
    ecs = cluster.ecs
    task = cluster.start(cluster.define(name, WAITING), tags=[{"key": "from", "value": "call"}])
    arns = [ecs.describe_clusters(clusters=[cluster.name])["clusters"][0]["clusterArn"], minimal(ecs, name)["taskDefinitionArn"], task]
    tags = lambda arn: {tag["key"]: tag["value"] for tag in ecs.list_tags_for_resource(resourceArn=arn)["tags"]}
    assert tags(task) == {"from": "call"}
    for arn in arns:
        before = tags(arn)
        ecs.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": ""}])
        ecs.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "2"}])
        assert tags(arn) == {**before, "a": "2", "b": ""}
        ecs.untag_resource(resourceArn=arn, tagKeys=["a", "b", "never there"])
        assert tags(arn) == before
        assert refusal(ecs.tag_resource, resourceArn=arn, tags=[{"key": "aws:x", "value": "1"}])[0] == "InvalidParameterException"
        assert refusal(ecs.tag_resource, resourceArn=arn, tags=[{"key": f"k{i}", "value": ""} for i in range(51)])[0] == "InvalidParameterException"
    ecs.stop_task(cluster=cluster.name, task=task)


def test_a_resource_that_is_not_there_cannot_be_tagged(cluster, name):
    arn = cluster.ecs.describe_clusters(clusters=[cluster.name])["clusters"][0]["clusterArn"].replace(cluster.name, name)
    assert refusal(cluster.ecs.tag_resource, resourceArn=arn, tags=[{"key": "a", "value": "1"}])[0] in ("ClusterNotFoundException", "ResourceNotFoundException")
    assert refusal(cluster.ecs.tag_resource, resourceArn="nonsense", tags=[{"key": "a", "value": "1"}])[0] == "InvalidParameterException"


# The CLI


def test_the_aws_cli_registers_runs_and_waits(cluster, name):
    import json
    definition = {"family": name, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
                  "containerDefinitions": [{"name": "app", "image": "host", "command": ["sh", "-c", "echo by the CLI; exit 3"]}]}
    aws = cluster.berth.aws
    registered = aws("ecs", "register-task-definition", "--cli-input-json", json.dumps(definition))["taskDefinition"]
    started = aws("ecs", "run-task", "--cluster", cluster.name, "--task-definition", f"{name}:{registered['revision']}", "--launch-type", "FARGATE",
                  "--network-configuration", f"awsvpcConfiguration={{subnets=[{cluster.subnets[cluster.zones[0]]}]}}")
    task = started["tasks"][0]["taskArn"]
    wait_until(lambda: cluster.describe(task)["lastStatus"] == "STOPPED")
    aws("ecs", "wait", "tasks-stopped", "--cluster", cluster.name, "--tasks", task)
    ended = aws("ecs", "describe-tasks", "--cluster", cluster.name, "--tasks", task)["tasks"][0]
    assert ended["containers"][0]["exitCode"] == 3
    assert cluster.berth.logs(task) == "by the CLI\n"
    failed = aws("ecs", "describe-task-definition", "--task-definition", name + "-unknown", check=False)
    assert failed.returncode == 254 and "(ClientException)" in failed.stderr
