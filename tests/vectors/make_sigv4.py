#!/usr/bin/env python3
"""Writes sigv4_botocore.json: requests signed by botocore, an implementation that is not ours, at a fixed time.

Run it by hand where botocore is installed; the tests read only its output.
"""
import datetime
import json
import pathlib
from unittest import mock

import botocore
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

NOW = datetime.datetime(2026, 11, 23, 5, 15, 2)
KEY = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
TOKEN = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi=="

# name, method, path, query, headers, body, service, token?
CASES = [
    ("json 1.1", "POST", "/", "", {"X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListClusters", "Content-Type": "application/x-amz-json-1.1"}, "{}", "ecs", False),
    ("query form", "POST", "/", "", {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, "Action=GetCallerIdentity&Version=2011-06-15", "sts", False),
    ("with a session token", "POST", "/", "", {"Content-Type": "application/x-www-form-urlencoded"}, "Action=GetCallerIdentity&Version=2011-06-15", "sts", True),
    ("path with an encoded ARN", "GET", "/2015-02-01/resource-tags/arn%3Aaws%3Aelasticfilesystem%3Aus-east-1%3A1%3Afile-system%2Ffs-1", "MaxResults=5", {}, "", "elasticfilesystem", False),
    ("dot segments", "GET", "/a/./b/../c//d/", "", {}, "", "service", False),
    ("trailing dot segment", "GET", "/a/b/..", "", {}, "", "service", False),
    ("query to be sorted", "GET", "/", "b=2&a=3&a=1&c=&A=0", {}, "", "service", False),
    ("query with encoded bytes", "GET", "/", "key=a%20b%2Fc%2B~&Tag=%C3%A9", {}, "", "service", False),
    ("header with spaces", "GET", "/", "", {"My-Header1": "  a   b   c  ", "X-Amz-Meta": "x"}, "", "service", False),
    ("unreserved characters", "GET", "/-._~0123456789abcXYZ", "", {}, "", "service", False),
]


def sign(auth_class, case, **options):
    name, method, path, query, headers, body, service, with_token = case
    url = "https://%s.us-east-1.amazonaws.com%s%s" % (service, path, "?" + query if query else "")
    request = AWSRequest(method=method, url=url, data=body.encode(), headers=dict(headers))
    credentials = Credentials(*KEY, TOKEN if with_token else None)
    with mock.patch("botocore.auth.datetime") as clock:
        clock.datetime.utcnow.return_value = NOW
        if hasattr(botocore.auth, "get_current_datetime"):
            with mock.patch("botocore.auth.get_current_datetime", return_value=NOW):
                auth_class(credentials, service, "us-east-1", **options).add_auth(request)
        else:
            auth_class(credentials, service, "us-east-1", **options).add_auth(request)
    return request


def as_json(case, request, form):
    name, method, path, query, headers, body, service, with_token = case
    sent = [[key, value] for key, value in request.headers.items()]
    sent.append(["host", "%s.us-east-1.amazonaws.com" % service])
    url = request.url.split("://", 1)[1]
    target = url[url.index("/"):]
    signed_path, _, signed_query = target.partition("?")
    return {"name": name, "form": form, "service": service, "region": "us-east-1", "method": method, "path": signed_path,
            "query": signed_query, "headers": sent, "body": body}


cases = []
for case in CASES:
    cases.append(as_json(case, sign(botocore.auth.SigV4Auth, case), "header"))
    if case[1] == "GET":
        cases.append(as_json(case, sign(botocore.auth.SigV4QueryAuth, case, expires=600), "query"))

with_s3 = ("S3 key with odd characters", "GET", "/bucket/a//b/../%C3%A9%20%2B.txt", "versionId=3", {}, "", "s3", False)
cases.append(as_json(with_s3, sign(botocore.auth.S3SigV4Auth, with_s3), "header"))
cases.append(as_json(with_s3, sign(botocore.auth.S3SigV4QueryAuth, with_s3, expires=600), "query"))

document = {"made_by": "botocore " + botocore.__version__, "at": "2026-11-23T05:15:02Z", "access_key_id": KEY[0], "secret": KEY[1], "cases": cases}
pathlib.Path(__file__).with_name("sigv4_botocore.json").write_text(json.dumps(document, indent=1) + "\n")
