"""Reading AWS with patience: expired credentials are waited for, passing faults backed off from, and both are said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from infraconsole.aws.access import AwsAccess
from infraconsole.errors import AwsError, AwsFault, CredentialsExpired, NetworkUnreachable, Throttled

_T = TypeVar("_T")

BACK_OFF_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Between the attempts of one call, on top of botocore's own."""


class Waiter(Protocol):
    """How a run waits; the executor's part."""

    def back_off(self, error: AwsError, seconds: float) -> None: ...

    def await_credentials(self, error: CredentialsExpired, renewed: Callable[[], bool]) -> None:
        """Returns when `renewed` says so. Raises `error` where waiting is of no use."""


class PatientAccess(AwsAccess):
    """An AwsAccess for the executor's steps."""

    waiter: Waiter

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        return self._patiently(lambda: super(PatientAccess, self).call(service, operation, **parameters))

    def whole_pages(self, service: str, operation: str, /, **parameters: Any) -> Iterator[dict[str, Any]]:
        def opened() -> tuple[dict[str, Any] | None, Iterator[dict[str, Any]]]:
            pages = super(PatientAccess, self).whole_pages(service, operation, **parameters)
            return next(pages, None), pages

        first, rest = self._patiently(opened)
        if first is not None:
            yield first
            yield from rest

    def identity_answers(self) -> bool:
        """Whether AWS takes the credentials now, read anew."""
        self.renew()
        try:
            super().call("sts", "GetCallerIdentity")
        except (CredentialsExpired, Throttled, AwsFault, NetworkUnreachable):
            return False
        return True

    def _patiently(self, attempt: Callable[[], _T]) -> _T:
        pauses = iter(BACK_OFF_SECONDS)
        while True:
            try:
                return attempt()
            except CredentialsExpired as error:
                self.waiter.await_credentials(error, self.identity_answers)
            except (Throttled, AwsFault, NetworkUnreachable) as error:
                pause = next(pauses, None)
                if pause is None:
                    raise
                self.waiter.back_off(error, pause)
