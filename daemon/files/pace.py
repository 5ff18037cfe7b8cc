"""How fast this process reads and writes photos: one limit for all threads, and rests while the machine is busy.

One for a process, as its priority is: every block of every file passes here, from whatever part it comes.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

BURST = 0.1
"""Seconds of the limit that may be made up for after a pause."""
LOOK_EVERY = 30.0
"""Seconds of work between two looks at how busy the machine is."""
REST = 20.0
"""Seconds of a rest before the next look: the kernel's figures are of the last 10 s, and are to be without us."""
LONGEST_REST = 600.0
"""Seconds after which some work is done however busy the machine is: photos are to arrive some day."""


def pressure() -> float:
    """Give how busy the machine is, in percent.

    That is the share of the last 10 s in which something waited for the processor or for the disk (the kernel's
    ``/proc/pressure``), or, where the kernel does not count that, the load of the last minute for each processor.
    """
    found = [_some(f"/proc/pressure/{name}") for name in ("cpu", "io")]
    known = [share for share in found if share is not None]
    return max(known) if known else 100 * os.getloadavg()[0] / (os.cpu_count() or 1)


def _some(path: str) -> float | None:
    try:
        with open(path, encoding="ascii") as file:
            return float(file.readline().split("avg10=")[1].split()[0])
    except (OSError, IndexError, ValueError):
        return None


class Pace:
    """May be called from any thread; without a limit a call costs next to nothing."""

    def __init__(self, busy: Callable[[], float] = pressure) -> None:
        self._busy = busy
        self._rate = 0
        self._above = 0.0
        self._lock = threading.Lock()
        self._resting = threading.Lock()
        self._over = threading.Event()
        self._free_at = 0.0
        self._look_at = 0.0
        self._mine = threading.local()
        self._waiting: set[int] = set()

    def set(self, bytes_per_second: int, pause_above: float) -> None:
        """Put limits in force, 0 for none: for reading and writing together, and for how busy the machine may be."""
        # Whoever waits by the old ones comes back and waits by these.
        self._over.set()
        with self._lock:
            self._over = threading.Event()
            self._rate, self._above, self._look_at = bytes_per_second, pause_above, 0.0

    def end(self) -> None:
        """Let nobody wait any more: the program is to end."""
        self.set(0, 0.0)

    def waited(self) -> float:
        """Give the seconds that this thread has waited here in all."""
        seconds: float = getattr(self._mine, "seconds", 0.0)
        return seconds

    def is_waiting(self, thread: int) -> bool:
        """Tell whether a thread, by its number (``threading.get_ident``), rests here just now."""
        return thread in self._waiting

    def took(self, count: int) -> None:
        """Return when the bytes that were just read or written fit into the limits. Blocking."""
        if self._above or self._rate:
            began, me = time.monotonic(), threading.get_ident()
            self._waiting.add(me)
            try:
                self._took(count)
            finally:
                self._waiting.discard(me)
            self._mine.seconds = self.waited() + time.monotonic() - began

    def _took(self, count: int) -> None:
        if self._above:
            self._rest()
        if not self._rate:
            return
        with self._lock:
            rate, over, now = self._rate, self._over, time.monotonic()
            if rate:
                self._free_at = max(self._free_at, now - BURST) + count / rate
            wait = self._free_at - now
        if rate and wait > 0:
            over.wait(wait)

    def _rest(self) -> None:
        """Wait while others on this machine wait; one thread looks, the others wait for it."""
        if time.monotonic() < self._look_at:
            return
        with self._resting:
            over, above = self._over, self._above
            if not above or time.monotonic() < self._look_at:
                return
            busy, began = self._busy(), time.monotonic()
            if busy > above:
                log.info("the machine is busy (%.0f %%): photos rest", busy)
                pause = REST
                while busy > above and time.monotonic() < began + LONGEST_REST and not over.wait(pause):
                    busy, pause = self._busy(), REST / 4
                log.info("photos go on after %.0f s", time.monotonic() - began)
            if over is self._over:
                self._look_at = time.monotonic() + LOOK_EVERY


PACE = Pace()
"""The one of this process."""
