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
    problem: reactive[str] = reactive("")
    slowed: reactive[str] = reactive("")

    def watch_prod(self, prod: bool) -> None:
        self.set_class(prod, "-prod")

    def watch_problem(self, problem: str) -> None:
        self.set_class(bool(problem or self.slowed), "-problem")
        self.refresh(layout=True)

    def watch_slowed(self) -> None:
        self.watch_problem(self.problem)

    def render(self) -> Content:
        prod = f" PROD · {self.environment} " if self.environment != "prod" else " PROD "
        name = prod if self.prod else f" {self.environment or 'infraconsole'} "
        parts: list[str | tuple[str, str]] = [
            (name, "bold reverse" if self.prod and self.app.current_theme.name != MONO else "bold")
        ]
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
        if told := self.problem or self.slowed:
            content = Content("\n").join([content, Content.styled(f" ! {text.line(told, 400)}", "bold")])
        return content
