"""Looking whether something answers: seldom, only while somebody wants to know, and never in anybody's way."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from daemon.errors import RelayError, Transient
from daemon.text import shown, span_in_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.clock import Clock

log = logging.getLogger(__name__)

EVERY = 30.0
"""Seconds between two looks, however many people watch."""
SILENT = 10.0
"""Seconds after which a look that has not ended is told of; it goes on, and no second one is begun beside it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the last look gave: a value, or what went wrong. ``at`` is wall time, ``None`` where nobody has looked."""

    at: float | None = None
    value: Any = None
    error: RelayError | None = None


class Probe:
    """One thing that is looked at now and then; asking for the answer never waits."""

    def __init__(self, what: str, look: Callable[[], Awaitable[Any]], clock: Clock) -> None:
        """Name what is looked at, for messages; ``look`` gives a value or raises a :class:`RelayError`."""
        self._what = what
        self._look = look
        self._clock = clock
        self._began: float | None = None
        self._ended: float | None = None
        self._answer = Answer()

    @property
    def due(self) -> bool:
        """Tell whether it is time to look again."""
        since = self._clock.monotonic()
        return self._began is None and (self._ended is None or since - self._ended >= EVERY)

    def answer(self) -> Answer:
        """Give the last answer, or that none has come for too long."""
        if self._began is not None and (seconds := self._clock.monotonic() - self._began) > SILENT:
            words = f"{self._what} has not answered for {span_in_words(seconds)}"
            return Answer(self._answer.at, None, Transient("probe.silent", words))
        return self._answer

    async def look(self) -> None:
        """Look once; two looks never run side by side."""
        if self._began is not None:
            return
        self._began = self._clock.monotonic()
        try:
            self._answer = Answer(self._clock.wall(), await self._look())
        except RelayError as error:
            self._answer = Answer(self._clock.wall(), None, error)
        except Exception as fault:
            log.exception("%s could not be looked at", self._what)
            words = f"{self._what} could not be looked at: {type(fault).__name__}"
            self._answer = Answer(self._clock.wall(), None, Transient("probe.failed", words))
        finally:
            self._began, self._ended = None, self._clock.monotonic()


@dataclass(frozen=True, slots=True)
class Space:
    """A disk's room in bytes; ``free`` is what a user without special rights may still write."""

    path: str
    free: int
    total: int


async def in_thread(work: Callable[[], Any]) -> Any:
    """Do blocking work in a thread that is left alone where it hangs (a network mount whose server is gone)."""
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)


def space_of(*paths: str) -> Space:
    """Give the room of that one of these folders that has least. Blocking. Raises ``Transient`` ``disk.no_root``."""
    found = []
    for path in paths:
        try:
            status = os.statvfs(path)
        except OSError as error:
            raise Transient(
                "disk.no_root",
                f"{shown(path)} cannot be looked at: {error.strerror}",
                hint="see that it is mounted here",
            ) from error
        found.append(Space(path, status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize))
    return min(found, key=lambda space: space.free)
