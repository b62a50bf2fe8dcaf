"""EFS's settings of a file system: lifecycle, backup, protection, account preferences; what IAM asks for them."""

import pytest
from berth import allow, policy, refusal

UNKNOWN = "fs-0123456789abcdef0"
RULES = [{"TransitionToIA": "AFTER_30_DAYS"}, {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"}]


@pytest.fixture
def efs(berth):
    return berth.client("efs", validate=False)


@pytest.fixture
def file_system(efs, name):
    return efs.create_file_system(CreationToken=name)["FileSystemId"]


def test_lifecycle_rules_are_put_read_and_taken_away(efs, file_system):
    assert efs.describe_lifecycle_configuration(FileSystemId=file_system)["LifecyclePolicies"] == []
    assert efs.put_lifecycle_configuration(FileSystemId=file_system, LifecyclePolicies=RULES)["LifecyclePolicies"] == RULES
    assert efs.describe_lifecycle_configuration(FileSystemId=file_system)["LifecyclePolicies"] == RULES
    efs.put_lifecycle_configuration(FileSystemId=file_system, LifecyclePolicies=[])
    assert efs.describe_lifecycle_configuration(FileSystemId=file_system)["LifecyclePolicies"] == []
    size = efs.describe_file_systems(FileSystemId=file_system)["FileSystems"][0]["SizeInBytes"]
    assert size["ValueInIA"] == 0, "there is one storage class"


@pytest.mark.parametrize("bad", [
    [{"TransitionToIA": "AFTER_30_DAYS", "TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"}],
    [{"TransitionToIA": "AFTER_30_DAYS"}, {"TransitionToIA": "AFTER_7_DAYS"}],
    [{"TransitionToIA": "AFTER_2_DAYS"}],
    [{}],
    [*RULES, *RULES],
])
def test_lifecycle_rules_that_are_malformed_are_refused(efs, file_system, bad):
    assert refusal(efs.put_lifecycle_configuration, FileSystemId=file_system, LifecyclePolicies=bad)[:2] == ("BadRequest", 400)


def test_the_archive_needs_an_elastic_file_system(berth, efs, file_system, name):
    rules = {"LifecyclePolicies": [{"TransitionToIA": "AFTER_30_DAYS"}, {"TransitionToArchive": "AFTER_90_DAYS"}]}
    status, answer = berth.efs_call("PUT", f"file-systems/{file_system}/lifecycle-configuration", rules)
    assert (status, answer["ErrorCode"]) == (400, "BadRequest") and "elastic" in answer["Message"]
    elastic = efs.create_file_system(CreationToken=name + "-elastic", ThroughputMode="elastic")["FileSystemId"]
    assert berth.efs_call("PUT", f"file-systems/{elastic}/lifecycle-configuration", rules) == (200, rules)


def test_a_backup_policy_is_put_and_read(efs, file_system, name):
    assert refusal(efs.describe_backup_policy, FileSystemId=file_system)[:2] == ("PolicyNotFound", 404)
    assert efs.put_backup_policy(FileSystemId=file_system, BackupPolicy={"Status": "ENABLED"})["BackupPolicy"]["Status"] == "ENABLING"
    assert efs.describe_backup_policy(FileSystemId=file_system)["BackupPolicy"]["Status"] == "ENABLED"
    assert refusal(efs.put_backup_policy, FileSystemId=file_system, BackupPolicy={"Status": "ENABLING"})[:2] == ("BadRequest", 400)
    assert refusal(efs.put_backup_policy, FileSystemId=file_system, BackupPolicy={})[:2] == ("BadRequest", 400)
    made = efs.create_file_system(CreationToken=name + "-backup", Backup=True)["FileSystemId"]
    assert efs.describe_backup_policy(FileSystemId=made)["BackupPolicy"]["Status"] == "ENABLED"


def test_ids_are_long_and_stay_so(efs):
    preference = {"ResourceIdType": "LONG_ID", "Resources": ["FILE_SYSTEM", "MOUNT_TARGET"]}
    assert efs.describe_account_preferences()["ResourceIdPreference"] == preference
    assert efs.put_account_preferences(ResourceIdType="LONG_ID")["ResourceIdPreference"] == preference
    assert refusal(efs.put_account_preferences, ResourceIdType="SHORT_ID")[:2] == ("BadRequest", 400)
    assert refusal(efs.put_account_preferences, ResourceIdType="NO_ID")[:2] == ("BadRequest", 400)


def test_protection_is_taken_away_and_given_back(berth, efs, file_system):
    path = f"file-systems/{file_system}/protection"
    for wish in ["DISABLED", "DISABLED", "ENABLED"]:
        assert berth.efs_call("PUT", path, {"ReplicationOverwriteProtection": wish}) == (200, {"ReplicationOverwriteProtection": wish})
        _, answer = berth.efs_call("GET", f"file-systems?FileSystemId={file_system}")
        assert answer["FileSystems"][0]["FileSystemProtection"] == {"ReplicationOverwriteProtection": wish}
    for wish in [{"ReplicationOverwriteProtection": "REPLICATING"}, {"ReplicationOverwriteProtection": "PERHAPS"}, {}]:
        status, answer = berth.efs_call("PUT", path, wish)
        assert (status, answer["ErrorCode"]) == (400, "BadRequest")
    status, answer = berth.efs_call("PUT", f"file-systems/{UNKNOWN}/protection", {"ReplicationOverwriteProtection": "DISABLED"})
    assert (status, answer["ErrorCode"]) == (404, "FileSystemNotFound")


def test_a_file_system_that_is_not_there_is_not_found_by_any_of_them(efs):
    for call, more in [(efs.describe_lifecycle_configuration, {}), (efs.put_lifecycle_configuration, {"LifecyclePolicies": []}),
                       (efs.describe_backup_policy, {}), (efs.put_backup_policy, {"BackupPolicy": {"Status": "ENABLED"}}),
                       (efs.describe_replication_configurations, {})]:
        assert refusal(call, FileSystemId=UNKNOWN, **more)[:2] == ("FileSystemNotFound", 404)
    for call, more in [(efs.create_replication_configuration, {"Destinations": [{}]}), (efs.delete_replication_configuration, {})]:
        assert refusal(call, SourceFileSystemId=UNKNOWN, **more)[:2] == ("FileSystemNotFound", 404)


def test_each_setting_asks_for_its_own_action(berth, efs, file_system, name):
    iam = berth.client("iam")
    iam.create_user(UserName=name)
    keys = iam.create_access_key(UserName=name)["AccessKey"]
    mine = berth.client("efs", keys["AccessKeyId"], keys["SecretAccessKey"])
    arn = efs.describe_file_systems(FileSystemId=file_system)["FileSystems"][0]["FileSystemArn"]
    calls = {"PutLifecycleConfiguration": lambda: mine.put_lifecycle_configuration(FileSystemId=file_system, LifecyclePolicies=RULES),
             "DescribeLifecycleConfiguration": lambda: mine.describe_lifecycle_configuration(FileSystemId=file_system),
             "PutBackupPolicy": lambda: mine.put_backup_policy(FileSystemId=file_system, BackupPolicy={"Status": "ENABLED"}),
             "DescribeBackupPolicy": lambda: mine.describe_backup_policy(FileSystemId=file_system)}
    for action, call in calls.items():
        code, status, message = refusal(call)
        assert (code, status) == ("AccessDeniedException", 403) and f"elasticfilesystem:{action}" in message
        iam.put_user_policy(UserName=name, PolicyName="one", PolicyDocument=policy(allow(f"elasticfilesystem:{action}", arn)))
        call()
    assert refusal(mine.put_account_preferences, ResourceIdType="LONG_ID")[1] == 403
    iam.put_user_policy(UserName=name, PolicyName="one", PolicyDocument=policy(allow("elasticfilesystem:PutAccountPreferences")))
    mine.put_account_preferences(ResourceIdType="LONG_ID")


def test_settings_are_there_after_the_daemon_was_killed(own_berth):
    efs = own_berth.client("efs")
    id = efs.create_file_system(CreationToken="kept")["FileSystemId"]
    efs.put_lifecycle_configuration(FileSystemId=id, LifecyclePolicies=RULES)
    efs.put_backup_policy(FileSystemId=id, BackupPolicy={"Status": "ENABLED"})
    own_berth.efs_call("PUT", f"file-systems/{id}/protection", {"ReplicationOverwriteProtection": "DISABLED"})
    own_berth.kill_daemon()
    assert efs.describe_lifecycle_configuration(FileSystemId=id)["LifecyclePolicies"] == RULES
    assert efs.describe_backup_policy(FileSystemId=id)["BackupPolicy"]["Status"] == "ENABLED"
    [found] = own_berth.efs_call("GET", f"file-systems?FileSystemId={id}")[1]["FileSystems"]
    assert found["FileSystemProtection"]["ReplicationOverwriteProtection"] == "DISABLED"


def test_the_aws_cli_sets_them(berth, file_system):
    berth.aws("efs", "put-lifecycle-configuration", "--file-system-id", file_system, "--lifecycle-policies",
              "TransitionToIA=AFTER_30_DAYS", "TransitionToPrimaryStorageClass=AFTER_1_ACCESS")
    assert berth.aws("efs", "describe-lifecycle-configuration", "--file-system-id", file_system)["LifecyclePolicies"] == RULES
    berth.aws("efs", "put-backup-policy", "--file-system-id", file_system, "--backup-policy", "Status=ENABLED")
    assert berth.aws("efs", "describe-backup-policy", "--file-system-id", file_system)["BackupPolicy"] == {"Status": "ENABLED"}
    assert berth.aws("efs", "describe-account-preferences")["ResourceIdPreference"]["ResourceIdType"] == "LONG_ID"
    failed = berth.aws("efs", "put-account-preferences", "--resource-id-type", "SHORT_ID", check=False)
    assert failed.returncode == 254 and "(BadRequest)" in failed.stderr
