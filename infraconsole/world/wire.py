"""Calls to the emulator from inside its own process, in AWS's wire protocols: the seed needs hundreds of calls, and
without HTTP and SDK they take a fraction of the time while still going through the real API."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from infraconsole.world.http import WsgiApp, collect

_TARGETS = {
    "ssm": "AmazonSSM",
    "kms": "TrentService",
    "secretsmanager": "secretsmanager",
    "ecr": "AmazonEC2ContainerRegistry_V20150921",
    "logs": "Logs_20140328",
    "dynamodb": "DynamoDB_20120810",
    "ecs": "AmazonEC2ContainerServiceV20141113",
    "sqs": "AmazonSQS",
    "cloudtrail": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101",
}
_VERSIONS = {
    "ec2": "2016-11-15",
    "rds": "2014-10-31",
    "elasticloadbalancing": "2015-12-01",
    "monitoring": "2010-08-01",
    "iam": "2010-05-08",
    "sns": "2010-03-31",
    "elasticache": "2015-02-02",
}


class WireError(Exception):
    """The emulator refused a call of the seed: a bug of ours."""


class Wire:
    def __init__(self, app: WsgiApp, region: str) -> None:
        self._app = app
        self._region = region

    def json(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """A call of a JSON service; answers the parsed body."""
        headers = {
            "HTTP_X_AMZ_TARGET": f"{_TARGETS[service]}.{operation}",
            "CONTENT_TYPE": "application/x-amz-json-1.1",
        }
        body = self._call(service, "POST", "/", json.dumps(parameters).encode(), headers)
        answer: dict[str, Any] = json.loads(body) if body else {}
        return answer

    def query(self, service: str, action: str, **parameters: Any) -> str:
        """A call of a query service; answers the XML. Lists and tables are flattened as that service wants them."""
        form = {"Action": action, "Version": _VERSIONS[service]}
        for key, value in parameters.items():
            form.update(_flat(key, value, members=service not in ("ec2", "elasticache", "rds")))
        headers = {"CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8"}
        return self._call(service, "POST", "/", urlencode(form).encode(), headers).decode()

    def s3(self, method: str, path: str, body: bytes = b"", query: str = "") -> None:
        headers = {"HTTP_X_AMZ_CONTENT_SHA256": "UNSIGNED-PAYLOAD"}
        self._call("s3", method, path, body, headers, query)

    def _call(
        self, service: str, method: str, path: str, body: bytes, headers: Mapping[str, str], query: str = ""
    ) -> bytes:
        scope = f"ASIASEEDSEEDSEEDSEED/20251021/{self._region}/{service}/aws4_request"
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "RAW_URI": quote(path) + (f"?{query}" if query else ""),
            "REQUEST_URI": quote(path) + (f"?{query}" if query else ""),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "HTTP_HOST": "127.0.0.1",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            **headers,
        }
        status, _, answer = collect(self._app, environ)
        if int(status[:3]) >= 300:
            raise WireError(f"{service} {method} {path} {body[:200]!r}: {status} {answer[:500]!r}")
        return answer


def first(xml: str, element: str) -> str:
    """The text of the first element of that name."""
    matched = re.search(rf"<{element}>([^<]*)</{element}>", xml)
    if matched is None:
        raise WireError(f"no <{element}> in {xml[:500]}")
    return matched[1]


def _flat(key: str, value: Any, *, members: bool) -> dict[str, str]:
    if isinstance(value, Mapping):
        found: dict[str, str] = {}
        for inner, item in value.items():
            found.update(_flat(f"{key}.{inner}", item, members=members))
        return found
    if isinstance(value, list | tuple):
        found = {}
        infix = ".member" if members else ""
        for index, item in enumerate(value, start=1):
            found.update(_flat(f"{key}{infix}.{index}", item, members=members))
        return found
    if isinstance(value, bool):
        return {key: "true" if value else "false"}
    return {key: str(value)}
