#!/usr/bin/env bash
# The seed story: a stateless service whose state lives on a share, on EC2 capacity in one zone and on Fargate in the other.
#
# Everything here is the unmodified AWS CLI against Berth; copy what you need. `./dev demo` builds Berth and runs this.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
die() { printf 'demo: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || die "Berth makes namespaces and mounts: run this as root"
work=$(mktemp -d /tmp/berth-demo.XXXXXX)
export BERTH_STATE_DIR=$work/state
finish() {
  local status=$?
  if [ $status -ne 0 ] && [ -f "$BERTH_STATE_DIR/daemon.log" ]; then
    printf '\ndemo: failed; the end of the daemon'"'"'s log:\n' >&2
    tail -n 25 "$BERTH_STATE_DIR/daemon.log" >&2
  fi
  berth down >/dev/null 2>&1 || true
  rm -rf "$work"
  exit $status
}
trap finish EXIT

# A state directory and a port of its own: an installed Berth is left alone.
berth up --listen 127.0.0.1:0
eval "$(berth env)"
export AWS_PAGER="" AWS_MAX_ATTEMPTS=2

# AWS CLIs before 2.13 do not know AWS_ENDPOINT_URL; all take --endpoint-url.
aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }
text() { aws "$@" --output text; }
# Fills the @PLACEHOLDERS@ of a JSON file in from the shell variables of the same names.
fill() {
  local content
  content=$(<"$here/$1")
  for name in FAMILY TASK_ROLE_ARN EXECUTION_ROLE_ARN FILE_SYSTEM_ID FILE_SYSTEM_ARN ACCESS_POINT_ID ACCESS_POINT_ARN; do
    content=${content//@$name@/${!name:-}}
  done
  printf '%s' "$content" >"$work/$1"
  printf 'file://%s' "$work/$1"
}

step "1. A VPC with one subnet in each of two zones, an ECS cluster, an Auto Scaling group of m5 and t2; Fargate beside it"
vpc=$(text ec2 create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId)
subnet_a=$(text ec2 create-subnet --vpc-id "$vpc" --cidr-block 10.0.1.0/24 --availability-zone us-east-1a --query Subnet.SubnetId)
subnet_b=$(text ec2 create-subnet --vpc-id "$vpc" --cidr-block 10.0.2.0/24 --availability-zone us-east-1b --query Subnet.SubnetId)
aws ecs create-cluster --cluster-name demo --capacity-providers FARGATE FARGATE_SPOT >/dev/null

# The instances' agents register with the credentials of this role.
aws iam create-role --role-name ecsInstanceRole --assume-role-policy-document "file://$here/trust-ec2.json" >/dev/null
aws iam attach-role-policy --role-name ecsInstanceRole \
  --policy-arn arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role
aws iam create-instance-profile --instance-profile-name ecsInstanceRole >/dev/null
aws iam add-role-to-instance-profile --instance-profile-name ecsInstanceRole --role-name ecsInstanceRole

aws ec2 create-launch-template --launch-template-name ecs --launch-template-data "{
  \"ImageId\": \"resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id\",
  \"InstanceType\": \"m5.large\",
  \"IamInstanceProfile\": {\"Name\": \"ecsInstanceRole\"},
  \"UserData\": \"$(base64 -w0 <"$here/user-data.sh")\"}" >/dev/null
# Both types in each zone: Spot capacity from the two cheapest pools.
aws autoscaling create-auto-scaling-group --auto-scaling-group-name ecs --min-size 0 --max-size 8 --desired-capacity 4 \
  --vpc-zone-identifier "$subnet_a,$subnet_b" --mixed-instances-policy '{
    "LaunchTemplate": {
      "LaunchTemplateSpecification": {"LaunchTemplateName": "ecs", "Version": "$Latest"},
      "Overrides": [{"InstanceType": "m5.large"}, {"InstanceType": "t2.medium"}]},
    "InstancesDistribution": {
      "OnDemandPercentageAboveBaseCapacity": 0, "SpotAllocationStrategy": "lowest-price", "SpotInstancePools": 2}}'
for _ in $(seq 60); do
  [ "$(text ecs list-container-instances --cluster demo --status ACTIVE --query 'length(containerInstanceArns)')" = 4 ] && break
  sleep 0.5
done
arns=$(text ecs list-container-instances --cluster demo --query containerInstanceArns)
# shellcheck disable=SC2086 # one argument an ARN
aws ecs describe-container-instances --cluster demo --container-instances $arns --output table --query \
  "sort_by(containerInstances[].{zone: attributes[?name=='ecs.availability-zone']|[0].value, type: attributes[?name=='ecs.instance-type']|[0].value, status: status, cpu: remainingResources[?name=='CPU']|[0].integerValue, memory: remainingResources[?name=='MEMORY']|[0].integerValue}, &zone)"

step "2. An EFS file system, a mount target in each zone, an access point with a root directory and a POSIX user of its own"
FILE_SYSTEM_ID=$(text efs create-file-system --creation-token demo --encrypted --tags Key=Name,Value=demo --query FileSystemId)
FILE_SYSTEM_ARN=$(text efs describe-file-systems --file-system-id "$FILE_SYSTEM_ID" --query 'FileSystems[0].FileSystemArn')
aws efs create-mount-target --file-system-id "$FILE_SYSTEM_ID" --subnet-id "$subnet_a" >/dev/null
aws efs create-mount-target --file-system-id "$FILE_SYSTEM_ID" --subnet-id "$subnet_b" >/dev/null
ACCESS_POINT_ID=$(text efs create-access-point --file-system-id "$FILE_SYSTEM_ID" --posix-user Uid=1000,Gid=1000 \
  --root-directory 'Path=/service,CreationInfo={OwnerUid=1000,OwnerGid=1000,Permissions=0750}' --query AccessPointId)
ACCESS_POINT_ARN=$(text efs describe-access-points --access-point-id "$ACCESS_POINT_ID" --query 'AccessPoints[0].AccessPointArn')
# With a policy of its own the file system is no longer open to everyone: now the task's role must allow the mount.
aws efs put-file-system-policy --file-system-id "$FILE_SYSTEM_ID" --policy "file://$here/file-system-policy.json" >/dev/null
aws efs describe-mount-targets --file-system-id "$FILE_SYSTEM_ID" --output table \
  --query 'MountTargets[].{zone: AvailabilityZoneName, address: IpAddress, state: LifeCycleState}'

step "3. Task roles that may write, may only read, may do neither; an execution role"
role() {  # role NAME: a role for tasks, with policy-NAME.json as its inline policy
  aws iam create-role --role-name "$1" --assume-role-policy-document "file://$here/trust-ecs-tasks.json" >/dev/null
  aws iam put-role-policy --role-name "$1" --policy-name share --policy-document "$(fill "policy-$1.json")"
}
role writer
role reader
role outsider
aws iam create-role --role-name execution --assume-role-policy-document "file://$here/trust-ecs-tasks.json" >/dev/null
aws iam attach-role-policy --role-name execution --policy-arn arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy
EXECUTION_ROLE_ARN=$(text iam get-role --role-name execution --query Role.Arn)
aws iam list-roles --output table --query 'Roles[].{role: RoleName, arn: Arn}'

step "4. One task definition revision, on EC2 in one zone and on Fargate in the other; each reads what the other wrote"
define() {  # define FAMILY ROLE: registers task-definition.json with that task role
  FAMILY=$1 TASK_ROLE_ARN=$(text iam get-role --role-name "$2" --query Role.Arn)
  text ecs register-task-definition --cli-input-json "$(fill task-definition.json)" --query taskDefinition.taskDefinitionArn
}
run() {  # run DEFINITION LAUNCH_TYPE SUBNET SCRIPT: prints the task's ARN
  local overrides
  overrides=$(python3 -c 'import json, sys
print(json.dumps({"containerOverrides": [{"name": "app", "command": ["sh", "-c", open(sys.argv[1]).read()]}]}))' "$here/$4")
  text ecs run-task --cluster demo --task-definition "$1" --launch-type "$2" --overrides "$overrides" \
    --network-configuration "awsvpcConfiguration={subnets=[$3]}" --query 'tasks[0].taskArn'
}
outcome() {  # outcome TASK: waits until it has stopped, prints its output and how it ended
  aws ecs wait tasks-stopped --cluster demo --tasks "$1"
  output "$1" | sed 's/^/    /'
  aws ecs describe-tasks --cluster demo --tasks "$1" --output json --query \
    'tasks[0].{launchType: launchType, zone: availabilityZone, stopCode: stopCode, stoppedReason: stoppedReason, exitCode: containers[0].exitCode}'
}
output() { berth logs "$1" 2>&1; }  # what the task wrote to standard output and standard error
exit_code() { text ecs describe-tasks --cluster demo --tasks "$1" --query 'tasks[0].containers[0].exitCode'; }
expect() {  # expect WANTED GOT WHAT
  [ "$1" = "$2" ] || die "$3: expected $1, got $2"
}
writer=$(define stateless-service writer)
on_ec2=$(run "$writer" EC2 "$subnet_a" task-exchange.sh)
on_fargate=$(run "$writer" FARGATE "$subnet_b" task-exchange.sh)
outcome "$on_ec2"
outcome "$on_fargate"
expect 0 "$(exit_code "$on_ec2")" "the task on EC2"
expect 0 "$(exit_code "$on_fargate")" "the task on Fargate"

step "5. The AWS CLI inside a task is the task's role; a task of another role can't have its credentials"
identity=$(run "$writer" FARGATE "$subnet_a" task-identity.sh)
outcome "$identity"
expect 0 "$(exit_code "$identity")" "get-caller-identity in the task"
[[ $(output "$identity") == *:assumed-role/writer/* ]] || die "the task is not its role"
reader=$(define stateless-service-reader reader)
thief=$(run "$reader" FARGATE "$subnet_b" task-thief.sh)
outcome "$thief"
expect 0 "$(exit_code "$thief")" "the refusal of another task's credentials"

step "6. Without ClientWrite the share is read-only; without ClientMount the task does not start"
read_only=$(run "$reader" EC2 "$subnet_b" task-read-only.sh)
outcome "$read_only"
[[ $(output "$read_only") == *'Read-only file system'* ]] || die "the reader's write was not answered with EROFS"
outsider=$(run "$(define stateless-service-outsider outsider)" EC2 "$subnet_a" task-read-only.sh)
outcome "$outsider"
expect TaskFailedToStart "$(text ecs describe-tasks --cluster demo --tasks "$outsider" --query 'tasks[0].stopCode')" "the outsider's task"

step "7. The daemon is killed with SIGKILL while a task writes; the task never sees an error, and nothing is lost"
inventory() {
  text ecs list-task-definitions --query 'length(taskDefinitionArns)'
  text ecs list-container-instances --cluster demo --query 'length(containerInstanceArns)'
  text efs describe-access-points --query 'length(AccessPoints)'
  text iam list-roles --query 'length(Roles)'
}
before=$(inventory)
survivor=$(run "$writer" EC2 "$subnet_a" task-writer.sh)
aws ecs wait tasks-running --cluster demo --tasks "$survivor"
for kill in 1 2 3; do
  pid=$(berth status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["daemon_pid"])')
  kill -KILL "$pid"
  echo "kill -KILL $pid (the daemon, time $kill)"
  for _ in $(seq 100); do berth status >/dev/null 2>&1 && break; sleep 0.1; done
done
outcome "$survivor"
expect 0 "$(exit_code "$survivor")" "the task that wrote through the kills"
expect "$before" "$(inventory)" "the API objects after the kills"
berth status

step "The whole story held."
