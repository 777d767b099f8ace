"""The state screen: the versions of one state, newest first, who holds its lock, and what can be done with a version.

Only what is looked at is read: the list a page at a time, and of the versions those that are in view.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

from infraconsole.aws.s3 import StoredObject
from infraconsole.checks.row_facts import Fact, LockFacts
from infraconsole.screens import deploying, legends
from infraconsole.screens.console_screen import ConsoleScreen
from infraconsole.screens.desk import Desk
from infraconsole.screens.places import STATE, GoTo, Place, StartRun
from infraconsole.screens.state import cells
from infraconsole.screens.state.cells import Authored, Identity, Known
from infraconsole.screens.steady import steady
from infraconsole.screens.threads import in_thread
from infraconsole.screens.widgets.rows import Rows
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import DIM, STRONG, lines, said, whole_error
from infraconsole.terraform.state import StateSummary, StateUnreadable

_PAGE = 50
_AT_ONCE = 4
_REST_SECONDS = 0.4
"""The cursor has come to rest: who wrote the version is looked up in log files, and only of what somebody looks at."""
LARGE_BYTES = 5_000_000
"""A version of this size is read only when the cursor rests on it: a screenful of them would be hundreds of megabytes."""


class StateScreen(ConsoleScreen):
    place: ClassVar[str] = STATE
    name_in_help: ClassVar[str] = "State"
    legend: ClassVar[legends.Legend] = legends.STATE
    about: ClassVar[str] = (
        "The versions of the Terraform state, newest first, as the bucket keeps them. `space` marks one and `d` compares it "
        "with the one under the cursor, resource by resource; without a mark it is compared with the current one. `R` rolls the "
        "state back to the version under the cursor: its run makes a backup first, shows what a plan would do afterwards and "
        "asks before anything changes; where the state was deleted, is not complete, or was written outside of Terraform, "
        "`R` brings the last one back that Terraform stored, and on a version of another lineage that one. `D` "
        "deploys the service or the module, `U` takes a lock away that nobody holds any more, `E` pushes or dismisses the state "
        "that an apply could not store, `M` repairs the lock table's digest where it is another state's; their runs ask too. The "
        "first 50 versions are listed; `+`, or going to the last row, reads more. A filter has all of them read, but for large "
        "ones."
    )
    refresh_seconds: ClassVar[float] = 30
    AUTO_FOCUS = "#versions"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "describe", "Compare", id="state.describe",
                tooltip="With the marked version, else with the current one; the current one: what it is"),
        Binding("space", "mark", "Mark", id="state.mark", tooltip="Compare other versions with this one"),
        Binding("R", "roll_back", "Roll back", key_display="R", id="state.roll-back",
                tooltip="Roll the state back to this version: asks before anything changes"),
        Binding("R", "undelete", "Undelete", key_display="R", id="state.undelete",
                tooltip="Take away what lies on the last whole state: asks before anything changes"),
        Binding("E", "recover", "Recover", key_display="E", id="state.recover",
                tooltip="Push or dismiss errored.tfstate: asks before anything changes"),
        Binding("M", "mend", "Mend", key_display="M", id="state.mend",
                tooltip="Make the lock table's digest agree with the state: asks before anything changes"),
        Binding("U", "unlock", "Unlock", key_display="U", id="state.unlock",
                tooltip="Release the lock: asks before anything changes"),
        Binding("D", "deploy", "Deploy", key_display="D", id="state.deploy",
                tooltip="Deploy this service or module: plans, and asks before anything changes"),
        Binding("plus", "more", "More", key_display="+", id="state.more", tooltip="Read older versions"),
        Binding("enter", "describe_one", "What it is", show=False, id="state.describe-one",
                tooltip="All that is known of this version, and of the lock"),
    ]  # fmt: skip

    def __init__(self, desk: Desk, service: str, environment: str) -> None:
        super().__init__(desk)
        self.service_name = service
        self.environment = environment
        self._versions: Fact[tuple[StoredObject, ...]] = Fact()
        self._bucket, self._key = desk.config.state_place_of(service, environment)
        self._is_module = desk.config.is_module(service)
        self._lock: Fact[LockFacts] = Fact()
        self._digest: tuple[Identity, str] = (("", ""), "")
        self._left: Path | None = None
        self._known: dict[Identity, Known] = {}
        self._asked: set[Identity] = set()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._authors: dict[str, Authored] = {}
        self._author_place = asyncio.Semaphore(1)
        self._rest: Iterator[StoredObject] | None = None
        self._paging = False
        self._is_more = False
        self._marked = ""
        self._filter = ""

    def body(self) -> ComposeResult:
        yield Says(id="headline")
        yield Rows(cells.COLUMNS, id="versions")
        yield Says(id="row-says")

    def on_mount(self) -> None:
        self.look_at(self.service_name, self.environment)
        self.set_focus(self.rows)
        self.watch(self.rows, "scroll_y", self._in_view, init=False)
        deploying.learn_runbooks(self)
        if not self._bucket:
            self.rows.end_reading(
                "No state_bucket is set here: the versions of a state are S3's, and a local state has none."
            )
        self.load()

    @property
    def rows(self) -> Rows:
        return self.query_one("#versions", Rows)

    @property
    def _listed(self) -> Sequence[StoredObject]:
        return self._versions.value or ()

    def _version(self, key: str) -> StoredObject | None:
        return next((each for place, each in enumerate(self._listed) if cells.key_of(each, place) == key), None)

    @property
    def _current(self) -> StoredObject | None:
        return cells.current_of(self._listed)

    @property
    def _is_lost(self) -> bool:
        """Whether the last version that Terraform stored is to be brought back, rather than an earlier one put on top."""
        return (
            cells.is_deleted(self._listed)
            or cells.is_broken(self._listed, self._known)
            or cells.is_written_past(self._listed, self._known, self._kept_digest)
        )

    def _read_of(self, version: StoredObject | None) -> Known | None:
        return self._known.get(version.identity) if version is not None else None

    def _undeletes(self, version: StoredObject | None) -> bool:
        """Whether `R` takes away what lies on it: no push puts a state of another lineage back."""
        if self._is_lost:
            return True
        now, found = self._read_of(self._current), self._read_of(version)
        return isinstance(now, StateSummary) and isinstance(found, StateSummary) and now.lineage != found.lineage

    @property
    def _disagrees(self) -> bool:
        """Whether the lock table keeps the digest of another state than what is stored, and that is not to be taken away."""
        found = self._read_of(self._current)
        return isinstance(found, StateSummary) and self._kept_digest not in ("", found.md5) and not self._is_lost

    @property
    def _kept_digest(self) -> str:
        """What the lock table keeps of the current version; "" where that is not known, or nothing is kept."""
        of, kept = self._digest
        return kept if self._current is not None and self._current.identity == of else ""

    # Reading

    def load(self) -> None:
        if self._bucket and not self._paging:
            self._paging = True
            # What could not be read may be by now; what is no state will never be one.
            failed = {each for each, found in self._known.items() if isinstance(found, BaseException)}
            self._asked -= {each for each in failed if not isinstance(self._known[each], StateUnreadable)}
            self._read_versions(max(_PAGE, len(self._listed)))
        self._read_lock()
        self._look_for_left()

    @work(group="versions", exit_on_error=False)
    async def _read_versions(self, count: int) -> None:
        """The newest `count` anew; those that are known already keep what was read of them, which cannot change."""
        overview, service, environment = self.desk.overview, self.service_name, self.environment

        def first() -> tuple[Iterator[StoredObject], tuple[StoredObject, ...]]:
            found = overview.state_versions(service, environment)
            return found, tuple(islice(found, count))

        try:
            self._rest, versions = await self.read(first)
            self._versions = self._versions.got(versions, self.desk.now())
            self._is_more = len(versions) == count
            self.rows.end_reading(
                f"There is no state at {self._url()}: nothing was ever applied, or the key is another."
            )
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a load: in the headline, whole on `d`
            self._versions = self._versions.failed(error)
            self.rows.end_reading(str(getattr(error, "title", error)))
        finally:
            self._paging = False
        self._draw()
        self._read_digest()

    def _url(self) -> str:
        return f"s3://{self._bucket}/{self._key}"

    @work(group="versions", exit_on_error=False)
    async def _read_more(self) -> None:
        rest = self._rest
        try:
            if rest is not None:
                found = await self.read(lambda: tuple(islice(rest, _PAGE)))
                self._is_more = len(found) == _PAGE
                self._versions = self._versions.got((*self._listed, *found), self._versions.read_at or self.desk.now())
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - as above; what is listed stays, and a refresh begins anew
            self._versions = self._versions.failed(error)
            self._rest, self._is_more = None, False
        finally:
            self._paging = False
        self._draw()

    @steady
    async def _read_lock(self) -> None:
        overview, service, environment = self.desk.overview, self.service_name, self.environment
        try:
            self._lock = self._lock.got(await self.read(lambda: overview.lock(service, environment)), self.desk.now())
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self._lock = self._lock.failed(error)
        self._draw()

    @steady
    async def _read_digest(self) -> None:
        """What cannot be read says nothing against the state; why not, the lock's own line says, which is in the same table."""
        overview, service, environment, current = self.desk.overview, self.service_name, self.environment, self._current
        if current is None:
            return
        try:
            kept = await self.read(lambda: overview.state_digest(service, environment, current))
        except asyncio.CancelledError:
            raise
        except Exception:  # noqa: BLE001 - as above
            kept = ""
        self._digest = (current.identity, kept)
        self._draw()

    @steady
    async def _look_for_left(self) -> None:
        overview, service, environment = self.desk.overview, self.service_name, self.environment
        self._left = await in_thread(lambda: overview.errored_state(service, environment), "errored.tfstate")
        self._draw()

    def _in_view(self) -> None:
        """Read the versions that are in view and not known yet; all that are listed, while a filter looks for one."""
        if not self.is_usable or not self._listed:
            return
        top = round(self.rows.scroll_y)
        current = self._current
        shown = {row.key for row in self.rows.shown[top : top + max(1, self.rows.size.height)]}
        cursor = self.rows.current_key
        for place, version in enumerate(self._listed):
            key = cells.key_of(version, place)
            searched = self._filter or key in shown
            wanted = version is current or key == cursor or (searched and version.size_bytes < LARGE_BYTES)
            if wanted and not version.is_delete_marker and version.identity not in self._asked:
                self._asked.add(version.identity)
                self.run_worker(self._learn(version), group="summaries", exit_on_error=False)

    async def _learn(self, version: StoredObject) -> None:
        overview, service, environment = self.desk.overview, self.service_name, self.environment
        async with self._places:
            try:
                self._known[version.identity] = await self.read(
                    lambda: overview.state_version(service, environment, version.version_id)
                )
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - the edge of a load: in its row, whole on Enter
                self._known[version.identity] = error
        self._draw()

    @work(exclusive=True, group="author", exit_on_error=False)
    async def _learn_author(self) -> None:
        """Who wrote the version that the cursor rests on; one look-up at a time, and none of what it has left since."""
        await asyncio.sleep(_REST_SECONDS)
        key = self.rows.current_key
        version = self._version(key)
        if version is None or self._is_author_known(key, version):
            return
        # Not in the look-up itself, which goes on when this worker is cancelled: its answer is kept all the same.
        self.run_worker(self._look_up_author(key, version), group="authors", exit_on_error=False)

    async def _look_up_author(self, key: str, version: StoredObject) -> None:
        overview, environment = self.desk.overview, self.environment
        async with self._author_place:
            if key != self.rows.current_key or self._is_author_known(key, version):
                return
            try:
                # Not `read`: what stands in the way of a side question is no matter for the band.
                self._authors[key] = await in_thread(lambda: overview.state_author(environment, version), "author")
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - the edge of a load: said on Enter
                self._authors[key] = error
        if self.is_usable:
            self._draw_row()

    def _is_author_known(self, key: str, version: StoredObject) -> bool:
        authored = self._authors.get(key)
        return authored is not None and cells.is_settled(version, authored, self.desk.now())

    # Drawing

    def tick(self) -> None:
        self._draw_headline()

    def _draw(self) -> None:
        if not self.is_usable:
            return
        self.rows.set_rows(
            cells.version_rows(self._listed, self._known, self._marked, self.desk.now(), self._kept_digest)
        )
        self.rows.set_so_far(self._so_far())
        self._draw_headline()
        self._draw_row()
        self._in_view()
        self._learn_author()
        self.refresh_bindings()

    def _unread(self, *, large: bool) -> int:
        return sum(
            (each.size_bytes >= LARGE_BYTES) == large and not each.is_delete_marker and each.identity not in self._known
            for each in self._listed
        )

    def _so_far(self) -> str:
        if self._unread(large=False):
            return "not all versions are read yet"
        if self._is_more:
            return "older versions are not listed, + lists more"
        return "large versions are read only under the cursor" if self._unread(large=True) else ""

    def _draw_headline(self) -> None:
        now, name = self.desk.now(), f"{self.service_name} {self.environment}"
        if self._bucket:
            undeletes = self._can_begin("state-undelete")
            told = cells.version_parts(
                name,
                self._versions,
                self._known,
                now,
                digest=self._kept_digest,
                more=self._is_more,
                undeletes=undeletes,
            )
        else:
            told = [(f"The state of {name}", STRONG)]
        rows = [told, cells.lock_parts(self._lock, now, unlocks=self._can_begin("state-unlock"))]
        if self._disagrees:
            rows.insert(0, cells.digest_parts(mends=self._can_begin("digest-repair")))
        if self._left is not None:
            recovers = self._can_begin("state-recover")
            rows.insert(int(self._is_lost), cells.left_parts(recovers=recovers, is_lost=self._is_lost))
        self.query_one("#headline", Says).say(lines(said(*row) for row in rows))

    def _draw_row(self) -> None:
        version = self._version(self.rows.current_key)
        says = self.query_one("#row-says", Says)
        if version is None:
            says.say(Content())
            return
        current = self._current
        known, found = self._read_of(current), self._read_of(version)
        large = version.size_bytes >= LARGE_BYTES
        by = self._authors.get(self.rows.current_key)
        told = cells.row_says(
            version, found, known, self.desk.now(), is_current=version is current, is_large=large, authored=by
        )
        unread = self._unread(large=False) if self._filter else 0
        hint = (f"{unread} of the versions listed are not read yet: they may match too.", DIM)
        says.say(lines([told, *[hint] * bool(unread)]))

    # Keys

    @on(Rows.Moved, "#versions")
    def _moved(self) -> None:
        if self.rows.cursor == len(self._listed) - 1 and self._is_more:
            self.action_more()
        self._draw_row()
        self._in_view()
        self._learn_author()
        self.refresh_bindings()

    @on(Rows.Chosen, "#versions")
    def _chosen(self) -> None:
        self.action_describe_one()

    def list_widget(self) -> Widget:
        return self.rows

    def narrow(self, words: str) -> None:
        self._filter = words.strip()
        self.rows.set_filter(words)
        self._in_view()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        version = self._version(self.rows.current_key) if self.is_usable else None
        content = version is not None and not version.is_delete_marker
        if action in ("roll_back", "undelete") and (action == "undelete") != self._undeletes(version):
            return False  # one key: what it does here is what its name says
        if action == "undelete" and not self._can_begin("state-undelete"):
            return None
        if action == "roll_back" and not (
            content and version is not self._current and self._can_begin("state-rollback")
        ):
            return None
        if action == "deploy" and not self._can_begin("deploy"):
            return None
        if action == "recover" and not (self._left is not None and self._can_begin("state-recover")):
            return False
        if action == "mend" and not (self._disagrees and self._can_begin("digest-repair")):
            return False
        if action == "unlock" and not (self._holder and self._can_begin("state-unlock")):
            return None
        if action == "mark" and not content:
            return None
        if action == "describe" and not content and self._versions.error is None:
            return None
        if action == "more" and not self._is_more:
            return None
        return super().check_action(action, parameters)

    def _can_begin(self, runbook: str) -> bool:
        return not self.desk.config.read_only and deploying.offers(runbook)

    @property
    def _holder(self) -> str:
        lock = self._lock.value.lock if self._lock.value else None
        return lock.id if lock else ""

    def action_more(self) -> None:
        if self._is_more and not self._paging:
            self._paging = True
            self._read_more()

    def action_mark(self) -> None:
        key = self.rows.current_key
        self._marked = "" if self._marked == key else key
        self._draw()

    def action_describe(self) -> None:
        version, current = self._version(self.rows.current_key), self._current
        if version is None or version.is_delete_marker:
            if self._versions.error is not None:
                self.show_error("The versions", self._versions.error)
            return
        other = self._version(self._marked) or current
        if other is None or other is version:
            self.action_describe_one()
            return
        from infraconsole.screens.state.diff import StateDiffScreen

        order = list(self._listed)
        older, newer = sorted((version, other), key=order.index, reverse=True)
        self.app.push_screen(StateDiffScreen(self.desk, self.service_name, self.environment, older, newer))

    def action_describe_one(self) -> None:
        version = self._version(self.rows.current_key)
        if version is None:
            if self._versions.error is not None:
                self.show_detail("The versions", lines(whole_error(self._versions.error)))
            return
        key = self.rows.current_key
        self.show_detail(f"The state of {self.service_name} {self.environment}", lambda: self._story(key, version))

    def _story(self, key: str, version: StoredObject) -> Content:
        now = self.desk.now()
        digest = self._kept_digest if version is self._current else ""
        by = cells.author_story(version, self._authors.get(key), now)
        told = [
            cells.version_story(version, self._read_of(version), now, digest),
            by,
            cells.lock_story(self._lock, now),
        ]
        return Content("\n\n").join([part for part in told if part.plain])

    def action_roll_back(self) -> None:
        version = self._version(self.rows.current_key)
        if version is not None:
            wish = {"version": version.version_id}
            self.post_message(StartRun("state-rollback", self.service_name, self.environment, wish))

    def action_unlock(self) -> None:
        """By its id: should another have been taken meanwhile, the run leaves that one alone."""
        self.post_message(StartRun("state-unlock", self.service_name, self.environment, {"lock": self._holder}))

    def action_undelete(self) -> None:
        version = self._version(self.rows.current_key)
        wish = {} if self._is_lost or version is None else {"version": version.version_id}
        self.post_message(StartRun("state-undelete", self.service_name, self.environment, wish))

    def action_deploy(self) -> None:
        deploying.ask(self, self.service_name, self.environment)

    def action_mend(self) -> None:
        self.post_message(StartRun("digest-repair", self.service_name, self.environment))

    def action_recover(self) -> None:
        self.post_message(StartRun("state-recover", self.service_name, self.environment))

    def action_environment(self) -> None:
        config = self.desk.config
        names = config.environments_of(self.service_name) if self._is_module else tuple(config.environments)
        following = names[(names.index(self.environment) + 1) % len(names)]
        if following == self.environment:
            return
        self.post_message(GoTo(Place(STATE, self.service_name, following), replace=True))

    def copied(self) -> tuple[str, str] | None:
        version = self._version(self.rows.current_key)
        if version is None or not version.version_id:
            return None
        return "the version id", version.version_id
