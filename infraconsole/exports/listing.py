"""All parameters under a path, as they come: names that are known already are asked for in parallel, ten a call, while
DescribeParameters tells which others there are. Nothing is said to be gone before AWS has said so.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from infraconsole.aws.batches import batches
from infraconsole.aws.budget import carried
from infraconsole.aws.ssm import PARAMETERS_PER_CALL, Parameter, Ssm
from infraconsole.errors import AccessDenied, Throttled
from infraconsole.exports.pace import Pace

_AT_ONCE = 12
_PAUSES_SECONDS = (1.0, 2.0, 4.0)
"""Between attempts at a call that was throttled more often than botocore tries by itself."""


@dataclass(frozen=True)
class Update:
    """A piece of news: parameters as they are now (without a value: only described so far), and names that are not there."""

    parameters: tuple[Parameter, ...] = ()
    gone: tuple[str, ...] = ()


def read(ssm: Ssm, pace: Pace, path: str, known: Sequence[str] = ()) -> Generator[Update]:
    """Everything below `path`, in pieces; after the last one the picture is complete. Raises AwsError.

    `known` are names from an earlier visit: their values come first. Close the iterator to stop early.
    """
    reading = _Reading(ssm, pace, path, known)
    try:
        yield from reading.run()
    finally:
        reading.stop()


def whole(ssm: Ssm, pace: Pace, path: str) -> tuple[Parameter, ...]:
    """Everything below `path`, sorted by name. Raises AwsError."""
    picture: dict[str, Parameter] = {}
    for update in read(ssm, pace, path):
        apply(picture, update)
    return tuple(picture[name] for name in sorted(picture))


def apply(picture: dict[str, Parameter], update: Update) -> None:
    """Put the news into `picture`, by name; what is known besides of a parameter stays known."""
    for parameter in update.parameters:
        picture[parameter.name] = merged(picture.get(parameter.name), parameter)
    for name in update.gone:
        picture.pop(name, None)


def merged(before: Parameter | None, now: Parameter) -> Parameter:
    """DescribeParameters and GetParameters each tell half; of different versions the newer one holds."""
    if before is None:
        return now
    if before.version > now.version:
        return before
    described = now if now.tier or now.modified_by else before
    valued = now if now.value is not None or not (before.value and before.version == now.version) else before
    return replace(
        now,
        value=valued.value,
        arn=now.arn or before.arn,
        description=described.description,
        tier=described.tier,
        key_id=described.key_id,
        modified_by=described.modified_by,
        data_type=described.data_type,
    )


class _Reading:
    """The threads of one reading. They are daemons: a console that is left does not wait for AWS."""

    def __init__(self, ssm: Ssm, pace: Pace, path: str, known: Sequence[str]) -> None:
        self._ssm = ssm
        self._pace = pace
        self._path = path
        self._known = tuple(known)
        self._stopped = threading.Event()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._news: queue.SimpleQueue[Update | BaseException | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._pending = 0

    def run(self) -> Iterator[Update]:
        self._begin(self._sweep)
        self._begin_values(self._known)
        for number in range(_AT_ONCE):
            threading.Thread(target=carried(self._serve), name=f"exports {number}", daemon=True).start()
        while (news := self._news.get()) is not None:
            if isinstance(news, BaseException):
                raise news
            yield news

    def stop(self) -> None:
        self._stopped.set()
        for _ in range(_AT_ONCE):
            self._work.put(None)

    def _begin(self, work: Callable[[], None]) -> None:
        with self._lock:
            self._pending += 1
        self._work.put(work)

    def _begin_values(self, names: Sequence[str]) -> None:
        for batch in batches(names, PARAMETERS_PER_CALL):
            self._begin(partial(self._read_values, batch))

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                if not self._stopped.is_set():
                    work()
            except BaseException as error:  # noqa: BLE001 - it is raised again where the news are read
                self._stopped.set()
                self._news.put(error)
            with self._lock:
                self._pending -= 1
                if not self._pending:
                    self._news.put(None)

    def _sweep(self) -> None:
        """Which parameters there are, and all that is not their values."""
        there: set[str] = set()
        known = set(self._known)
        try:
            for page in self._ssm.described_under(self._path):
                if self._stopped.is_set():
                    return
                there.update(parameter.name for parameter in page)
                self._news.put(Update(page))
                self._begin_values([parameter.name for parameter in page if parameter.name not in known])
        except AccessDenied:
            # ssm:DescribeParameters is a permission of its own, and the values alone are worth having.
            there = self._sweep_by_path()
        self._news.put(Update(gone=tuple(known - there)))

    def _sweep_by_path(self) -> set[str]:
        there: set[str] = set()
        pages = self._ssm.pages_under(self._path)
        while not self._stopped.is_set():
            self._pace.wait()
            page = next(pages, None)
            if page is None:
                break
            there.update(parameter.name for parameter in page)
            self._news.put(Update(page))
        return there

    def _read_values(self, names: Sequence[str]) -> None:
        for pause in (*_PAUSES_SECONDS, None):
            self._pace.wait()
            if self._stopped.is_set():
                return
            try:
                found, missing = self._ssm.parameters(names)
            except Throttled:
                if pause is None:
                    raise
                self._stopped.wait(pause)
            else:
                self._news.put(Update(found, missing))
                return
