"""The one door to AWS: sessions, clients, time-outs, retries, paging, and the rule that reading is all that passes.

boto3's untyped world ends here: what comes out is plain dicts, which the service modules turn into frozen dataclasses.
botocore is imported on first use, since it costs a fifth of a second that `--version` should not pay.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from infraconsole import __version__, clock
from infraconsole.aws.errors import translated
from infraconsole.errors import EXIT_GATE_REFUSED, AwsRefused, CredentialsExpired, CredentialsMissing, InfraconsoleError

CONNECT_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 10.0
# A change whose answer does not come leaves a question that only a probe can settle, so it is given longer.
CHANGE_TIMEOUT_SECONDS = 30.0
# "adaptive" is "standard" (back-off with jitter, throttles, time-outs and 5xx sent again) and a client-side rate
# limiter that wakes at the first throttled answer. Every client here is one service in one region and account, which
# is the granularity AWS throttles at, so one thread's throttle rightly slows the others. Measured with 100 calls from 8
# threads against a limit of 20 a second: as fast as "standard", with 8 refused requests in place of 45.
RETRY_MODE = "adaptive"
READ_ATTEMPTS = 4
POOL_CONNECTIONS = 32
RENEW_AFTER_SECONDS = 3.0
"""Between two looks of a view at whether there are new credentials."""

# What may be sent without a permit, by botocore's service name. Patterns are case-sensitive; a service or operation
# that is not here is refused. Left out on purpose: whatever mints credentials (sts:GetSessionToken,
# ssm:GetAccessToken), reads that AWS answers by making something (kms:GetParametersForImport), and whole-table reads.
READS: Mapping[str, tuple[str, ...]] = {
    "acm": ("Describe*", "List*"),
    "application-autoscaling": ("Describe*", "List*"),
    "ce": ("GetCostAndUsage", "GetCostForecast"),
    "cloudtrail": ("LookupEvents", "Describe*", "GetEventSelectors", "GetTrailStatus", "ListTrails"),
    "cloudwatch": ("Describe*", "GetMetricData", "GetMetricStatistics", "List*"),
    "dynamodb": ("GetItem", "DescribeTable", "DescribeTimeToLive", "DescribeContinuousBackups", "ListTables"),
    "ec2": ("Describe*",),
    "ecr": ("BatchGetImage", "Describe*", "GetLifecyclePolicy", "GetRepositoryPolicy", "List*"),
    "ecs": ("Describe*", "List*", "GetTaskProtection"),
    "elasticache": ("Describe*", "List*"),
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

# Reads whose answer holds a secret in clear: allowed, but the caller hands the value to redaction before anything else.
SECRET_READS = frozenset({("secretsmanager", "GetSecretValue")})

_ALIASES = {"elasticloadbalancingv2": "elbv2"}
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
    return any(fnmatchcase(operation, pattern) for pattern in READS.get(_ALIASES.get(service, service), ()))


@dataclass
class _Permit:
    """Leave for one operation to be sent once, held by one thread while it is inside `ChangingAccess.change`."""

    service: str
    operation: str
    used: bool = False


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
    ) -> None:
        self.region = region
        self.profile = profile or None
        self._environ = None if environ is None or environ is os.environ else dict(environ)
        self._connect_timeout_seconds = connect_timeout_seconds
        self._read_timeout_seconds = read_timeout_seconds
        self._lock = threading.RLock()
        self._session: Any = None
        self._clients: dict[tuple[str, str], Any] = {}
        self.generation = 0
        """How often it was renewed: what was learned before may be another account's."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(region={self.region!r}, profile={self.profile!r})"

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """The answer of one reading call; `operation` in API form. Raises ReadOnlyViolation, or an AwsError."""
        _refuse_unless_read(service, operation)
        with self.translating(service, operation):
            return dict(_method(self.client(service), operation)(**parameters))

    def pages(self, service: str, operation: str, key: str, /, **parameters: Any) -> Iterator[Any]:
        """The items under `key` of every page, each page asked for when the one before is used up. Errors as `call`."""
        return (item for page in self.whole_pages(service, operation, **parameters) for item in page.get(key) or ())

    def whole_pages(self, service: str, operation: str, /, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Every page as AWS gave it, lazily: for answers with more than one list in them. Errors as `call`."""
        _refuse_unless_read(service, operation)
        return self._whole_pages(service, operation, parameters)

    def _whole_pages(self, service: str, operation: str, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        with self.translating(service, operation):
            pages = iter(
                self._paginated(service, operation, parameters)
                if self.client(service).can_paginate(_python_name(operation))
                else self._pages_by_token(service, operation, parameters)
            )
        while True:
            with self.translating(service, operation):
                page = next(pages, None)
            if page is None:
                return
            yield page

    def _paginated(self, service: str, operation: str, parameters: dict[str, Any]) -> Any:
        """botocore's own pages, each asked for by `call`: what that does about a failure, it does about each of them."""
        from botocore.paginate import Paginator

        settings = self._opened().get_paginator_model(_ALIASES.get(service, service)).get_paginator(operation)
        model = self.client(service).meta.service_model.operation_model(operation)
        return Paginator(lambda **asked: self.call(service, operation, **asked), settings, model).paginate(**parameters)

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
        """botocore's client of `service`, behind the same guard: for waiters and the like. Raises botocore's errors."""
        name = _ALIASES.get(service, service)
        return self._client(name, "read", self._read_timeout_seconds, self._read_retries)

    def renew(self) -> None:
        """Forget the session and its clients, so that credentials renewed outside are read. Calls under way go on."""
        with self._lock:
            self._session = None
            self._clients = {}
            self.generation += 1

    def credentials_source(self) -> str:
        """Where the credentials come from, in botocore's words: "env", "shared-credentials-file", "sso", …; "" if none.

        May ask for them (SSO, assumed roles) and wait some seconds for the instance's metadata. Raises AwsError.
        """
        with self.translating("sts", "GetCallerIdentity"), self._lock:
            credentials = self._opened().get_credentials()
        return str(credentials.method) if credentials else ""

    def known_profiles(self) -> tuple[str, ...]:
        """The profiles of the AWS configuration files, sorted; empty where these cannot be read."""
        from botocore.exceptions import BotoCoreError

        with suppress(BotoCoreError), self._lock:
            return tuple(sorted(self._opened().available_profiles))
        return ()

    # Below: how sessions and clients are made.

    def _variable(self, name: str) -> str:
        return (os.environ if self._environ is None else self._environ).get(name, "")

    def _opened(self) -> Any:
        with self._lock:
            if self._session is None:
                from botocore.exceptions import BotoCoreError
                from botocore.session import Session

                session = Session(profile=self.profile)
                session.user_agent_extra = f"infraconsole/{__version__}"
                session.set_config_variable("region", self.region)
                if self._environ is not None:
                    _look_up_in(session, self._environ)
                # An unknown profile fails here first; it is told where it fails again, when a client is made.
                with suppress(BotoCoreError):
                    _settle_credentials(session, self._environ)
                self._session = session
            return self._session

    def _client(self, service: str, kind: str, read_timeout_seconds: float, retries: Any) -> Any:
        # botocore's sessions are not thread-safe while a client is being made; the clients themselves are.
        with self._lock:
            client = self._clients.get((service, kind))
            if client is None:
                from botocore.config import Config

                session = self._opened()
                settings: dict[str, Any] = {
                    "connect_timeout": self._connect_timeout_seconds,
                    "read_timeout": read_timeout_seconds,
                    "retries": retries(session),
                    "max_pool_connections": POOL_CONNECTIONS,
                }
                if self._foreign_endpoint():
                    settings["ignore_configured_endpoint_urls"] = True
                client = session.create_client(
                    service,
                    region_name=self.region,
                    config=Config(**settings),
                    endpoint_url=self._endpoint_url(session, service),
                )
                client.meta.events.register_first("before-call", self._guard)
                client.meta.events.register("after-call", _refuse_a_strangers_answer)
                self._clients[(service, kind)] = client
            return client

    def _read_retries(self, session: Any) -> dict[str, Any]:
        # Somebody who set AWS_RETRY_MODE or AWS_MAX_ATTEMPTS (or the same in the profile) meant it.
        own = session.get_scoped_config()
        mode = self._variable("AWS_RETRY_MODE") or own.get("retry_mode") or RETRY_MODE
        attempts = session.get_config_variable("max_attempts") or READ_ATTEMPTS
        return {"mode": mode, "total_max_attempts": attempts}

    def _foreign_endpoint(self) -> bool:
        """Whether the process's environment points at an endpoint that our own environment does not speak of."""
        if self._environ is None:
            return False
        return any(name.startswith("AWS_ENDPOINT_URL") and not self._environ.get(name) for name in os.environ)

    def _endpoint_url(self, session: Any, service: str) -> str | None:
        if self._environ is None or self._variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").lower() == "true":
            return None
        service_id = str(session.get_service_model(service).service_id).replace(" ", "_").upper()
        return self._variable(f"AWS_ENDPOINT_URL_{service_id}") or self._variable("AWS_ENDPOINT_URL") or None

    def _guard(self, model: Any, **_: Any) -> None:
        """Called by botocore before anything is sent by any of our clients, also by paginators and waiters."""
        service, operation = str(model.service_model.service_name), str(model.name)
        if not is_read_only(service, operation) and not self._permitted(service, operation):
            raise ReadOnlyViolation(service, operation)

    def _permitted(self, service: str, operation: str) -> bool:
        return False

    @contextmanager
    def translating(self, service: str, operation: str) -> Iterator[None]:
        """Whatever botocore raises inside is raised as an AwsError: for bodies that are read after their call."""
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        try:
            yield
        # botocore itself raises RuntimeError for credentials that are expired although just refreshed.
        except (BotoCoreError, ClientError, ResponseParserError, RuntimeError, OSError) as error:
            raise translated(
                error,
                f"{service}:{operation}",
                profile=self.profile or self._variable("AWS_PROFILE") or self._variable("AWS_DEFAULT_PROFILE") or None,
                region=self.region,
                known_profiles=self.known_profiles() if type(error).__name__ == "ProfileNotFound" else (),
                source=self._source_so_far(),
            ) from error

    def _source_so_far(self) -> str:
        """As `credentials_source`, as far as it is known: the report of a failure must not start another look-up."""
        credentials = getattr(self._session, "_credentials", None)
        return str(getattr(credentials, "method", "") or "")


class ViewingAccess(AwsAccess):
    """For views, which stay while credentials expire and are renewed outside: after a read that had none, the next looks anew."""

    _missed = False
    _renewed_at = float("-inf")
    """Monotonic seconds."""

    @contextmanager
    def translating(self, service: str, operation: str) -> Iterator[None]:
        if self._missed:
            self._look_again()
        try:
            with super().translating(service, operation):
                yield
        except (CredentialsExpired, CredentialsMissing):
            self._missed = True
            raise

    def _look_again(self) -> None:
        # A screen reads a dozen things at once, and every new session and client costs a tenth of a second.
        with self._lock:
            now = clock.seconds()
            if self._missed and now >= self._renewed_at + RENEW_AFTER_SECONDS:
                self._missed = False
                self._renewed_at = now
                self.renew()


class ChangingAccess(AwsAccess):
    """Access that can also change. Only the executor makes one, whose steps call `change`, and what anchors the journal."""

    def __init__(
        self,
        *,
        region: str,
        profile: str | None = None,
        environ: Mapping[str, str] | None = None,
        connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
        read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
        change_timeout_seconds: float = CHANGE_TIMEOUT_SECONDS,
    ) -> None:
        super().__init__(
            region=region,
            profile=profile,
            environ=environ,
            connect_timeout_seconds=connect_timeout_seconds,
            read_timeout_seconds=read_timeout_seconds,
        )
        self._change_timeout_seconds = change_timeout_seconds
        self._permits = threading.local()

    def change(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """The answer of one changing call, sent once: nothing sends it again, whatever comes back.

        Raises AwsError; where its `maybe_done` is true, only a probe can say whether AWS carried the call out.
        """
        name = _ALIASES.get(service, service)
        with self.translating(service, operation):
            client = self._client(name, "change", self._change_timeout_seconds, _one_attempt)
            self._permits.held = _Permit(name, operation)
            try:
                return dict(_method(client, operation)(**parameters))
            finally:
                self._permits.held = None

    def _permitted(self, service: str, operation: str) -> bool:
        permit: _Permit | None = getattr(self._permits, "held", None)
        if permit is None or permit.used or (permit.service, permit.operation) != (service, operation):
            return False
        permit.used = True
        return True


def _one_attempt(session: Any) -> dict[str, Any]:
    return {"mode": "standard", "total_max_attempts": 1}


def _refuse_unless_read(service: str, operation: str) -> None:
    if not is_read_only(service, operation):
        raise ReadOnlyViolation(service, operation)


def _python_name(operation: str) -> str:
    from botocore import xform_name

    return str(xform_name(operation))


def _method(client: Any, operation: str) -> Any:
    return getattr(client, _python_name(operation))


def _refuse_a_strangers_answer(http_response: Any, model: Any, **_: Any) -> None:
    """A login page or a proxy's notice, answered with 200, is no JSON; botocore would take it for an empty answer, and an
    empty answer says that nothing is there."""
    service = model.service_model
    protocol = str(getattr(service, "resolved_protocol", "") or service.metadata.get("protocol", ""))
    if protocol not in {"json", "rest-json"} or model.has_streaming_output:
        return
    body = bytes(http_response.content or b"").strip()
    html = str(http_response.headers.get("content-type", "")).startswith("text/html")
    if body and not body.startswith(b"{") and (http_response.status_code < 300 or html):
        from botocore.parsers import ResponseParserError

        raise ResponseParserError(f"no JSON, but {body[:80].decode(errors='replace')!r}")


def _look_up_in(session: Any, environ: Mapping[str, str]) -> None:
    """Make the session read its settings from `environ` where it would read the process's environment."""
    from botocore.configprovider import ConfigChainFactory

    chains = ConfigChainFactory(session, environ=environ)
    store = session.get_component("config_store")
    for name, (in_file, variables, default, conversion) in session.SESSION_VARIABLES.items():
        chain = chains.create_config_chain(
            instance_name=name,
            env_var_names=variables,
            config_property_names=in_file,
            default=default,
            conversion_func=conversion,
        )
        store.set_config_provider(name, chain)


def _settle_credentials(session: Any, environ: Mapping[str, str] | None) -> None:
    """Where keys are looked for, and what happens when a code is asked for."""
    from botocore.exceptions import CredentialRetrievalError
    from botocore.utils import JSONFileCache

    resolver = session.get_component("credential_provider")
    if environ is not None:
        for provider in resolver.providers:
            if provider.METHOD == "env":
                provider.environ = environ
        # These find themselves in the process's environment, and have no other way to be told of ours.
        if "AWS_WEB_IDENTITY_TOKEN_FILE" not in environ and "AWS_WEB_IDENTITY_TOKEN_FILE" in os.environ:
            resolver.remove("assume-role-with-web-identity")
        if not any(name.startswith("AWS_CONTAINER_CREDENTIALS_") for name in environ):
            resolver.remove("container-role")
        if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            resolver.remove("iam-role")

    # A profile with an MFA device makes botocore ask for the code with getpass, which would hang a full-screen program.
    # The AWS CLI keeps what such a profile was given in its cache; through the same cache we find it there.
    def refuse(prompt: str) -> str:
        raise CredentialRetrievalError(provider="assume-role", error_msg=f"MFA code needed ({prompt.strip(': ')})")

    assume_role = resolver.get_provider("assume-role")
    assume_role.cache = JSONFileCache(str(Path("~/.aws/cli/cache").expanduser()))
    assume_role._prompter = refuse
