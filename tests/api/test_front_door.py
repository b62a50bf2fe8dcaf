"""What any client meets first: signatures, unknown operations, limits."""
import json
import socket
import subprocess
import urllib.error
import urllib.request

import botocore.exceptions
import pytest


def code_of(error):
    return error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_the_printed_exports_are_all_that_the_aws_cli_needs(berth):
    assert berth.aws("ecs", "list-clusters")["clusterArns"] is not None


def test_the_administrator_is_an_iam_user_of_an_account_of_its_own(berth):
    identity = berth.client("sts").get_caller_identity()
    assert len(identity["Account"]) == 12
    assert identity["Arn"] == f"arn:aws:iam::{identity['Account']}:user/berth-admin"


@pytest.mark.parametrize("service, call, code, status", [
    ("ecs", lambda c: c.list_clusters(), "InvalidSignatureException", 400),
    ("iam", lambda c: c.list_roles(), "SignatureDoesNotMatch", 403),
    ("sts", lambda c: c.get_caller_identity(), "SignatureDoesNotMatch", 403),
])
def test_a_wrong_secret_is_refused_in_each_protocol(berth, service, call, code, status):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(berth.client(service, secret="wrong"))
    got_code, got_status = code_of(error)
    assert got_code == code
    assert got_status in (status, 403)


def test_an_unknown_key_is_refused(berth):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        berth.client("ecs", key="AKIAIOSFODNN7EXAMPLE").list_clusters()
    assert code_of(error)[0] == "UnrecognizedClientException"
    with pytest.raises(botocore.exceptions.ClientError) as error:
        berth.client("sts", key="AKIAIOSFODNN7EXAMPLE").get_caller_identity()
    assert code_of(error) == ("InvalidClientTokenId", 403)


def test_a_forged_session_token_is_refused(berth):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        berth.client("sts", key="ASIAIOSFODNN7EXAMPLE", secret="x", token="bm90IGEgdG9rZW4=").get_caller_identity()
    assert code_of(error)[1] == 403


def test_a_request_without_a_signature_is_refused(berth):
    request = urllib.request.Request(berth.endpoint, data=b"{}", headers={
        "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListClusters"})
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, timeout=10)
    assert error.value.code in (400, 403)
    assert "MissingAuthenticationToken" in error.value.read().decode()
    assert error.value.headers["x-amzn-RequestId"]


def test_an_operation_that_is_not_built_says_so(berth):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        berth.client("ecs").create_service(serviceName="web", taskDefinition="x", cluster="default")
    assert code_of(error) == ("NotImplemented", 501)
    assert "CreateService" in str(error.value)


def test_an_operation_that_nobody_knows_is_told_apart_from_one_not_built(berth):
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    request = AWSRequest("POST", berth.endpoint + "/", data="{}", headers={
        "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.MakeTea"})
    keys = Credentials(berth.environment["AWS_ACCESS_KEY_ID"], berth.environment["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(keys, "ecs", berth.environment["AWS_REGION"]).add_auth(request)
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(urllib.request.Request(request.url, data=b"{}", headers=dict(request.headers)), timeout=10)
    assert json.loads(error.value.read())["__type"].endswith("UnknownOperationException")


def test_malformed_json_is_a_serialization_error(berth):
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    body = b'{"clusterName": '
    request = AWSRequest("POST", berth.endpoint + "/", data=body, headers={
        "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.CreateCluster"})
    keys = Credentials(berth.environment["AWS_ACCESS_KEY_ID"], berth.environment["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(keys, "ecs", berth.environment["AWS_REGION"]).add_auth(request)
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(urllib.request.Request(request.url, data=body, headers=dict(request.headers)), timeout=10)
    assert error.value.code == 400
    assert json.loads(error.value.read())["__type"].endswith("SerializationException")


def test_a_body_beyond_the_limit_is_refused(berth):
    host, port = berth.endpoint.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        assert b" 413 " in connection.recv(4096).split(b"\r\n")[0] + b" "


def test_a_hundred_idle_connections_hold_nobody_up(berth):
    host, port = berth.endpoint.removeprefix("http://").split(":")
    idle = [socket.create_connection((host, int(port)), timeout=10) for _ in range(100)]
    try:
        for connection in idle:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")  # never finished
        assert berth.client("ecs").list_clusters()["ResponseMetadata"]["HTTPStatusCode"] == 200
    finally:
        for connection in idle:
            connection.close()


def test_an_occupied_port_is_told_at_start(berth, tmp_path):
    port = berth.endpoint.rsplit(":", 1)[1]
    done = subprocess.run([berth_program(), "up", "--state-dir", str(tmp_path / "state"), "--listen", f"127.0.0.1:{port}"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert port in done.stderr and "in use" in done.stderr


def test_a_state_directory_in_use_is_told_at_start(berth):
    daemon = berth_program() + "d"
    done = subprocess.run([daemon, "--state-dir", str(berth.state), "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "in use" in done.stderr and str(berth.state) in done.stderr


def berth_program():
    from berth import BERTH
    return BERTH
