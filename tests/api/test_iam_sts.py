"""IAM and STS as boto3 sees them: roles, policies, users' keys, and what the credentials of AssumeRole may do."""
import datetime
import json

import pytest
from berth import TRUST_TASKS, allow, policy, refusal


@pytest.fixture
def iam(berth):
    return berth.client("iam", validate=False)


@pytest.fixture
def sts(berth):
    return berth.client("sts", validate=False)


def trust(account):
    return policy({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": ["sts:AssumeRole", "sts:TagSession"]})


@pytest.fixture
def assumed(berth, iam, sts, name):
    """assumed(*statements, **of AssumeRole): a session of a new role; gives client(service)."""
    account = berth.status()["account"]

    def assume(*statements, **more):
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(account))["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=policy(*statements))
        return session(berth, sts.assume_role(RoleArn=arn, RoleSessionName="session", **more)["Credentials"])
    return assume


def session(berth, credentials):
    return lambda service: berth.client(service, credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])


# Roles and policies


def test_a_role_is_made_read_changed_and_deleted(iam, name):
    made = iam.create_role(RoleName=name, Path="/team/", AssumeRolePolicyDocument=TRUST_TASKS, Description="what it is for", MaxSessionDuration=7200,
                           Tags=[{"Key": "team", "Value": "x"}])["Role"]
    assert made["Arn"].endswith(f":role/team/{name}") and made["RoleId"].startswith("AROA")
    found = iam.get_role(RoleName=name)["Role"]
    assert found["AssumeRolePolicyDocument"] == json.loads(TRUST_TASKS)
    assert (found["Description"], found["MaxSessionDuration"], found["Tags"]) == ("what it is for", 7200, [{"Key": "team", "Value": "x"}])
    iam.update_role(RoleName=name, Description="other", MaxSessionDuration=3600)
    assert iam.get_role(RoleName=name)["Role"]["Description"] == "other"
    assert name in [role["RoleName"] for role in iam.list_roles(PathPrefix="/team/")["Roles"]]
    assert refusal(iam.create_role, RoleName=name, AssumeRolePolicyDocument=TRUST_TASKS)[:2] == ("EntityAlreadyExists", 409)
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(allow("ecs:ListClusters")))
    assert refusal(iam.delete_role, RoleName=name)[:2] == ("DeleteConflict", 409)
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    iam.delete_role(RoleName=name)
    assert refusal(iam.get_role, RoleName=name)[:2] == ("NoSuchEntity", 404)


def test_a_managed_policy_has_versions_and_knows_who_it_is_attached_to(iam, name):
    document = json.loads(policy(allow("ecs:ListClusters")))
    made = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))["Policy"]
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST_TASKS)
    iam.attach_role_policy(RoleName=name, PolicyArn=made["Arn"])
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == [{"PolicyName": name, "PolicyArn": made["Arn"]}]
    assert iam.get_policy(PolicyArn=made["Arn"])["Policy"]["AttachmentCount"] == 1
    assert iam.get_policy_version(PolicyArn=made["Arn"], VersionId="v1")["PolicyVersion"]["Document"] == document
    assert iam.create_policy_version(PolicyArn=made["Arn"], PolicyDocument=policy(allow("ecs:*")), SetAsDefault=True)["PolicyVersion"]["VersionId"] == "v2"
    assert {v["VersionId"]: v["IsDefaultVersion"] for v in iam.list_policy_versions(PolicyArn=made["Arn"])["Versions"]} == {"v1": False, "v2": True}
    assert refusal(iam.delete_policy, PolicyArn=made["Arn"])[:2] == ("DeleteConflict", 409)
    iam.detach_role_policy(RoleName=name, PolicyArn=made["Arn"])
    assert refusal(iam.detach_role_policy, RoleName=name, PolicyArn=made["Arn"])[:2] == ("NoSuchEntity", 404)
    iam.delete_policy_version(PolicyArn=made["Arn"], VersionId="v1")
    iam.delete_policy(PolicyArn=made["Arn"])


def test_the_policies_of_aws_that_ecs_needs_are_there(iam, name):
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST_TASKS)
    for policy_name in ["AmazonECSTaskExecutionRolePolicy", "AmazonEC2ContainerServiceforEC2Role"]:
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/service-role/{policy_name}")
    assert refusal(iam.attach_role_policy, RoleName=name, PolicyArn="arn:aws:iam::aws:policy/NoSuchPolicy")[:2] == ("NoSuchEntity", 404)


@pytest.mark.parametrize("document", [
    "{", "[]", '{"Version":"2012-10-17"}',
    policy({"Effect": "Allow", "Action": "ecs:*"}),
    policy({"Effect": "Maybe", "Action": "ecs:*", "Resource": "*"}),
    policy(allow("ecs:*", Condition={"NoSuchOperator": {"aws:username": "x"}})),
    policy(allow("ecs:*", Surprise=1)),
    policy(allow("no colon")),
    policy(allow("ecs:*", Principal="*")),
])
def test_a_policy_that_is_not_understood_is_refused_not_ignored(iam, name, document):
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST_TASKS)
    assert refusal(iam.put_role_policy, RoleName=name, PolicyName="p", PolicyDocument=document)[:2] == ("MalformedPolicyDocument", 400)
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == []
    assert refusal(iam.create_policy, PolicyName=name, PolicyDocument=document)[:2] == ("MalformedPolicyDocument", 400)


def test_a_trust_policy_names_principals_that_exist(iam, name):
    without = policy({"Effect": "Allow", "Action": "sts:AssumeRole"})
    assert refusal(iam.create_role, RoleName=name, AssumeRolePolicyDocument=without)[:2] == ("MalformedPolicyDocument", 400)
    wrong = policy({"Effect": "Allow", "Principal": {"AWS": "nobody"}, "Action": "sts:AssumeRole"})
    assert refusal(iam.create_role, RoleName=name, AssumeRolePolicyDocument=wrong)[:2] == ("MalformedPolicyDocument", 400)


def test_roles_come_in_pages(iam, name):
    for i in range(5):
        iam.create_role(RoleName=f"{name}-{i}", Path=f"/{name}/", AssumeRolePolicyDocument=TRUST_TASKS)
    pages = list(iam.get_paginator("list_roles").paginate(PathPrefix=f"/{name}/", PaginationConfig={"PageSize": 2}))
    assert [len(page["Roles"]) for page in pages] == [2, 2, 1]


def test_an_instance_profile_holds_one_role(iam, name):
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST_TASKS)
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    assert [role["RoleName"] for role in iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]] == [name]
    assert refusal(iam.add_role_to_instance_profile, InstanceProfileName=name, RoleName=name)[:2] == ("LimitExceeded", 409)
    assert refusal(iam.delete_instance_profile, InstanceProfileName=name)[:2] == ("DeleteConflict", 409)


@pytest.mark.parametrize("bad", [{"RoleName": "no spaces"}, {"RoleName": "x" * 65}, {"MaxSessionDuration": 60}, {"AssumeRolePolicyDocument": None}])
def test_parameters_out_of_their_limits_are_validation_errors(iam, name, bad):
    call = {"RoleName": name, "AssumeRolePolicyDocument": TRUST_TASKS, **bad}
    assert refusal(iam.create_role, **{k: v for k, v in call.items() if v is not None})[:2] == ("ValidationError", 400)


def test_a_users_key_speaks_for_the_user_until_it_is_inactive(berth, iam, name):
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    sts = berth.client("sts", key["AccessKeyId"], key["SecretAccessKey"])
    assert sts.get_caller_identity()["Arn"].endswith(f":user/{name}")
    ecs = berth.client("ecs", key["AccessKeyId"], key["SecretAccessKey"])
    assert refusal(ecs.list_clusters)[:2] == ("AccessDeniedException", 400)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(allow("ecs:ListClusters")))
    ecs.list_clusters()
    iam.update_access_key(UserName=name, AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert refusal(sts.get_caller_identity)[:2] == ("InvalidClientTokenId", 403)


# Sessions


def test_the_credentials_of_a_role_are_the_roles(berth, assumed, name):
    client = assumed(allow("ecs:ListClusters"))
    identity = client("sts").get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{identity['Account']}:assumed-role/{name}/session"
    assert identity["UserId"].startswith("AROA") and identity["UserId"].endswith(":session")
    client("ecs").list_clusters()


def test_what_the_role_may_not_is_denied_in_the_form_of_each_protocol(berth, assumed, name):
    client = assumed(allow("ecs:ListClusters"))
    who = f"assumed-role/{name}/session"
    for service, call, code, status, action in [
            ("ecs", lambda c: c.create_cluster(clusterName="x"), "AccessDeniedException", 400, "ecs:CreateCluster"),
            ("efs", lambda c: c.create_file_system(CreationToken="x"), "AccessDeniedException", 403, "elasticfilesystem:CreateFileSystem"),
            ("iam", lambda c: c.list_roles(), "AccessDenied", 403, "iam:ListRoles"),
            ("ec2", lambda c: c.describe_vpcs(), "UnauthorizedOperation", 403, "ec2:DescribeVpcs"),
            ("autoscaling", lambda c: c.describe_auto_scaling_groups(), "AccessDenied", 403, "autoscaling:DescribeAutoScalingGroups")]:
        got_code, got_status, message = refusal(call, client(service))
        assert (got_code, got_status) == (code, status), service
        if service != "ec2":
            assert who in message and action in message, message


def test_a_deny_beats_an_allow_and_says_so(assumed):
    client = assumed(allow("ecs:*"), {"Effect": "Deny", "Action": "ecs:DeleteCluster", "Resource": "*"})
    client("ecs").list_clusters()
    code, _, message = refusal(client("ecs").delete_cluster, cluster="x")
    assert code == "AccessDeniedException" and "explicit deny" in message


def test_a_session_policy_narrows_and_never_widens(assumed):
    client = assumed(allow(["ecs:ListClusters", "ecs:DescribeClusters"]), Policy=policy(allow(["ecs:ListClusters", "iam:ListRoles"])))
    client("ecs").list_clusters()
    code, _, message = refusal(client("ecs").describe_clusters)
    assert code == "AccessDeniedException" and "session policy" in message
    assert refusal(client("iam").list_roles)[0] == "AccessDenied", "the role's own policies do not allow it"


def test_a_managed_policy_can_be_the_session_policy(berth, iam, assumed, name):
    arn = iam.create_policy(PolicyName=name, PolicyDocument=policy(allow("ecs:ListClusters")))["Policy"]["Arn"]
    client = assumed(allow("ecs:*"), PolicyArns=[{"arn": arn}])
    client("ecs").list_clusters()
    assert refusal(client("ecs").describe_clusters)[0] == "AccessDeniedException"


def test_session_tags_need_a_trust_policy_that_allows_them(berth, iam, sts, name):
    only = policy({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{berth.status()['account']}:root"}, "Action": "sts:AssumeRole"})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=only)["Role"]["Arn"]
    sts.assume_role(RoleArn=arn, RoleSessionName="some")
    tags = [{"Key": "team", "Value": "x"}]
    assert refusal(sts.assume_role, RoleArn=arn, RoleSessionName="some", Tags=tags)[:2] == ("AccessDenied", 403)


def test_session_tags_are_in_the_conditions(assumed):
    own = allow("ecs:ListClusters", Condition={"StringEquals": {"aws:PrincipalTag/team": "x"}})
    assert assumed_with(assumed, own, "x")("ecs").list_clusters()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_session_tags_that_do_not_match_give_nothing(assumed):
    own = allow("ecs:ListClusters", Condition={"StringEquals": {"aws:PrincipalTag/team": "x"}})
    assert refusal(assumed_with(assumed, own, "y")("ecs").list_clusters)[0] == "AccessDeniedException"


def assumed_with(assumed, statement, team):
    return assumed(statement, Tags=[{"Key": "team", "Value": team}])


def test_a_role_whose_trust_policy_does_not_name_the_caller_cannot_be_assumed(berth, iam, sts, name):
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST_TASKS)["Role"]["Arn"]
    code, status, message = refusal(sts.assume_role, RoleArn=arn, RoleSessionName="some")
    assert (code, status) == ("AccessDenied", 403) and arn in message
    unknown = refusal(sts.assume_role, RoleArn=arn + "-unknown", RoleSessionName="some")
    assert unknown[:2] == ("AccessDenied", 403), "who may not look learns nothing"


@pytest.mark.parametrize("bad", [{"DurationSeconds": 899}, {"DurationSeconds": 43201}, {"DurationSeconds": 7200}, {"RoleSessionName": "no spaces"},
                                 {"RoleArn": "arn:aws:s3:::bucket-of-someone"}, {"SourceIdentity": "me"}])
def test_assume_role_checks_its_parameters(berth, iam, sts, name, bad):
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(berth.status()["account"]))["Role"]["Arn"]
    assert refusal(sts.assume_role, **{"RoleArn": arn, "RoleSessionName": "some", **bad})[:2] == ("ValidationError", 400)


def test_a_session_ends_when_asked_for(berth, iam, sts, name):
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(berth.status()["account"]))["Role"]["Arn"]
    for seconds in [900, 3600]:
        expires = sts.assume_role(RoleArn=arn, RoleSessionName="some", DurationSeconds=seconds)["Credentials"]["Expiration"]
        left = (expires - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
        assert seconds - 60 < left <= seconds + 1


def test_a_chained_session_lasts_an_hour_at_most(berth, iam, assumed, name):
    client = assumed(allow("sts:AssumeRole"))
    arn = iam.create_role(RoleName=name + "-next", AssumeRolePolicyDocument=trust(berth.status()["account"]), MaxSessionDuration=43200)["Role"]["Arn"]
    assert refusal(client("sts").assume_role, RoleArn=arn, RoleSessionName="some", DurationSeconds=3601)[:2] == ("ValidationError", 400)
    assert client("sts").assume_role(RoleArn=arn, RoleSessionName="next")["AssumedRoleUser"]["Arn"].endswith(f"{name}-next/next")


def test_a_change_of_the_role_holds_for_sessions_that_live(berth, iam, assumed, name):
    client = assumed(allow("ecs:ListClusters"))
    client("ecs").list_clusters()
    iam.delete_role_policy(RoleName=name, PolicyName="may")
    assert refusal(client("ecs").list_clusters)[0] == "AccessDeniedException"
    iam.delete_role(RoleName=name)
    assert refusal(client("ecs").list_clusters)[0] in ("AccessDeniedException", "UnrecognizedClientException")


def test_a_token_goes_with_its_own_key_only(berth, iam, sts, assumed, name):
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(berth.status()["account"]))["Role"]["Arn"]
    one, two = (sts.assume_role(RoleArn=arn, RoleSessionName=s)["Credentials"] for s in ["one", "two"])
    mixed = berth.client("sts", one["AccessKeyId"], one["SecretAccessKey"], two["SessionToken"])
    assert refusal(mixed.get_caller_identity)[1] == 403
    without = berth.client("sts", one["AccessKeyId"], one["SecretAccessKey"])
    assert refusal(without.get_caller_identity)[:2] == ("InvalidClientTokenId", 403)
    cut = berth.client("sts", one["AccessKeyId"], one["SecretAccessKey"], one["SessionToken"][:-4])
    assert refusal(cut.get_caller_identity)[1] == 403


def test_a_request_signed_an_hour_ago_is_refused(berth, monkeypatch):
    """The client's clock is what is turned: botocore signs with the time that it takes from datetime."""
    import botocore.auth
    real = datetime.datetime

    class Past(real):
        @classmethod
        def utcnow(cls):
            return real.utcnow() - datetime.timedelta(hours=1)

        @classmethod
        def now(cls, tz=None):
            return real.now(tz) - datetime.timedelta(hours=1)
    monkeypatch.setattr(botocore.auth.datetime, "datetime", Past)
    code, status, message = refusal(berth.client("sts").get_caller_identity)
    assert (code, status) == ("SignatureDoesNotMatch", 403) and "Signature expired" in message


def test_the_aws_cli_shows_denials_and_documents(berth, iam, name):
    berth.aws("iam", "create-role", "--role-name", name, "--assume-role-policy-document", TRUST_TASKS)
    berth.aws("iam", "put-role-policy", "--role-name", name, "--policy-name", "p", "--policy-document", policy(allow("ecs:*")))
    shown = berth.aws("iam", "get-role-policy", "--role-name", name, "--policy-name", "p")
    assert shown["PolicyDocument"] == json.loads(policy(allow("ecs:*")))
    failed = berth.aws("iam", "get-role", "--role-name", name + "-unknown", check=False)
    assert failed.returncode == 254 and "(NoSuchEntity)" in failed.stderr
