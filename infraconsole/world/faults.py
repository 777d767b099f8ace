"""In front of the emulator: counts every call and makes calls fail on request, in the words and protocol of AWS. It sits
here, not in the client, so that retries, time-outs and error handling are those of the real SDK."""

from __future__ import annotations

import json
import random
import re
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from moto.core.exceptions import ServiceException
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

from infraconsole.world.clock import WorldClock
from infraconsole.world.http import ConnectionCut, ConnectionDrips, Environ, StartResponse, WsgiApp, collect
from infraconsole.world.replicas import Replicas

GARBLED = {"answer-list": b"[]", "answer-null": b"null", "answer-empty": b"{}"}
"""What is answered with 200 to a call that was carried out."""
ACTIONS = (
    "throttle",
    "error500",
    "drop-before",
    "drop-after",
    "delay",
    "expired",
    "access-denied",
    "hostile",
    "drip",
    *GARBLED,
    "lag",
)
HOSTILE = "\x1b[2J\x1b[31mPWNED\x1b[0m [bold]markup[/bold] \u202etxet\u202c \x07\r\nnext line"
MAX_CALLS = 50_000

_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
# boto3's names where they differ from the signing name.
_MODELS = {
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "email": "ses",
    "tagging": "resourcegroupstaggingapi",
}


@dataclass
class Rule:
    """What to do to which calls. Patterns are exact names, or * for all; a rule with a count ends when it is used up."""

    action: str
    service: str = "*"
    operation: str = "*"
    share: float = 1.0
    """Of the calls that match, between 0 and 1."""
    nth: int = 0
    """Only from the nth matching call on; 0 and 1 mean from the first."""
    count: int | None = None
    """How many calls at most; None is without end."""
    seconds: float = 0.0
    """Of real time: how long a delay holds a call back, or of how long ago a lagging read's answer is."""
    id: int = 0
    seen: int = 0
    used: int = 0


@dataclass
class Call:
    seq: int
    at: str
    """World time, ISO 8601."""
    service: str
    operation: str
    region: str
    access_key: str
    accepted: bool = False
    """Whether AWS carried it out, whatever the client got to see."""
    status: int = 0
    """What was answered; 0 for nothing at all."""
    fault: str = ""
    code: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class IssuedKey:
    access_key: str
    secret: str
    token: str
    expires_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        return {"access_key": self.access_key, "expires_at": self.expires_at.isoformat() if self.expires_at else None}


class Credentials:
    """The access keys this world has issued; one it has not issued never expires."""

    def __init__(self, clock: WorldClock, lifetime: timedelta | None) -> None:
        self._clock = clock
        self._issued: dict[str, IssuedKey] = {}
        self._lock = threading.Lock()
        self.lifetime = lifetime
        self.current = self.issue()

    def issue(self) -> IssuedKey:
        """A new key, valid for `lifetime` of world time."""
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
        name = "ASIA" + "".join(secrets.choice(alphabet) for _ in range(16))
        ends = self._clock.now() + self.lifetime if self.lifetime is not None else None
        key = IssuedKey(name, secrets.token_hex(20), secrets.token_urlsafe(96), ends)
        with self._lock:
            self._issued[name] = key
            self.current = key
        return key

    def expire(self) -> None:
        """Let every key issued so far be expired."""
        now = self._clock.now()
        with self._lock:
            for name, key in self._issued.items():
                self._issued[name] = IssuedKey(key.access_key, key.secret, key.token, now)
            self.current = self._issued[self.current.access_key]

    def is_expired(self, access_key: str) -> bool:
        key = self._issued.get(access_key)
        return key is not None and key.expires_at is not None and self._clock.now() >= key.expires_at


class FaultRules:
    def __init__(self, seed: int = 20251021) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(seed)  # noqa: S311 - which calls fail, the same ones each time
        self._rules: list[Rule] = []
        self._next = 1

    def add(self, rule: Rule) -> Rule:
        if rule.action not in ACTIONS:
            raise ValueError(f"unknown action {rule.action!r}; known: {', '.join(ACTIONS)}")
        with self._lock:
            rule.id, self._next = self._next, self._next + 1
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def lag(self, service: str = "", operation: str = "") -> bool:
        """Whether reads have to lag: any, or those of that operation, be it only a share of them."""
        with self._lock:
            return any(
                rule.action == "lag" and (not operation or _matches(rule, service, operation)) for rule in self._rules
            )

    def hits(self, service: str, operation: str) -> list[Rule]:
        """The rules that apply to this call: all delays, and the first of the others."""
        found: list[Rule] = []
        with self._lock:
            for rule in self._rules:
                if not _matches(rule, service, operation):
                    continue
                if rule.action != "delay" and any(one.action != "delay" for one in found):
                    continue
                rule.seen += 1
                if rule.seen < rule.nth or (rule.count is not None and rule.used >= rule.count):
                    continue
                if rule.share < 1.0 and self._random.random() >= rule.share:
                    continue
                rule.used += 1
                found.append(rule)
        return found


def _matches(rule: Rule, service: str, operation: str) -> bool:
    return rule.service in ("*", service) and rule.operation in ("*", operation)


class CallLog:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._next = 1

    def open(self, call: Call) -> Call:
        with self._lock:
            call.seq, self._next = self._next, self._next + 1
            self._calls.append(call)
            del self._calls[:-MAX_CALLS]
        return call

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()

    def listed(self, *, since: int = 0, service: str = "", operation: str = "") -> list[dict[str, Any]]:
        with self._lock:
            calls = list(self._calls)
        return [
            asdict(call)
            for call in calls
            if call.seq > since and service in ("", call.service) and operation in ("", call.operation)
        ]

    def __len__(self) -> int:
        return len(self._calls)

    def count(self) -> int:
        """Of all calls there ever were, those that were forgotten included."""
        return self._next - 1


class _Refusal(ServiceException):  # type: ignore[misc]
    """A class of our own: moto looks an error's words up in the service that the class belongs to, and finds none."""


@dataclass(frozen=True)
class _Request:
    service: str
    operation: str
    region: str
    access_key: str
    body: bytes


class FaultyApp:
    """A WSGI application around the emulator's."""

    def __init__(
        self, app: WsgiApp, clock: WorldClock, rules: FaultRules, calls: CallLog, credentials: Credentials, account: str
    ) -> None:
        self._app = app
        self._clock = clock
        self._rules = rules
        self._calls = calls
        self._credentials = credentials
        self._account = account
        self._replicas = Replicas(app, rules.lag)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = _identify(environ)
        call = self._calls.open(
            Call(
                0,
                self._clock.now().isoformat(),
                request.service,
                request.operation,
                request.region,
                request.access_key,
                parameters=_parameters(request),
            )
        )
        rules = self._rules.hits(request.service, request.operation)
        for rule in rules:
            if rule.action == "delay":
                time.sleep(rule.seconds)
        action = next((rule.action for rule in rules if rule.action != "delay"), "")
        if self._credentials.is_expired(request.access_key):
            action = "expired"
        call.fault = action
        if action == "drop-before":
            raise ConnectionCut
        if action in ("throttle", "error500", "expired", "access-denied"):
            status, headers, body = self._refusal(action, request, environ)
        else:
            lag = next((rule.seconds for rule in rules if rule.action == "lag"), 0.0)
            status, headers, body = self._answer(request, environ, lag)
            call.accepted = int(status[:3]) < 400
            if action == "drop-after":
                raise ConnectionCut
            if action == "drip":
                raise ConnectionDrips(status, headers)
            if action == "hostile":
                body = _poisoned(body)
            body = GARBLED.get(action, body)
        call.status = int(status[:3])
        if call.status >= 400:
            call.code = next((value for name, value in headers if name.lower() == "x-amzn-errortype"), "")
        start_response(status, headers)
        return [body]

    def _answer(
        self, request: _Request, environ: Environ, lag_seconds: float
    ) -> tuple[str, list[tuple[str, str]], bytes]:
        if not Replicas.can_lag(request.operation) or not self._rules.lag(request.service, request.operation):
            return collect(self._app, environ)
        where = (str(environ.get("PATH_INFO")), str(environ.get("QUERY_STRING")), str(environ.get("HTTP_HOST")))
        key = (request.service, request.operation, request.region, *where, request.body.decode("latin-1"))
        return self._replicas.read(key, environ, request.body, lag_seconds)

    def _refusal(self, action: str, request: _Request, environ: Environ) -> tuple[str, list[tuple[str, str]], bytes]:
        model = get_service_model(_MODELS.get(request.service, request.service))
        try:
            protocol = determine_request_protocol(model, environ.get("CONTENT_TYPE", ""))
        except NotImplementedError:
            protocol = "json" if environ.get("HTTP_X_AMZ_TARGET") else str(model.protocol)
        http, code, message = words(action, request.service, protocol, request.operation, self._account, request.region)
        operation = model.operation_model(request.operation)
        serializer = get_serializer_class(model.service_name, protocol)(operation_model=operation)
        answer = serializer.serialize(_Refusal(code, message))
        body = answer["body"]
        data = body.encode() if isinstance(body, str) else bytes(body)
        headers = [(str(name), str(value)) for name, value in answer["headers"].items()]
        headers.append(("x-amzn-RequestId", secrets.token_hex(16)))
        return f"{http} {HTTPStatus(http).phrase}", headers, data


def words(action: str, service: str, protocol: str, operation: str, account: str, region: str) -> tuple[int, str, str]:
    """HTTP status, error code and message with which AWS refuses, which differ by service and protocol."""
    json_like = protocol in ("json", "rest-json", "smithy-rpc-v2-cbor")
    if action == "throttle":
        if service == "ec2":
            return 503, "RequestLimitExceeded", "Request limit exceeded."
        if service == "s3":
            return 503, "SlowDown", "Please reduce your request rate."
        return 400, "ThrottlingException" if json_like else "Throttling", "Rate exceeded"
    if action == "expired":
        if service == "ec2":
            return 400, "RequestExpired", "Request has expired."
        if service == "s3":
            return 400, "ExpiredToken", "The provided token has expired."
        code = "ExpiredTokenException" if json_like else "ExpiredToken"
        return 400 if json_like else 403, code, "The security token included in the request is expired"
    if action == "access-denied":
        who = f"User: arn:aws:sts::{account}:assumed-role/on-call/operator"
        text = (
            f"{who} is not authorized to perform: {service}:{operation} on resource: "
            f"arn:aws:{service}:{region}:{account}:* because no identity-based policy allows the {service}:{operation} action"
        )
        if service == "ec2":
            return 403, "UnauthorizedOperation", f"You are not authorized to perform this operation. {text}"
        if service == "s3":
            return 403, "AccessDenied", "Access Denied"
        return 400 if json_like else 403, "AccessDeniedException" if json_like else "AccessDenied", text
    if service == "ecs":
        return 500, "ServerException", "Service Unavailable. Please try again later."
    return 500, "InternalServerError" if json_like else "InternalFailure", "An internal error has occurred."


def _identify(environ: Environ) -> _Request:
    body = environ["wsgi.input"].getvalue()
    matched = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    access_key, region, service = matched.groups() if matched else ("", "", "")
    service = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch"}.get(service, service)
    operation = _operation(environ, service, body)
    return _Request(service, operation, region, access_key, body)


def _operation(environ: Environ, service: str, body: bytes) -> str:
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return str(target).rsplit(".", 1)[-1]
    path = environ.get("PATH_INFO", "")
    if "/operation/" in path:
        return str(path).rsplit("/", 1)[-1]
    for text in (environ.get("QUERY_STRING", ""), body.decode("utf-8", "replace") if _is_form(environ) else ""):
        actions: list[str] = parse_qs(str(text)).get("Action", [])
        if actions:
            return actions[0]
    if not service:
        return ""
    try:
        model, _ = get_service_router(service).match(Request(dict(environ)))
    except (HTTPException, LookupError, ValueError, NotImplementedError):
        return str(environ["REQUEST_METHOD"])
    finally:
        environ["wsgi.input"].seek(0)
    return str(model.name)


def _is_form(environ: Environ) -> bool:
    return str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded")


def _parameters(request: _Request) -> dict[str, Any]:
    """Of ECS calls only: other services' parameters may hold secrets."""
    if request.service != "ecs" or not request.body:
        return {}
    try:
        parsed = json.loads(request.body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


_SPOKEN = ("message", "Message", "reason", "stoppedReason", "rolloutStateReason", "statusReason", "Description")


def _poisoned(body: bytes) -> bytes:
    """The same JSON, with text in every message that no terminal should ever be handed as it is."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    return json.dumps(_poison(document)).encode()


def _poison(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: f"{item} {HOSTILE}" if key in _SPOKEN and isinstance(item, str) else _poison(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_poison(item) for item in value]
    return value
