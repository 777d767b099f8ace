"""One HTTP question to a service's health path. Nothing but the status is believed, nothing is followed, and no body is read."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass

from infraconsole.aws.calls import Call, TooLate, current, patiently


@dataclass(frozen=True)
class HealthAnswer:
    """`status` is the HTTP status, None where no answer came; then `reason` says why."""

    url: str
    status: int | None
    reason: str = ""

    @property
    def healthy(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    def __str__(self) -> str:
        return (
            f"{self.url} answers {self.status}"
            if self.status is not None
            else f"{self.url} does not answer: {self.reason}"
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class _Plain(http.client.HTTPConnection):
    """Known to the call it belongs to, which shuts it when its time is over."""

    used_by: object = None

    def connect(self) -> None:
        super().connect()
        _claim(self)


class _Secure(http.client.HTTPSConnection):
    used_by: object = None

    def connect(self) -> None:
        super().connect()
        _claim(self)


def _claim(connection: http.client.HTTPConnection) -> None:
    call = current()
    if call is not None:
        call.claim(connection)


class _Http(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Plain, request)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        # The certificate is not checked: a load balancer's own DNS name never matches the certificate of the site behind it,
        # and no secret is sent.
        return self.do_open(_Secure, request, context=ssl._create_unverified_context())  # noqa: S323


def ask(url: str, *, timeout_seconds: float = 5.0) -> HealthAnswer:
    """GET `url` (http or https) without following redirects; the answer's head has to be whole in `timeout_seconds`."""
    try:
        return Call(lambda: _asked(url, timeout_seconds)).carried_out(timeout_seconds, patiently)
    except TooLate as error:
        return HealthAnswer(url, None, str(error))


def _asked(url: str, timeout_seconds: float) -> HealthAnswer:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Http(), _Https(), _NoRedirect())
    try:
        with opener.open(url, timeout=timeout_seconds) as answer:
            return HealthAnswer(url, int(answer.status))
    except urllib.error.HTTPError as error:
        with error:
            return HealthAnswer(url, error.code)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        return HealthAnswer(url, None, str(getattr(error, "reason", error)))
