"""Which Terraform or OpenTofu works on each repository, and whether it is the one that the code asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from infraconsole.checks.findings import Finding, Level
from infraconsole.checks.state_protection import roots
from infraconsole.config import Config, Program
from infraconsole.errors import InfraconsoleError, ToolMissing
from infraconsole.terraform import binary, pins
from infraconsole.terraform.binary import Binary


class Programs:
    """Asks each program once."""

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        self.config = config
        self._environ = environ
        self._known: dict[Program, Binary | ToolMissing] = {}

    def of(self, name: str) -> Binary | ToolMissing:
        """What works on a service or module."""
        program = self.config.program_of(name)
        if program not in self._known:
            try:
                self._known[program] = binary.find(self._environ, program)
            except ToolMissing as error:
                self._known[program] = error
        return self._known[program]

    def version_of(self, name: str) -> tuple[int, ...]:
        """() where there is none."""
        found = self.of(name)
        return found.at_least if isinstance(found, Binary) else ()

    def findings(self) -> Iterator[Finding]:
        """Programs that the settings name and that are not there, and versions that the code does not want."""
        for name in dict.fromkeys(name for name, _ in roots(self.config)):
            found = self.of(name)
            if isinstance(found, ToolMissing):
                if self.config.program_of(name).binary:
                    yield Finding("terraform-missing", "error", name, f"{found.title} {found.cause}", found.mend)
                continue
            yield from self._unmet(name, found)

    def _unmet(self, name: str, tool: Binary) -> Iterator[Finding]:
        try:
            path = self.config.service(name).path if name in self.config.services else None
            root = path or (self.config.infrastructure / name if self.config.infrastructure else None)
        except InfraconsoleError:
            return
        for pin in pins.unmet(root, tool.version, tool.product, tofu=tool.is_tofu) if root else ():
            (message,) = pins.sentences([pin], tool.version, tool.product)
            mend = "Install that version, or name its program: [terraform] binary."
            refused = " Every init fails." if pin.binds else ""
            level: Level = "error" if pin.binds else "warning"
            yield Finding("terraform-version", level, name, f"{message}{refused}", mend, file=str(pin.file))
