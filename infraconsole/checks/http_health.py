"""One HTTP question to a service's health path. Nothing but the status is believed, and nothing is followed."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass


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


def ask(url: str, *, timeout_seconds: float = 5.0) -> HealthAnswer:
    """GET `url` (http or https) without following redirects.

    The certificate is not checked: a load balancer's own DNS name never matches the certificate of the site behind it, and
    no secret is sent.
    """
    context = ssl._create_unverified_context()  # noqa: S323
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _NoRedirect()
    )
    try:
        with opener.open(url, timeout=timeout_seconds) as answer:
            return HealthAnswer(url, int(answer.status))
    except urllib.error.HTTPError as error:
        with error:
            return HealthAnswer(url, error.code)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        return HealthAnswer(url, None, str(getattr(error, "reason", error)))
