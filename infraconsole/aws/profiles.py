"""The profiles of the AWS configuration files, and what gets new credentials for one. Nothing is asked of AWS here.

botocore's own parser reads the files, so that what it takes for a profile is one here.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infraconsole.aws.errors import RENEW_VARIABLE
from infraconsole.aws.sessions import CONFIG_FILES, refuse_what_has_no_end
from infraconsole.errors import ConfigError, UnknownName

SSO, ROLE, KEYS, PROCESS, LOGIN, WEB, OTHER = "SSO", "role", "keys", "process", "login", "web identity", ""


@dataclass(frozen=True)
class Profile:
    """`account` and `role` are "" where the files do not say them; `through` is the SSO session, or the profile whose credentials
    take the role."""

    name: str
    kind: str = OTHER
    account: str = ""
    role: str = ""
    through: str = ""
    region: str = ""

    @property
    def how(self) -> str:
        """How it gets its credentials, in a few words."""
        if self.kind == ROLE:
            return f"role by {self.through}" if self.through else "role"
        return f"{self.kind} {self.through}".strip()


@dataclass(frozen=True)
class Renewal:
    """What gets new credentials for a profile: a command to run in the console, or why not, with what to type elsewhere.

    `optional` are arguments that an older program may not know.
    """

    profile: str
    command: tuple[str, ...] = ()
    why_not: str = ""
    by_hand: str = ""
    optional: tuple[str, ...] = ()


def known(environ: Mapping[str, str] | None = None) -> tuple[Profile, ...]:
    """Sorted by name, `default` first. Raises ConfigError where a file is there and cannot be read."""
    from botocore.configloader import load_config, raw_config_parse
    from botocore.exceptions import BotoCoreError

    environ = os.environ if environ is None else environ
    files = {name: str(Path(environ.get(name) or default).expanduser()) for name, default in CONFIG_FILES.items()}
    config, credentials = files["AWS_CONFIG_FILE"], files["AWS_SHARED_CREDENTIALS_FILE"]
    try:
        refuse_what_has_no_end(lambda name: environ.get(name, ""))
        parsed = load_config(config) if Path(config).is_file() else {}
        keys = raw_config_parse(credentials) if Path(credentials).is_file() else {}
    except (BotoCoreError, OSError) as error:
        raise ConfigError(
            "The AWS profiles cannot be read.", cause=str(error), mend="Fix that file; see: aws configure list-profiles"
        ) from error
    tables: dict[str, dict[str, Any]] = {name: dict(table) for name, table in parsed.get("profiles", {}).items()}
    for name, table in keys.items():
        tables.setdefault(name, {}).update(table)
    found = (_profile(name, table) for name, table in tables.items())
    return tuple(sorted(found, key=lambda profile: (profile.name != "default", profile.name)))


def _profile(name: str, table: Mapping[str, Any]) -> Profile:
    """In the order in which botocore looks for credentials."""

    def said(key: str) -> str:
        value = table.get(key)
        return value if isinstance(value, str) else ""

    region, arn = said("region"), said("role_arn")
    account, _, role = arn.partition(":iam::")[2].partition(":role/")
    if arn and said("web_identity_token_file"):
        return Profile(name, WEB, account, role, "", region)
    if arn:
        return Profile(name, ROLE, account, role, said("source_profile") or said("credential_source"), region)
    if said("sso_account_id") or said("sso_role_name") or said("sso_session") or said("sso_start_url"):
        through = said("sso_session") or said("sso_start_url")
        return Profile(name, SSO, said("sso_account_id"), said("sso_role_name"), through, region)
    if said("aws_access_key_id"):
        return Profile(name, KEYS, region=region)
    if said("login_session"):
        return Profile(name, LOGIN, region=region)
    return Profile(name, PROCESS if said("credential_process") else OTHER, region=region)


def effective(profile: str | None, environ: Mapping[str, str] | None = None) -> str:
    """The profile that botocore takes where `profile` is configured."""
    environ = os.environ if environ is None else environ
    return profile or environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or "default"


def with_login(profiles: tuple[Profile, ...], name: str) -> str:
    """The profile that SSO is logged in to for `name`: itself, or the one that its role is taken through; "" where none is."""
    by_name, seen = {profile.name: profile for profile in profiles}, set[str]()
    while name in by_name and name not in seen:
        seen.add(name)
        profile = by_name[name]
        if profile.kind == SSO:
            return name
        name = profile.through if profile.kind == ROLE else ""
    return ""


def renewal(profile: str | None, environ: Mapping[str, str] | None = None, *, named: bool = False) -> Renewal:
    """For what a person types, `named` being whether they named the profile. Raises ConfigError, and UnknownName."""
    environ = os.environ if environ is None else environ
    own = environ.get(RENEW_VARIABLE)
    if own and not named:
        return Renewal(effective(profile, environ), ("/bin/sh", "-c", own), by_hand=own)
    if profile is None and environ.get("AWS_ACCESS_KEY_ID"):
        why = (
            "The credentials come from AWS_ACCESS_KEY_ID in the environment, which a running program cannot see change."
        )
        return Renewal("", why_not=f"{why} Set new ones in the shell, then start the console again from there.")
    name = effective(profile, environ)
    profiles = known(environ)
    if name not in {each.name for each in profiles}:
        raise UnknownName("AWS profile", name, (each.name for each in profiles))
    sso = with_login(profiles, name)
    if not sso:
        return _without_sso(next(each for each in profiles if each.name == name))
    optional = ("--no-browser", "--use-device-code")
    command = ("aws", "sso", "login", "--profile", sso, *optional)
    if shutil.which("aws", path=environ.get("PATH")) is None:
        why = "There is no aws program on the PATH. Run this where there is one, as the same user on this machine:"
        return Renewal(sso, why_not=why, by_hand=shlex.join(command))
    return Renewal(sso, command, by_hand=shlex.join(command), optional=optional)


def _without_sso(profile: Profile) -> Renewal:
    option = f"--profile {shlex.quote(profile.name)}"
    why = f"Profile {profile.name} does not log in through SSO"
    if profile.kind == LOGIN:
        return Renewal(profile.name, why_not=f"{why}. Run this in another shell:", by_hand=f"aws login {option}")
    if profile.kind == ROLE:
        why += f": it takes a role by {profile.through}. This asks for an MFA code, where one is needed:"
        return Renewal(profile.name, why_not=why, by_hand=f"aws sts get-caller-identity {option}")
    by = f" ({profile.how})" if profile.kind else ""
    why += f"{by}. Renew its credentials as you usually do, then check them:"
    return Renewal(profile.name, why_not=why, by_hand=f"aws sts get-caller-identity {option}")
