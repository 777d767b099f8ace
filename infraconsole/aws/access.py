"""The one door to AWS: reading, paging, the rule that reading is all that passes, and the bound on every call.

boto3's untyped world ends here: what comes out is plain dicts of the documented form (`answers`), which the service modules
turn into frozen dataclasses. botocore is imported on first use, since it costs a fifth of a second that `--version` should
not pay; how its sessions and clients are made is in `sessions`.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from infraconsole import clock
from infraconsole.aws import answers, calls
from infraconsole.aws.budget import Budget
from infraconsole.aws.calls import Call, Permit
from infraconsole.aws.errors import THROTTLED, is_of_sso, translated
from infraconsole.aws.sessions import ALIASES, CONNECT_TIMEOUT_SECONDS, Sessions
from infraconsole.errors import EXIT_GATE_REFUSED, AwsRefused, CredentialsExpired, CredentialsMissing, InfraconsoleError

READ_TIMEOUT_SECONDS = 10.0
# A change whose answer does not come leaves a question that only a probe can settle, so it is given longer.
CHANGE_TIMEOUT_SECONDS = 30.0
WHOLE_CALL_SECONDS = 60.0
"""For a call with all its attempts, and with the credentials that have to be fetched first."""
WHOLE_BODY_SECONDS = 600.0
"""For an object that is read to its end: half a gigabyte over a slow line."""
HURRIED_SECONDS = 5.0
"""What a changing call is still given where somebody asks to stop: its answer saves looking up what it did."""
RENEW_AFTER_SECONDS = 3.0
"""Between two looks of a view at whether there are new credentials."""

_T = TypeVar("_T")

# What may be sent without a permit, by botocore's service name. Patterns are case-sensitive; a service or operation
# that is not here is refused. Left out on purpose: whatever mints credentials (sts:GetSessionToken,
# ssm:GetAccessToken), reads that AWS answers by making something (kms:GetParametersForImport), and whole-table reads.
READS: Mapping[str, tuple[str, ...]] = {
    "acm": ("Describe*", "List*"),
    "application-autoscaling": ("Describe*", "List*"),
    "ce": ("GetCostAndUsage", "GetCostForecast"),
    "cloudtrail": ("LookupEvents", "Describe*", "GetEventSelectors", "GetTrailStatus", "ListTrails"),
    "cloudwatch": ("Describe*", "GetMetricData", "GetMetricStatistics", "List*"),
    "dynamodb": (
        "GetItem",
        "BatchGetItem",
        "DescribeTable",
        "DescribeTimeToLive",
        "DescribeContinuousBackups",
        "ListTables",
    ),
    "ec2": ("Describe*",),
    "ecr": ("BatchGetImage", "Describe*", "GetLifecyclePolicy", "GetRepositoryPolicy", "List*"),
    "ecs": ("Describe*", "List*", "GetTaskProtection"),
    "elasticache": ("Describe*", "List*"),
    "elb": ("Describe*",),
    "elbv2": ("Describe*",),
    "iam": (
        *("GetRole", "GetRolePolicy", "GetPolicy", "GetPolicyVersion", "GetUser", "GetUserPolicy", "GetAccountSummary"),
        *("List*", "SimulatePrincipalPolicy", "SimulateCustomPolicy"),
    ),
    "kms": ("DescribeKey", "GetKeyPolicy", "GetKeyRotationStatus", "List*"),
    "logs": ("Describe*", "FilterLogEvents", "GetLogEvents", "GetLogRecord", "GetQueryResults", "List*", "StartQuery"),
    "rds": ("Describe*", "ListTagsForResource"),
    "resourcegroupstaggingapi": ("Get*",),
    "route53": ("Get*", "List*", "TestDNSAnswer"),
    "s3": ("Get*", "Head*", "List*"),
    "secretsmanager": ("DescribeSecret", "List*", "GetResourcePolicy", "GetSecretValue"),
    "service-quotas": ("Get*", "List*"),
    "sns": ("Get*", "List*"),
    "sqs": ("GetQueueAttributes", "GetQueueUrl", "List*"),
    "ssm": (
        *("GetParameter", "GetParameters", "GetParametersByPath", "GetParameterHistory", "DescribeParameters"),
        *("DescribeSessions", "GetConnectionStatus", "GetServiceSetting", "ListTagsForResource"),
    ),
    "sts": ("GetCallerIdentity",),
}

_ATTEMPTED = "infraconsole-attempted"
_TOKENS = ("nextToken", "NextToken", "Marker", "NextMarker")


class ReadOnlyViolation(InfraconsoleError):
    """A call that could change something, refused before it was sent. Only a step of a run may send one."""

    exit_code = EXIT_GATE_REFUSED

    def __init__(self, service: str, operation: str) -> None:
        super().__init__(
            f"{service}:{operation} could change something and was not sent.",
            cause="This connection to AWS is for reading; only a step of a run may change anything.",
            mend="Start a runbook for it.",
        )
        self.operation = f"{service}:{operation}"


def is_read_only(service: str, operation: str) -> bool:
    """Whether `operation` (API form: "DescribeServices") of `service` (botocore's name) is on the list of reads."""
    return any(fnmatchcase(operation, pattern) for pattern in READS.get(ALIASES.get(service, service), ()))


class AwsAccess:
    """One account and region, for reading.

    Any operation outside the allow-list is refused before it is sent, whichever way it is called. Thread-safe; the
    session and the clients are made when first needed, once each. `environ` stands in for the process's environment
    where AWS settings are looked up (the embedded world hands its own in); without it they are boto3's own business.
    """

    def __init__(
        self,
        *,
        region: str,
        profile: str | None = None,
        environ: Mapping[str, str] | None = None,
        connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
        read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
        whole_call_seconds: float = WHOLE_CALL_SECONDS,
    ) -> None:
        self.region = region
        self.profile = profile or None
        self._environ = None if environ is None or environ is os.environ else dict(environ)
        self._connect_timeout_seconds = connect_timeout_seconds
        self._read_timeout_seconds = read_timeout_seconds
        self._whole_call_seconds = whole_call_seconds
        self._sessions = self._anew()
        self.generation = 0
        """How often it was renewed: what was learned before may be another account's."""
        self.budget: Budget | None = None
        """What its reads are taken from; None: they are not counted, as those of a run."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(region={self.region!r}, profile={self.profile!r})"

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """The answer of one reading call; `operation` in API form. A streaming body (s3:GetObject) is bytes, whole. Raises
        ReadOnlyViolation, or an AwsError."""
        _refuse_unless_read(service, operation)
        return self._sent(service, operation, lambda: self.client(service), parameters)

    def pages(self, service: str, operation: str, key: str, /, **parameters: Any) -> Iterator[Any]:
        """The items under `key` of every page, each page asked for when the one before is used up. Errors as `call`."""
        return (item for page in self.whole_pages(service, operation, **parameters) for item in page.get(key) or ())

    def whole_pages(self, service: str, operation: str, /, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Every page as AWS gave it, lazily: for answers with more than one list in them. Errors as `call`."""
        _refuse_unless_read(service, operation)
        return self._whole_pages(service, operation, parameters)

    def _whole_pages(self, service: str, operation: str, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        paging = self._bounded(service, operation, Call(lambda: self._paging(service, operation)))
        pages = iter(
            self._paginated(service, operation, parameters, *paging)
            if paging
            else self._pages_by_token(service, operation, parameters)
        )
        while True:
            with self.translating(service, operation):
                page = next(pages, None)
            if page is None:
                return
            yield page

    def _paging(self, service: str, operation: str) -> tuple[Any, Any] | None:
        """How botocore pages an operation, and its model; None where botocore does not know how."""
        client = self.client(service)
        if not client.can_paginate(_python_name(operation)):
            return None
        settings = self._sessions.opened().get_paginator_model(ALIASES.get(service, service)).get_paginator(operation)
        return settings, client.meta.service_model.operation_model(operation)

    def _paginated(
        self, service: str, operation: str, parameters: dict[str, Any], settings: Any, model: Any
    ) -> Iterator[dict[str, Any]]:
        """botocore's own pages, each asked for by `call`: what that does about a failure, it does about each of them."""
        from botocore.paginate import Paginator

        pages: Iterator[dict[str, Any]] = iter(
            Paginator(lambda **asked: self.call(service, operation, **asked), settings, model).paginate(**parameters)
        )
        return pages

    def _pages_by_token(self, service: str, operation: str, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """For the operations that page although botocore has no paginator for them (ecs:ListServiceDeployments)."""
        asked: dict[str, Any] = dict(parameters)
        while True:
            page = self.call(service, operation, **asked)
            yield page
            name = next((name for name in _TOKENS if page.get(name)), None)
            if name is None:
                return
            if asked.get(name) == page[name]:
                raise AwsRefused(
                    f"{service}:{operation} gave the same page again.",
                    operation=f"{service}:{operation}",
                    words=f"{name} did not change: {page[name]}",
                )
            asked[name] = page[name]

    def client(self, service: str) -> Any:
        """botocore's client of `service`, behind the same guard, but without a bound on whole calls. Raises botocore's errors."""
        return self._sessions.client(service, changes=False, read_timeout_seconds=self._read_timeout_seconds)

    def renew(self) -> None:
        """Forget the session and its clients, so that credentials renewed outside are read. Calls under way go on."""
        self._sessions = self._anew()
        self.generation += 1

    def credentials_source(self) -> str:
        """Where the credentials come from, in botocore's words: "env", "shared-credentials-file", "sso", …; "" if none.

        May ask for them (SSO, assumed roles) and wait some seconds for the instance's metadata. Raises AwsError.
        """
        found = self._bounded("sts", "GetCallerIdentity", Call(lambda: self._sessions.opened().get_credentials()))
        return str(found.method) if found else ""

    def known_profiles(self) -> tuple[str, ...]:
        """The profiles of the AWS configuration files, sorted; empty where these cannot be read."""
        from botocore.exceptions import BotoCoreError

        with suppress(BotoCoreError):
            return tuple(sorted(self._sessions.opened().available_profiles))
        return ()

    def heed(self) -> float:
        """Asked a few times a second while a call is under way: how many seconds it may still take. What it raises ends the
        waiting."""
        return math.inf

    # Below: how a call is sent, the guard, and what an error says.

    def _anew(self) -> Sessions:
        return Sessions(self.region, self.profile, self._environ, self._connect_timeout_seconds, self._guarded)

    def _guarded(self, client: Any) -> None:
        client.meta.events.register_first("before-call", self._guard)
        client.meta.events.register("before-parse", answers.check_raw)
        client.meta.events.register("after-call", answers.check_stranger)
        client.meta.events.register_first("request-created", self._attempted)
        client.meta.events.register("response-received", self._received)

    def _attempted(self, request: Any, **_: Any) -> None:
        """Before each attempt is signed. The first was taken from the budget when the call began; botocore paces the others."""
        again = request.context.get(_ATTEMPTED, False)
        request.context[_ATTEMPTED] = True
        if again and self.budget is not None:
            self.budget.charge()

    def _received(self, parsed_response: Any, **_: Any) -> None:
        code = ((parsed_response or {}).get("Error") or {}).get("Code")
        if code in THROTTLED and self.budget is not None:
            self.budget.refused()

    def _sent(
        self,
        service: str,
        operation: str,
        client: Callable[[], Any],
        parameters: Mapping[str, Any],
        permit: Permit | None = None,
    ) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            made = client()
            answer = dict(getattr(made, _python_name(operation))(**parameters))
            model = made.meta.service_model.operation_model(operation)
            # Read first: what is wrong with the rest of the answer must leave no connection behind.
            streams = {name: calls.whole(answer[name]) for name in _streams(model)}
            answers.check(model, answer)
            return answer | streams

        if self.budget is not None and permit is None:
            self.budget.take()
        seconds = WHOLE_BODY_SECONDS if operation == "GetObject" else self._whole_call_seconds
        return self._bounded(service, operation, Call(work, permit), seconds)

    def _bounded(self, service: str, operation: str, call: Call[_T], seconds: float | None = None) -> _T:
        """What is sent and read in one go. Raises AwsError, whose `maybe_done` is true only where something was sent."""
        with self.translating(service, operation, call):
            return call.carried_out(self._whole_call_seconds if seconds is None else seconds, self.heed)

    def _guard(self, model: Any, **_: Any) -> None:
        """Called by botocore before anything is sent by any of our clients, also by paginators and waiters."""
        service, operation = str(model.service_model.service_name), str(model.name)
        if not is_read_only(service, operation) and not self._permitted(service, operation):
            raise ReadOnlyViolation(service, operation)

    def _permitted(self, service: str, operation: str) -> bool:
        return False

    @contextmanager
    def translating(self, service: str, operation: str, call: Call[Any] | None = None) -> Iterator[None]:
        """Whatever botocore raises inside is raised as an AwsError. An answer that it was not made for makes it raise anything."""
        try:
            yield
        except InfraconsoleError:
            raise
        except Exception as error:
            raise translated(
                error,
                f"{service}:{operation}",
                profile=self.profile or self._variable("AWS_PROFILE") or self._variable("AWS_DEFAULT_PROFILE") or None,
                region=self.region,
                known_profiles=self.known_profiles() if type(error).__name__ == "ProfileNotFound" else (),
                source=self._sessions.credentials_source_so_far(),
                sent=call is None or call.sent,
                login_profile=self._login_profile() if is_of_sso(error) else "",
            ) from error

    def _login_profile(self) -> str:
        """The profile that SSO is logged in to for ours: a role may be taken through another one."""
        from infraconsole.aws import profiles

        environ = os.environ if self._environ is None else self._environ
        try:
            return profiles.with_login(profiles.known(environ), profiles.effective(self.profile, environ))
        except InfraconsoleError:
            return ""

    def _variable(self, name: str) -> str:
        return self._sessions.variable(name)


class ViewingAccess(AwsAccess):
    """For views, which stay while credentials expire and are renewed outside: after a read that had none, the next looks anew."""

    _missed = False
    _renewed_at = float("-inf")
    """By the clock's seconds."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._looking = threading.Lock()

    @contextmanager
    def translating(self, service: str, operation: str, call: Call[Any] | None = None) -> Iterator[None]:
        if self._missed:
            self._look_again()
        try:
            with super().translating(service, operation, call):
                yield
        except (CredentialsExpired, CredentialsMissing):
            self._missed = True
            raise

    def _look_again(self) -> None:
        # A screen reads a dozen things at once, and every new session and client costs a tenth of a second.
        with self._looking:
            now = clock.seconds()
            if self._missed and now >= self._renewed_at + RENEW_AFTER_SECONDS:
                self._missed = False
                self._renewed_at = now
                self.renew()


class ChangingAccess(AwsAccess):
    """Access that can also change. Only the executor makes one, whose steps call `change`, and what anchors the journal."""

    def __init__(self, *, change_timeout_seconds: float = CHANGE_TIMEOUT_SECONDS, **settings: Any) -> None:
        super().__init__(**settings)
        self._change_timeout_seconds = change_timeout_seconds
        self.hurried: Callable[[], bool] = lambda: False
        """Whether somebody asks to stop: then what a call did is looked up rather than its answer waited for."""
        self._hurried_since: float | None = None

    def heed(self) -> float:
        if not self.hurried():
            return super().heed()
        now = clock.seconds()
        self._hurried_since = self._hurried_since or now
        return self._hurried_since + HURRIED_SECONDS - now

    def change(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """The answer of one changing call, sent once: nothing sends it again, whatever comes back.

        Raises AwsError; where its `maybe_done` is true, only a probe can say whether AWS carried the call out.
        """
        permit = Permit(ALIASES.get(service, service), operation)
        self._hurried_since = None
        return self._sent(service, operation, self._changing_client(service), parameters, permit)

    def _changing_client(self, service: str) -> Callable[[], Any]:
        timeout = self._change_timeout_seconds
        return lambda: self._sessions.client(service, changes=True, read_timeout_seconds=timeout)

    def _permitted(self, service: str, operation: str) -> bool:
        call = calls.current()
        permit = call.permit if call else None
        if permit is None or permit.used or (permit.service, permit.operation) != (service, operation):
            return False
        permit.used = True
        return True


def _refuse_unless_read(service: str, operation: str) -> None:
    if not is_read_only(service, operation):
        raise ReadOnlyViolation(service, operation)


def _python_name(operation: str) -> str:
    from botocore import xform_name

    return str(xform_name(operation))


def _streams(model: Any) -> tuple[str, ...]:
    """The member of an answer that is a stream, where there is one."""
    return (model.output_shape.serialization["payload"],) if model.has_streaming_output else ()
