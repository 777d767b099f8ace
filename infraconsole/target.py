"""The target of a run: a service in an environment, in one region of one account. Runs on one target exclude each other."""

from __future__ import annotations

from dataclasses import dataclass

from infraconsole import naming


@dataclass(frozen=True)
class Target:
    """`account` is the twelve-digit AWS account id, "" as long as nobody asked AWS for it."""

    service: str
    environment: str
    region: str
    account: str = ""

    @property
    def name(self) -> str:
        """What a person types to confirm a change: `fileflow-prod`."""
        return naming.target_name(self.service, self.environment)

    @property
    def key(self) -> str:
        """Unique over accounts and regions, usable as a file name."""
        return f"{self.service}-{self.environment}-{self.region}-{self.account or 'unknown'}"

    def __str__(self) -> str:
        account = f", account {self.account}" if self.account else ""
        return f"{self.name} ({self.region}{account})"
