"""Reading AWS with patience: expired credentials are waited for, passing faults backed off from, and both are said."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from infraconsole.aws.access import AwsAccess
from infraconsole.errors import (
    AwsError,
    AwsFault,
    ClockSkew,
    CredentialsExpired,
    NetworkUnreachable,
    Throttled,
    UnexpectedAnswer,
)

_T = TypeVar("_T")

BACK_OFF_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Between the attempts of one call, on top of botocore's own."""
RENEWALS = 5
"""How often one call waits for credentials: AWS may call them expired that it has just accepted elsewhere."""


class Waiter(Protocol):
    """How a run waits; the executor's part."""

    def back_off(self, error: AwsError, seconds: float) -> None: ...

    def heed(self) -> None:
        """Asked a few times a second while a call is under way; what it raises ends the waiting for it."""

    def await_credentials(self, error: AwsError, account: Callable[[], str]) -> None:
        """Returns when `account`, whose credentials AWS takes now, is the one that it has to be. Raises where waiting is of no
        use. `error`: they have expired, or AWS refuses what they sign since this machine's clock is off."""


class PatientAccess(AwsAccess):
    """An AwsAccess for the executor's steps. Every page of a listing is a call of its own, and waited for by itself."""

    waiter: Waiter

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        return self._patiently(lambda: super(PatientAccess, self).call(service, operation, **parameters))

    def heed(self) -> float:
        self.waiter.heed()
        return super().heed()

    def account_now(self) -> str:
        """The account whose credentials AWS takes now, read anew; "" where it takes none."""
        self.renew()
        try:
            return str(super().call("sts", "GetCallerIdentity").get("Account") or "")
        except AwsError:
            return ""

    def as_of_now(self) -> AwsAccess:
        """Another access, with the credentials of this moment: whether those have expired can be asked later, whatever was
        renewed since. Raises nothing."""
        other = AwsAccess(region=self.region, profile=self.profile, environ=self._environ)
        with suppress(AwsError):
            other.credentials_source()
        return other

    def _patiently(self, attempt: Callable[[], _T]) -> _T:
        pauses, renewals = iter(BACK_OFF_SECONDS), 0
        while True:
            try:
                return attempt()
            except (CredentialsExpired, ClockSkew) as error:
                renewals += 1
                if renewals > RENEWALS:
                    raise
                self.waiter.await_credentials(error, self.account_now)
            except (Throttled, AwsFault, NetworkUnreachable, UnexpectedAnswer) as error:
                pause = next(pauses, None)
                if pause is None:
                    raise
                self.waiter.back_off(error, pause)
