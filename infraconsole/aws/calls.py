"""One call to AWS, bounded as a whole: carried out in a thread of its own, so that nobody waits for it longer than they want.

botocore bounds each read from its socket, never an answer: one that drips byte by byte would take for ever, and so would a
credential process or a name server that does not answer. A call that is given up sends nothing more: the check and the start
of a request exclude each other, and the connection it holds is shut, which ends the thread.
"""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from infraconsole import clock

_T = TypeVar("_T")

MOST_BYTES = 64 * 2**20
"""Of an answer that is a document. AWS's own pages have a few megabytes at most."""
MOST_BODY_BYTES = 512 * 2**20
"""Of an object that is read whole: far more than any state Terraform could still work with."""
_CHUNK_BYTES = 2**18
_PULSE_SECONDS = 0.25

_thread = threading.local()
_claiming = threading.Lock()
"""Held for a moment, while a connection changes hands or is shut."""


class GivenUp(BaseException):
    """Ends the thread of a call that nobody waits for any more. No Exception: botocore would take it for a fault and try again."""


class TooLate(Exception):
    """The call did not end in time."""


class TooLarge(Exception):
    """The answer is longer than any that AWS gives."""


@dataclass
class Permit:
    """Leave for one changing operation to be sent, once."""

    service: str
    operation: str
    used: bool = False


class Call(Generic[_T]):
    """`work` in a thread of its own. `sent` says afterwards whether anything may have gone over a connection."""

    def __init__(self, work: Callable[[], _T], permit: Permit | None = None) -> None:
        self.permit = permit
        self.sent = False
        self._work = work
        self._given_up = False
        self._connection: Any = None
        self._done = threading.Event()
        self._result: _T
        self._error: BaseException | None = None

    def carried_out(self, seconds: float, heed: Callable[[], float]) -> _T:
        """The result, or the exception. TooLate after `seconds`; `heed` is asked a few times a second how many seconds may still
        pass from then on, and may raise."""
        deadline = clock.seconds() + seconds
        threading.Thread(target=self._run, name="aws", daemon=True).start()
        try:
            while not self._done.wait(min(_PULSE_SECONDS, max(0.0, deadline - clock.seconds()))):
                deadline = min(deadline, clock.seconds() + heed())
                if clock.seconds() >= deadline:
                    raise TooLate(f"no whole answer in {seconds:g} s")
        except BaseException:
            # Its answer may have come in this very moment. Not later: what is shut reads as an answer that was cut off.
            if self._give_up():
                raise
        if self._error is not None:
            raise self._error
        return self._result

    def claim(self, connection: Any) -> None:
        """Called in the call's thread before and after a connection is made, and before a request goes over it."""
        with _claiming:
            if self._given_up:
                raise GivenUp
            connection.used_by = self
            self._connection = connection
            self.sent = self.sent or connection.sock is not None

    def _run(self) -> None:
        _thread.call = self
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised again where the call is waited for
            self._error = error
        finally:
            _thread.call = None
            with _claiming:
                self._let_go()
                self._done.set()

    def _let_go(self) -> None:
        """The pool outlives whoever made it: urllib3 keeps its connections until it is collected, and with them what they know."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.used_by is self:
            connection.used_by = None

    def _give_up(self) -> bool:
        """False where it has ended."""
        with _claiming:
            if self._done.is_set():
                return False
            self._given_up = True
            connection = self._connection
            # One that went back to its pool may be another call's by now.
            if connection is not None and connection.used_by is self and connection.sock is not None:
                # Of the socket itself, past TLS: what waits for it in the other thread wakes up.
                with suppress(OSError, ValueError):
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
        return True


def patiently() -> float:
    """Nothing calls the waiting off."""
    return math.inf


def current() -> Call[Any] | None:
    """The call that this thread carries out."""
    call: Call[Any] | None = getattr(_thread, "call", None)
    return call


def watch(client: Any) -> None:
    """Make a botocore client's connections known to the calls that use them, and bound its answers' size."""
    session = client._endpoint.http_session
    classes = _pool_classes()
    session._pool_classes_by_scheme = classes
    session._manager.pool_classes_by_scheme = classes
    client._endpoint.http_session = _Bounded(session)


def whole(body: Any) -> bytes:
    """A streaming body to its end; it is closed. Raises TooLarge, and botocore's errors."""
    with closing(body):
        return _joined(iter(lambda: body.read(_CHUNK_BYTES), b""), MOST_BODY_BYTES)


def _joined(chunks: Any, most: int) -> bytes:
    kept, length = [], 0
    for chunk in chunks:
        kept.append(chunk)
        length += len(chunk)
        if length > most:
            raise TooLarge(f"more than {most // 2**20} MB")
    return b"".join(kept)


class _Bounded:
    """botocore's HTTP session, which reads an answer of any length into memory; this one reads to a limit."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def send(self, request: Any) -> Any:
        from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
        from urllib3.exceptions import ProtocolError
        from urllib3.exceptions import ReadTimeoutError as LateError

        streams, request.stream_output = request.stream_output, True
        try:
            response = self._session.send(request)
            if not streams or response.status_code >= 300:
                response._content = _joined(response.raw.stream(), MOST_BYTES)
        except TooLarge:
            response.raw.close()
            raise
        except LateError as error:
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
        except ProtocolError as error:
            raise ConnectionClosedError(error=error, request=request, endpoint_url=request.url) from error
        finally:
            request.stream_output = streams
        return response

    def close(self) -> None:
        self._session.close()


def _pool_classes() -> dict[str, Any]:
    """Made when botocore is there already: importing it costs too much for a module's head."""
    from botocore.awsrequest import (
        AWSHTTPConnection,
        AWSHTTPConnectionPool,
        AWSHTTPSConnection,
        AWSHTTPSConnectionPool,
    )

    def watched(connection_class: Any, pool_class: Any) -> Any:
        class Connection(connection_class):  # type: ignore[misc]
            used_by: Call[Any] | None = None

            def connect(self) -> None:
                _claim(self)
                super().connect()
                _claim(self)

            def request(self, *arguments: Any, **options: Any) -> Any:
                _claim(self)
                return super().request(*arguments, **options)

        class Pool(pool_class):  # type: ignore[misc]
            ConnectionCls = Connection

        return Pool

    return {
        "http": watched(AWSHTTPConnection, AWSHTTPConnectionPool),
        "https": watched(AWSHTTPSConnection, AWSHTTPSConnectionPool),
    }


def _claim(connection: Any) -> None:
    call = current()
    if call is not None:
        call.claim(connection)
