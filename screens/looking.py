"""What a person looks with in place of the configured profile and region: for this console, until it ends or they go back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infraconsole.checks.row_facts import Account
    from infraconsole.config import Config

PROFILE, REGION = "profile", "region"
CONFIGURED = "-"
"""Typed in place of a name: what the configuration says."""


@dataclass(frozen=True)
class Looking:
    """ "" is what the configuration says."""

    profile: str = ""
    region: str = ""

    @property
    def is_configured(self) -> bool:
        return not (self.profile or self.region)

    @property
    def words(self) -> str:
        """For the band; "" where nothing is overridden."""
        parts = (f"profile {self.profile}" if self.profile else "", f"region {self.region}" if self.region else "")
        told = ", ".join(part for part in parts if part)
        return f"{told} (override)" if told else ""

    def with_profile(self, name: str) -> Looking:
        return replace(self, profile="" if name == CONFIGURED else name)

    def with_region(self, code: str) -> Looking:
        return replace(self, region="" if code == CONFIGURED else code)

    def over(self, config: Config) -> Config:
        return config if self.is_configured else config.seen_with(self.profile, self.region)


def foreign(own: Config, looking: Looking, environment: str, account: Account | None = None) -> str:
    """Why what is shown is not this environment, as far as that is known; "" where it is. `account` is the one that is read, None
    before that is known."""
    expected, region = own.environment(environment).account, own.known_region(environment)
    reasons, back = [], []
    if account is not None and expected and expected != account.id:
        whose = f"Profile {looking.profile} is" if looking.profile else "These credentials belong to"
        reasons.append(f"{whose} account {account.id}, {environment} is {expected}.")
        back += [f":{PROFILE} {CONFIGURED}"] if looking.profile else []
    if looking.region and looking.region != region:
        reasons.append(f"You look at {looking.region}, {environment} is in {region or 'no region yet'}.")
        back.append(f":{REGION} {CONFIGURED}")
    if not reasons:
        return ""
    follows = f"This is not {environment}: no run can be started."
    return " ".join((*reasons, follows, f"Back: {', '.join(back)}" if back else "")).rstrip()
