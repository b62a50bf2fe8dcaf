# Runs inside the task: an unmodified AWS CLI with no credentials but those that ECS injects.
aws --endpoint-url "$AWS_ENDPOINT_URL" sts get-caller-identity --query Arn --output text
