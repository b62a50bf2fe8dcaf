"""EFS as boto3 sees it: tokens, states, mount targets, access points, policies, and each error's code and status."""
import json

import botocore.exceptions
import pytest
from berth import refusal, wait_until

UNKNOWN_FILE_SYSTEM = "fs-0123456789abcdef0"


@pytest.fixture
def efs(berth):
    return berth.client("efs", validate=False)


@pytest.fixture
def file_system(efs, name):
    made = efs.create_file_system(CreationToken=name)["FileSystemId"]
    available(efs, made)
    return made


def available(efs, file_system):
    return wait_until(lambda: efs.describe_file_systems(FileSystemId=file_system)["FileSystems"][0]["LifeCycleState"] == "available")


def subnet(berth, zone=0):
    return berth.status()["zones"][zone]["default_subnet"]


# File systems


def test_a_file_system_is_made_described_updated_and_deleted(berth, efs, name):
    made = efs.create_file_system(CreationToken=name, Encrypted=True, PerformanceMode="generalPurpose", ThroughputMode="bursting",
                                  Tags=[{"Key": "Name", "Value": "mine"}])
    assert made["LifeCycleState"] == "creating" and made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["Name"] == "mine" and made["NumberOfMountTargets"] == 0 and made["Encrypted"] is True
    assert made["FileSystemArn"] == f"arn:aws:elasticfilesystem:us-east-1:{made['OwnerId']}:file-system/{made['FileSystemId']}"
    available(efs, made["FileSystemId"])
    [found] = efs.describe_file_systems(CreationToken=name)["FileSystems"]
    assert {k: v for k, v in found.items() if k not in ("LifeCycleState", "SizeInBytes")} == {
        k: v for k, v in made.items() if k not in ("LifeCycleState", "SizeInBytes", "ResponseMetadata")}
    changed = efs.update_file_system(FileSystemId=made["FileSystemId"], ThroughputMode="provisioned", ProvisionedThroughputInMibps=8)
    assert (changed["ThroughputMode"], changed["ProvisionedThroughputInMibps"]) == ("provisioned", 8)
    assert efs.delete_file_system(FileSystemId=made["FileSystemId"])["ResponseMetadata"]["HTTPStatusCode"] == 204
    wait_until(lambda: efs.describe_file_systems(CreationToken=name)["FileSystems"] == [])
    assert refusal(efs.describe_file_systems, FileSystemId=made["FileSystemId"])[:2] == ("FileSystemNotFound", 404)


def test_a_creation_token_makes_one_file_system(efs, name):
    made = efs.create_file_system(CreationToken=name)
    with pytest.raises(efs.exceptions.FileSystemAlreadyExists) as error:
        efs.create_file_system(CreationToken=name)
    assert error.value.response["FileSystemId"] == made["FileSystemId"], "who tries again learns the id"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert len(efs.describe_file_systems(CreationToken=name)["FileSystems"]) == 1


@pytest.mark.parametrize("bad, code, status", [
    ({"ThroughputMode": "provisioned"}, "BadRequest", 400),
    ({"ProvisionedThroughputInMibps": 8}, "BadRequest", 400),
    ({"KmsKeyId": "alias/x"}, "BadRequest", 400),
    ({"PerformanceMode": "fast"}, "BadRequest", 400),
    ({"AvailabilityZoneName": "us-east-1z"}, "UnsupportedAvailabilityZone", 400),
    ({"Tags": [{"Key": "aws:x", "Value": "1"}]}, "BadRequest", 400),
])
def test_a_file_system_that_cannot_be_is_refused(efs, name, bad, code, status):
    assert refusal(efs.create_file_system, CreationToken=name, **bad)[:2] == (code, status)
    assert efs.describe_file_systems(CreationToken=name)["FileSystems"] == []


def test_file_systems_come_in_pages(efs, name):
    made = {efs.create_file_system(CreationToken=f"{name}-{i}")["FileSystemId"] for i in range(4)}
    listed = [fs["FileSystemId"] for page in efs.get_paginator("describe_file_systems").paginate(PaginationConfig={"PageSize": 3})
              for fs in page["FileSystems"]]
    assert made <= set(listed) and len(listed) == len(set(listed))


def test_a_file_system_in_use_stays(berth, efs, file_system):
    target = efs.create_mount_target(FileSystemId=file_system, SubnetId=subnet(berth))
    assert refusal(efs.delete_file_system, FileSystemId=file_system)[:2] == ("FileSystemInUse", 409)
    efs.delete_mount_target(MountTargetId=target["MountTargetId"])
    wait_until(lambda: efs.describe_mount_targets(FileSystemId=file_system)["MountTargets"] == [])
    efs.delete_file_system(FileSystemId=file_system)


# Mount targets


def test_a_mount_target_has_an_address_and_an_interface_of_the_subnet(berth, efs, file_system):
    made = efs.create_mount_target(FileSystemId=file_system, SubnetId=subnet(berth, 1))
    assert made["AvailabilityZoneName"] == berth.status()["zones"][1]["name"]
    wait_until(lambda: efs.describe_mount_targets(MountTargetId=made["MountTargetId"])["MountTargets"][0]["LifeCycleState"] == "available")
    [interface] = berth.client("ec2").describe_network_interfaces(NetworkInterfaceIds=[made["NetworkInterfaceId"]])["NetworkInterfaces"]
    assert (interface["PrivateIpAddress"], interface["SubnetId"]) == (made["IpAddress"], made["SubnetId"])
    assert efs.describe_file_systems(FileSystemId=file_system)["FileSystems"][0]["NumberOfMountTargets"] == 1
    groups = efs.describe_mount_target_security_groups(MountTargetId=made["MountTargetId"])["SecurityGroups"]
    assert [group["GroupId"] for group in interface["Groups"]] == groups and len(groups) == 1


def test_a_zone_has_one_mount_target_and_all_are_in_one_vpc(berth, efs, file_system):
    efs.create_mount_target(FileSystemId=file_system, SubnetId=subnet(berth))
    assert refusal(efs.create_mount_target, FileSystemId=file_system, SubnetId=subnet(berth))[:2] == ("MountTargetConflict", 409)
    ec2 = berth.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    other = ec2.create_subnet(VpcId=vpc, CidrBlock="10.77.1.0/24", AvailabilityZone=berth.status()["zones"][1]["name"])["Subnet"]["SubnetId"]
    code, status, message = refusal(efs.create_mount_target, FileSystemId=file_system, SubnetId=other)
    assert (code, status) == ("MountTargetConflict", 409) and vpc in message


def test_a_mount_targets_place_and_address_are_checked(berth, efs, file_system):
    zone_a, zone_b = subnet(berth, 0), subnet(berth, 1)
    make = lambda **more: refusal(efs.create_mount_target, **{"FileSystemId": file_system, "SubnetId": zone_a, **more})[:2]
    assert make(FileSystemId=UNKNOWN_FILE_SYSTEM) == ("FileSystemNotFound", 404)
    assert make(SubnetId="subnet-0123456789abcdef0") == ("SubnetNotFound", 400)
    assert make(SecurityGroups=["sg-0123456789abcdef0"]) == ("SecurityGroupNotFound", 400)
    assert make(IpAddress="192.0.2.1") == ("BadRequest", 400)
    assert make(IpAddress="not one") == ("BadRequest", 400)
    taken = efs.create_mount_target(FileSystemId=file_system, SubnetId=zone_b)["IpAddress"]
    other = efs.create_file_system(CreationToken=file_system + "-other")["FileSystemId"]
    available(efs, other)
    assert make(FileSystemId=other, SubnetId=zone_b, IpAddress=taken) == ("IpAddressInUse", 409)
    assert refusal(efs.describe_mount_targets)[:2] == ("BadRequest", 400)
    assert refusal(efs.describe_mount_targets, MountTargetId="fsmt-0123456789abcdef0")[:2] == ("MountTargetNotFound", 404)
    assert refusal(efs.delete_mount_target, MountTargetId="fsmt-0123456789abcdef0")[:2] == ("MountTargetNotFound", 404)


def test_a_one_zone_file_system_is_mounted_in_its_zone_only(berth, efs, name):
    zones = berth.status()["zones"]
    made = efs.create_file_system(CreationToken=name, AvailabilityZoneName=zones[0]["name"])
    assert made["AvailabilityZoneName"] == zones[0]["name"]
    available(efs, made["FileSystemId"])
    call = lambda zone: efs.create_mount_target(FileSystemId=made["FileSystemId"], SubnetId=zone["default_subnet"])
    assert refusal(call, zones[1])[:2] == ("AvailabilityZonesMismatch", 400)
    assert call(zones[0])["AvailabilityZoneName"] == zones[0]["name"]


# Access points


def test_an_access_point_keeps_its_identity_and_root(efs, file_system, name):
    root = {"Path": "/a/b", "CreationInfo": {"OwnerUid": 1, "OwnerGid": 2, "Permissions": "0750"}}
    user = {"Uid": 1000, "Gid": 1001, "SecondaryGids": [5, 6]}
    made = efs.create_access_point(ClientToken=name, FileSystemId=file_system, PosixUser=user, RootDirectory=root, Tags=[{"Key": "Name", "Value": "door"}])
    assert (made["PosixUser"], made["RootDirectory"], made["Name"]) == (user, root, "door")
    [found] = efs.describe_access_points(AccessPointId=made["AccessPointId"])["AccessPoints"]
    assert (found["PosixUser"], found["RootDirectory"], found["FileSystemId"]) == (user, root, file_system)
    [again] = efs.describe_access_points(FileSystemId=file_system)["AccessPoints"]
    assert again["AccessPointArn"] == made["AccessPointArn"]
    efs.delete_access_point(AccessPointId=made["AccessPointId"])
    assert refusal(efs.describe_access_points, AccessPointId=made["AccessPointId"])[:2] == ("AccessPointNotFound", 404)


def test_a_client_token_makes_one_access_point(efs, file_system, name):
    made = efs.create_access_point(ClientToken=name, FileSystemId=file_system)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        efs.create_access_point(ClientToken=name, FileSystemId=file_system, PosixUser={"Uid": 1, "Gid": 1})
    assert error.value.response["Error"]["Code"] == "AccessPointAlreadyExists"
    assert error.value.response["AccessPointId"] == made["AccessPointId"]
    assert len(efs.describe_access_points(FileSystemId=file_system)["AccessPoints"]) == 1


@pytest.mark.parametrize("path", ["relative", "/a/../b", "/a/./b", "/a//b", "/a/b/c/d/e", "/" + "x" * 101, ""])
def test_a_root_directory_that_could_leave_the_file_system_is_refused(efs, file_system, name, path):
    info = {"OwnerUid": 1, "OwnerGid": 1, "Permissions": "0700"}
    assert refusal(efs.create_access_point, ClientToken=name, FileSystemId=file_system, RootDirectory={"Path": path, "CreationInfo": info})[:2] == (
        "BadRequest", 400)
    assert efs.describe_access_points(FileSystemId=file_system)["AccessPoints"] == []


def test_other_mistakes_of_an_access_point_are_refused(efs, file_system, name):
    make = lambda **more: refusal(efs.create_access_point, **{"ClientToken": name, "FileSystemId": file_system, **more})[:2]
    assert make(FileSystemId=UNKNOWN_FILE_SYSTEM) == ("FileSystemNotFound", 404)
    assert make(PosixUser={"Uid": -1, "Gid": 1}) == ("BadRequest", 400)
    assert make(PosixUser={"Uid": 2 ** 32, "Gid": 1}) == ("BadRequest", 400)
    assert make(RootDirectory={"Path": "/x", "CreationInfo": {"OwnerUid": 1, "OwnerGid": 1, "Permissions": "rwx"}}) == ("BadRequest", 400)
    assert refusal(efs.describe_access_points, FileSystemId=UNKNOWN_FILE_SYSTEM)[:2] == ("FileSystemNotFound", 404)
    assert refusal(efs.delete_access_point, AccessPointId="fsap-0123456789abcdef0")[:2] == ("AccessPointNotFound", 404)


# Policies


def statement(efs, file_system, **more):
    arn = efs.describe_file_systems(FileSystemId=file_system)["FileSystems"][0]["FileSystemArn"]
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "elasticfilesystem:ClientMount", "Resource": arn, **more}]})


def test_a_file_system_policy_is_put_read_and_taken_away(efs, file_system):
    assert refusal(efs.describe_file_system_policy, FileSystemId=file_system)[:2] == ("PolicyNotFound", 404)
    document = statement(efs, file_system, Condition={"Bool": {"aws:SecureTransport": "true"}})
    assert json.loads(efs.put_file_system_policy(FileSystemId=file_system, Policy=document)["Policy"]) == json.loads(document)
    assert json.loads(efs.describe_file_system_policy(FileSystemId=file_system)["Policy"]) == json.loads(document)
    efs.delete_file_system_policy(FileSystemId=file_system)
    assert refusal(efs.describe_file_system_policy, FileSystemId=file_system)[:2] == ("PolicyNotFound", 404)


@pytest.mark.parametrize("what, more", [
    ("an operator that Berth does not know", {"Condition": {"NoSuchOperator": {"aws:SecureTransport": "true"}}}),
    ("a condition key that is no key", {"Condition": {"StringEquals": {"nonsense": "x"}}}),
    ("an action of another service", {"Action": "s3:GetObject"}),
    ("another file system", {"Resource": "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-0123456789abcdef0"}),
    ("an effect that is none", {"Effect": "Perhaps"}),
    ("an element that is none", {"Surprise": "x"}),
    ("a principal that is no one", {"Principal": {"AWS": "not an arn"}}),
])
def test_a_policy_that_is_not_understood_is_refused_not_ignored(efs, file_system, what, more):
    code, status, _ = refusal(efs.put_file_system_policy, FileSystemId=file_system, Policy=statement(efs, file_system, **more))
    assert (code, status) == ("InvalidPolicyException", 400), what
    assert refusal(efs.describe_file_system_policy, FileSystemId=file_system)[0] == "PolicyNotFound"


@pytest.mark.parametrize("text", ["{", "[]", "{}", '"x"', '{"Version":"2012-10-17"}'])
def test_a_policy_that_is_no_policy_is_refused(efs, file_system, text):
    assert refusal(efs.put_file_system_policy, FileSystemId=file_system, Policy=text)[:2] == ("InvalidPolicyException", 400)


# Tags and the rest


def test_file_systems_and_access_points_are_tagged_by_id(efs, file_system, name):
    point = efs.create_access_point(ClientToken=name, FileSystemId=file_system)["AccessPointId"]
    for resource in [file_system, point]:
        efs.tag_resource(ResourceId=resource, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
        efs.untag_resource(ResourceId=resource, TagKeys=["b"])
        assert efs.list_tags_for_resource(ResourceId=resource)["Tags"] == [{"Key": "a", "Value": "1"}]
    assert refusal(efs.list_tags_for_resource, ResourceId=UNKNOWN_FILE_SYSTEM)[:2] == ("FileSystemNotFound", 404)
    assert refusal(efs.list_tags_for_resource, ResourceId="fsap-0123456789abcdef0")[:2] == ("AccessPointNotFound", 404)


def test_the_aws_cli_speaks_efs(berth, name):
    made = berth.aws("efs", "create-file-system", "--creation-token", name, "--tags", "Key=Name,Value=cli")
    [found] = berth.aws("efs", "describe-file-systems", "--creation-token", name)["FileSystems"]
    assert (found["FileSystemId"], found["Name"]) == (made["FileSystemId"], "cli")
    failed = berth.aws("efs", "create-file-system", "--creation-token", name, check=False)
    assert failed.returncode == 254 and "(FileSystemAlreadyExists)" in failed.stderr
