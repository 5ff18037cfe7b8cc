"""The last lines of the log, kept in memory for the page: as many as fit, whoever wrote them in whatever thread."""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINES = 5_000
BYTES = 4 << 20


class Line(NamedTuple):
    """One line: its number, its level as :mod:`logging` counts, and its text as the handler's formatter made it."""

    id: int
    level: int
    text: str


class LogRing(logging.Handler):
    """A handler that keeps lines; the oldest go first when there are more than ``lines`` or ``bytes_`` of them.

    Its numbers grow over restarts too, since they begin with the time, so that a cursor never means another line.
    """

    def __init__(self, lines: int = LINES, bytes_: int = BYTES) -> None:
        super().__init__()
        self._lines: deque[Line] = deque()
        self._most_lines = lines
        self._most_bytes = bytes_
        self._bytes = 0
        self._next = int(time.time() * 1000)
        self._listeners: set[Callable[[], None]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line. Called with the handler's lock held."""
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - logging must never fail whoever logs
            self.handleError(record)
            return
        self._lines.append(Line(self._next, record.levelno, text))
        self._next += 1
        self._bytes += len(text)
        while len(self._lines) > self._most_lines or (self._bytes > self._most_bytes and len(self._lines) > 1):
            self._bytes -= len(self._lines.popleft().text)
        for tell in tuple(self._listeners):
            with suppress(RuntimeError):  # its event loop has ended
                tell()

    def lines(self, after: int = 0) -> list[Line]:
        """Give the lines with numbers above ``after``, oldest first."""
        with self._held():
            if not self._lines or self._lines[-1].id <= after:
                return []
            first = self._lines[0].id
            return list(self._lines) if after < first else [line for line in self._lines if line.id > after]

    def last(self) -> int:
        """Give the number of the newest line, or the one before the first."""
        with self._held():
            return self._next - 1

    @contextmanager
    def listening(self, tell: Callable[[], None]) -> Iterator[None]:
        """Call ``tell``, from any thread, after each new line for as long as the block runs; it must not log."""
        with self._held():
            self._listeners.add(tell)
        try:
            yield
        finally:
            with self._held():
                self._listeners.discard(tell)

    @contextmanager
    def _held(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()
