"""What gets new credentials: the team's own tool, where the environment names one."""

from __future__ import annotations

import pytest

from infraconsole.aws.errors import RENEW_VARIABLE, translated
from infraconsole.errors import AwsError


class UnauthorizedSSOTokenError(Exception):
    """Told by its name, as botocore's is."""


class NoCredentialsError(Exception):
    """As above."""


EXPIRED = Exception("expired")
EXPIRED.response = {"Error": {"Code": "ExpiredToken", "Message": "expired"}}  # type: ignore[attr-defined]


def mend(error: Exception, source: str) -> str:
    ours: AwsError = translated(error, "sts:GetCallerIdentity", profile="prod", region="ap-northeast-2", source=source)
    return ours.mend


@pytest.mark.parametrize(
    ("error", "source"),
    [
        (EXPIRED, "shared-credentials-file"),
        (EXPIRED, "sso"),
        (EXPIRED, "assume-role"),
        (UnauthorizedSSOTokenError("x"), "sso"),
        (NoCredentialsError("x"), ""),
    ],
)
def test_the_teams_own_tool_is_named(monkeypatch: pytest.MonkeyPatch, error: Exception, source: str) -> None:
    monkeypatch.delenv(RENEW_VARIABLE, raising=False)
    assert "aws s" in mend(error, source)
    monkeypatch.setenv(RENEW_VARIABLE, "company-login prod")
    told = mend(error, source)
    assert "company-login prod" in told
    assert "aws s" not in told


def test_no_tool_renews_what_stands_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RENEW_VARIABLE, "company-login prod")
    assert "AWS_ACCESS_KEY_ID" in mend(EXPIRED, "env")
