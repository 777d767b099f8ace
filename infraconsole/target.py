"""The target of a run: a service, or an infrastructure module, in an environment, in one region of one account. Runs on one
target exclude each other."""

from __future__ import annotations

from dataclasses import dataclass

from infraconsole import naming


@dataclass(frozen=True)
class Target:
    """`account` is the twelve-digit AWS account id, "" as long as nobody asked AWS for it. `service` is the name of the module
    where it is one: `network`, `ecr/fileflow`."""

    service: str
    environment: str
    region: str
    account: str = ""
    is_module: bool = False

    @property
    def name(self) -> str:
        """What a person types to confirm a change: `fileflow-prod`, or a module's own name."""
        return self.service if self.is_module else naming.target_name(self.service, self.environment)

    @property
    def key(self) -> str:
        """Unique over accounts and regions, usable as a file name."""
        name = self.service.replace("/", "+")
        return f"{name}-{self.environment}-{self.region}-{self.account or 'unknown'}"

    def __str__(self) -> str:
        account = f", account {self.account}" if self.account else ""
        return f"{self.name} ({self.region}{account})"
