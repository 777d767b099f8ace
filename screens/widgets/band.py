"""The band at the top: which environment, account and region one looks at, so that prod is never mistaken for dev."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from infraconsole import text
from infraconsole.checks.row_facts import Account
from infraconsole.screens.themes import MONO


class Band(Static):
    """One line; a second one appears while something (credentials, network) stands in the way of reading."""

    service: reactive[str] = reactive("")
    environment: reactive[str] = reactive("")
    where: reactive[str] = reactive("")
    prod: reactive[bool] = reactive(False)
    account: reactive[Account | None] = reactive(None)
    read_only: reactive[bool] = reactive(False)
    world: reactive[str] = reactive("")
    operator: reactive[str] = reactive("")
    override: reactive[str] = reactive("")
    """What is looked with in place of the configured profile and region."""
    foreign: reactive[str] = reactive("")
    """Why what is shown is not this environment."""
    problem: reactive[str] = reactive("")
    slowed: reactive[str] = reactive("")

    def watch_prod(self, prod: bool) -> None:
        self.set_class(prod, "-prod")

    def watch_problem(self) -> None:
        self.set_class(bool(self.problem or self.slowed or self.foreign), "-problem")
        self.refresh(layout=True)

    watch_foreign = watch_slowed = watch_problem

    def render(self) -> Content:
        prod = f" PROD · {self.environment} " if self.environment != "prod" else " PROD "
        name = prod if self.prod else f" {self.environment or 'infraconsole'} "
        parts: list[str | tuple[str, str]] = [
            (name, "bold reverse" if self.prod and self.app.current_theme.name != MONO else "bold")
        ]
        if self.override:
            parts += [" ", (text.line(self.override, 100), "bold reverse" if not self.prod else "bold underline"), " ·"]
        details = [
            self.service,
            "READ-ONLY" if self.read_only else "",
            self.world,
            self.account.name if self.account else "",
            self.where,
            self.operator,
        ]
        parts.append(" " + " · ".join(text.line(detail, 60) for detail in details if detail))
        content = Content.assemble(*parts)
        told = [text.line(words, 400) for words in (self.foreign, self.problem or self.slowed) if words]
        return Content("\n").join([content, *(Content.styled(f" ! {words}", "bold") for words in told)])
