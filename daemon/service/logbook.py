"""The log and the audit trail, as a front end reads them."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from daemon.logs import redact, ring
from daemon.service.filters import invalid, within_int64
from daemon.service.photos import audit_line
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from daemon.ledger.ledger import Ledger
    from daemon.log_ring import Line, LogRing

LIMIT, MOST = 200, 1000
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
AT_ONCE = 500
"""Lines that a listener gets at once at most; one that was too slow for more is told how many it has missed."""


class LogBook:
    """The last lines of the log, and who did what."""

    def __init__(self, ledger: Ledger, kept: LogRing = ring) -> None:
        self._ledger = ledger
        self._ring = kept

    async def lines(
        self, *, level: str | None = None, q: str | None = None, before: int | None = None, limit: int = LIMIT
    ) -> dict[str, Any]:
        """Give lines of at least that level that have ``q`` in them, newest first, and the cursor to go on with.

        Raises ``NeedsPerson`` ``request.invalid``.
        """
        least = _level(level)
        return await anyio.to_thread.run_sync(self._lines, least, q or "", before, max(1, min(limit, MOST)))

    def _lines(self, least: int, q: str, before: int | None, limit: int) -> dict[str, Any]:
        wanted = q.casefold()
        found: list[dict[str, Any]] = []
        for line in reversed(self._ring.lines()):
            if line.level < least or (before is not None and line.id >= before):
                continue
            told = _told(line)
            if wanted and wanted not in _searched(told):
                continue
            if len(found) == limit:
                return {"lines": found, "next": found[-1]["id"]}
            found.append(told)
        return {"lines": found, "next": None}

    async def download(self) -> AsyncIterator[bytes]:
        """Give all lines that are kept as text, oldest first."""
        lines = await anyio.to_thread.run_sync(self._ring.lines)
        for start in range(0, len(lines), AT_ONCE):
            part = lines[start : start + AT_ONCE]
            yield await anyio.to_thread.run_sync(lambda part=part: "".join(map(_as_text, part)).encode())  # type: ignore[misc]

    def subscribe(self, level: str | None = None) -> LogLines:
        """Give new lines of at least that level: ``with log.subscribe("info") as lines: async for batch in lines``."""
        return LogLines(self._ring, _level(level))

    async def audit(self, *, before: int | None = None, limit: int = LIMIT) -> dict[str, Any]:
        """Give the audit trail, newest first, and the cursor to go on with."""
        limit = max(1, min(limit, MOST))
        before = None if before is None else within_int64(before)
        found = await anyio.to_thread.run_sync(self._ledger.audit.lines, before, limit + 1)
        lines = [audit_line(line) for line in found[:limit]]
        return {"lines": lines, "next": lines[-1]["id"] if len(found) > limit else None}


class LogLines:
    """A listener to the log. It keeps nothing but how far it has read: a slow one costs no memory.

    Iterate over it, in the event loop it was entered in, for lists of lines, oldest first. Where it was too slow, the
    first line of a list is one that says how many were left out.
    """

    def __init__(self, kept: LogRing, least: int) -> None:
        self._ring = kept
        self._least = least
        self._at = 0
        self._event = asyncio.Event()
        self._woken = False

    def __enter__(self) -> LogLines:
        self._loop = asyncio.get_running_loop()
        self._at = self._ring.last()
        self._listening = self._ring.listening(self._tell)
        self._listening.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.__exit__(kind, error, trace)

    def _tell(self) -> None:
        # One call waits in the loop at a time, however many lines come meanwhile.
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._event.set)

    async def __aiter__(self) -> AsyncIterator[list[dict[str, Any]]]:
        while True:
            self._event.clear()
            self._woken = False
            found = self.take()
            if found:
                yield found
            else:
                await self._event.wait()

    def take(self) -> list[dict[str, Any]]:
        """Give the lines that have come since the last time, without waiting."""
        lines = self._ring.lines(self._at)
        if not lines:
            return []
        missed = lines[0].id - self._at - 1
        self._at = lines[-1].id
        wanted = [line for line in lines if line.level >= self._least]
        missed += max(0, len(wanted) - AT_ONCE)
        told = [_told(line) for line in wanted[-AT_ONCE:]]
        if missed and told:
            note = {"area": "log", "message": f"{missed} lines came too fast to be shown here", "extra": {}}
            told.insert(0, {**told[0], "level": "warning", **note, "id": told[0]["id"] - 1})
        return told


def _told(line: Line) -> dict[str, Any]:
    # Once more without secrets: one that became known only after the line was written is taken out here.
    entry = json.loads(redact.clean(line.text))
    first = {key: entry.pop(key) for key in ("time", "level", "area", "message")}
    return {"id": line.id, **first, "extra": entry}


def _searched(told: dict[str, Any]) -> str:
    return f"{told['area']} {told['message']} {' '.join(map(str, told['extra'].values()))}".casefold()


def _as_text(line: Line) -> str:
    told = _told(line)
    more = "".join(f" {key}={value}" for key, value in told["extra"].items() if key != "trace")
    trace = "".join(f"\n  | {each}" for each in told["extra"].get("trace", ()))
    return f"{told['time']} {told['level'].upper():<7} {told['area']}: {told['message']}{more}{trace}\n"


def _level(name: str | None) -> int:
    if not name:
        return logging.NOTSET
    if name.lower() not in LEVELS:
        raise invalid(f"there is no level {shown(name)}; levels are {', '.join(LEVELS)}")
    return LEVELS[name.lower()]
