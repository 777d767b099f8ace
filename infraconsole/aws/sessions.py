"""How sessions and clients of botocore are made: settings from an environment that may not be the process's own, credentials,
time-outs, retries, endpoints.

One object is one session with its clients. Renewing credentials makes another: the locks of the one before may be held by a
call that waits for credentials which nobody hands out.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from infraconsole import __version__
from infraconsole.aws import calls

CONNECT_TIMEOUT_SECONDS = 5.0
# "adaptive" is "standard" (back-off with jitter, throttles, time-outs and 5xx sent again) and a client-side rate
# limiter that wakes at the first throttled answer. Every client here is one service in one region and account, which
# is the granularity AWS throttles at, so one thread's throttle rightly slows the others. Measured with 100 calls from 8
# threads against a limit of 20 a second: as fast as "standard", with 8 refused requests in place of 45.
RETRY_MODE = "adaptive"
READ_ATTEMPTS = 4
POOL_CONNECTIONS = 32
_PATIENCE_SECONDS = 60.0
_MOST_CONFIG_BYTES = 4 * 2**20

CONFIG_FILES = {"AWS_CONFIG_FILE": "~/.aws/config", "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials"}
"""By the variable that names another one: where profiles stand."""

ALIASES = {"elasticloadbalancingv2": "elbv2"}


class Sessions:
    """One botocore session and its clients, made when first needed. `prepare` is given every new client. Thread-safe."""

    def __init__(
        self,
        region: str,
        profile: str | None,
        environ: Mapping[str, str] | None,
        connect_timeout_seconds: float,
        prepare: Callable[[Any], None],
    ) -> None:
        self._region = region
        self._profile = profile
        self._environ = environ
        self._connect_timeout_seconds = connect_timeout_seconds
        self._prepare = prepare
        self._lock = threading.RLock()
        self._session: Any = None
        self._clients: dict[tuple[str, str], Any] = {}

    def opened(self) -> Any:
        """The session. Raises botocore's errors."""
        with self._held():
            if self._session is None:
                from botocore.exceptions import BotoCoreError
                from botocore.session import Session

                refuse_what_has_no_end(self.variable)
                session = Session(profile=self._profile)
                session.user_agent_extra = f"infraconsole/{__version__}"
                session.set_config_variable("region", self._region)
                if self._environ is not None:
                    _look_up_in(session, self._environ)
                # An unknown profile fails here first; it is told where it fails again, when a client is made.
                with suppress(BotoCoreError):
                    _settle_credentials(session, self._environ)
                self._session = session
            return self._session

    def client(self, service: str, *, changes: bool, read_timeout_seconds: float) -> Any:
        """One that tries again by itself, or, where it `changes` something, sends once. Raises botocore's errors."""
        service = ALIASES.get(service, service)
        kind = "change" if changes else "read"
        # botocore's sessions are not thread-safe while a client is being made; the clients themselves are.
        with self._held():
            client = self._clients.get((service, kind))
            if client is None:
                from botocore.config import Config

                session = self.opened()
                settings: dict[str, Any] = {
                    "connect_timeout": self._connect_timeout_seconds,
                    "read_timeout": read_timeout_seconds,
                    "retries": _ONE_ATTEMPT if changes else self._read_retries(session),
                    "max_pool_connections": POOL_CONNECTIONS,
                }
                if self._foreign_endpoint():
                    settings["ignore_configured_endpoint_urls"] = True
                client = session.create_client(
                    service,
                    region_name=self._region,
                    config=Config(**settings),
                    endpoint_url=self._endpoint_url(session, service),
                )
                calls.watch(client)
                self._prepare(client)
                self._clients[(service, kind)] = client
            return client

    @contextmanager
    def _held(self) -> Iterator[None]:
        """The lock; one that another thread keeps, because a credential process does not answer, is not waited for for ever."""
        if not self._lock.acquire(timeout=_PATIENCE_SECONDS):
            raise calls.TooLate("another call still waits for the credentials")
        try:
            yield
        finally:
            self._lock.release()

    def credentials_source_so_far(self) -> str:
        """Where the credentials come from, as far as that is known: nothing is looked up for it."""
        credentials = getattr(self._session, "_credentials", None)
        return str(getattr(credentials, "method", "") or "")

    def variable(self, name: str) -> str:
        return (os.environ if self._environ is None else self._environ).get(name, "")

    def _read_retries(self, session: Any) -> dict[str, Any]:
        # Somebody who set AWS_RETRY_MODE or AWS_MAX_ATTEMPTS (or the same in the profile) meant it.
        own = session.get_scoped_config()
        mode = self.variable("AWS_RETRY_MODE") or own.get("retry_mode") or RETRY_MODE
        attempts = session.get_config_variable("max_attempts") or READ_ATTEMPTS
        return {"mode": mode, "total_max_attempts": attempts}

    def _foreign_endpoint(self) -> bool:
        """Whether the process's environment points at an endpoint that our own environment does not speak of."""
        if self._environ is None:
            return False
        return any(name.startswith("AWS_ENDPOINT_URL") and not self._environ.get(name) for name in os.environ)

    def _endpoint_url(self, session: Any, service: str) -> str | None:
        if self._environ is None or self.variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").lower() == "true":
            return None
        service_id = str(session.get_service_model(service).service_id).replace(" ", "_").upper()
        return self.variable(f"AWS_ENDPOINT_URL_{service_id}") or self.variable("AWS_ENDPOINT_URL") or None


_ONE_ATTEMPT = {"mode": "standard", "total_max_attempts": 1}


def refuse_what_has_no_end(variable: Callable[[str], str]) -> None:
    """botocore reads whatever the two variables name to its end: a FIFO or a device has none. Raises ConfigParseError."""
    from botocore.exceptions import ConfigParseError

    for name, default in CONFIG_FILES.items():
        path = Path(variable(name) or default).expanduser()
        try:
            about = path.stat()
        except OSError:
            continue  # botocore says what it makes of that
        if not stat.S_ISREG(about.st_mode) and str(path) != os.devnull:
            raise ConfigParseError(path=f"{path}, which is not a regular file")
        if about.st_size > _MOST_CONFIG_BYTES:
            raise ConfigParseError(path=f"{path}, which is larger than {_MOST_CONFIG_BYTES // 2**20} MB")


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
