"""Who we are to AWS: the account and identity behind the credentials. Asked first of all,
since it needs no permission."""

from __future__ import annotations

from dataclasses import dataclass

from infraconsole.aws.access import AwsAccess
from infraconsole.errors import AccessDenied, CredentialsExpired


@dataclass(frozen=True)
class Identity:
    """From GetCallerIdentity. `name` is what a person calls it: the user, the role's session, or root."""

    account: str
    arn: str
    user_id: str
    name: str


def identity(access: AwsAccess) -> Identity:
    """Whose credentials these are. AWS answers this to everybody whose credentials are valid. Raises AwsError."""
    answer = access.call("sts", "GetCallerIdentity")
    arn = str(answer.get("Arn") or "")
    return Identity(
        account=str(answer.get("Account") or ""),
        arn=arn,
        user_id=str(answer.get("UserId") or ""),
        name=arn.rsplit(":", 1)[-1].rsplit("/", 1)[-1],
    )


def expiry(access: AwsAccess) -> CredentialsExpired | None:
    """What AWS says where it calls these credentials expired; None where it accepts them. Raises any other AwsError."""
    try:
        identity(access)
    except CredentialsExpired as error:
        return error
    return None


def account_alias(access: AwsAccess) -> str | None:
    """The account's alias; None where it has none, or may not be read. Raises any other AwsError."""
    try:
        return next((str(alias) for alias in access.pages("iam", "ListAccountAliases", "AccountAliases")), None)
    except AccessDenied:
        return None
