"""What a person looks with in place of the configured profile and region: for this console, until it ends or they go back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infraconsole.checks.row_facts import Account
    from infraconsole.config import Config

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


def foreign(own: Config, looking: Looking, environment: str, account: Account) -> str:
    """Where the account that is read is not the one that the configuration names; "" where it is, or none is named."""
    expected = own.environment(environment).account
    if not expected or expected == account.id:
        return ""
    if looking.profile:
        return (
            f"Profile {looking.profile} is account {account.name}, not {environment}'s {expected}: this is not {environment}. "
            "No run can be started. Back: :profile -"
        )
    return (
        f"These credentials belong to account {account.name}; {environment} is account {expected} in "
        f"{own.file or 'the configuration'}. No run can be started."
    )


def elsewhere(own: Config, looking: Looking, environment: str) -> str:
    """Where another region is looked at than the environment's; "" where it is that."""
    region = own.known_region(environment)
    if not looking.region or looking.region == region:
        return ""
    return (
        f"You look at {looking.region}; {environment} is in {region or 'no region yet'}. No run can be started. "
        "Back: :region -"
    )
