"""Signs that kernel events may have been lost: the kernel's queue overflows without a word, so look for causes.

The kernel does say it (``IN_Q_OVERFLOW``, inotify(7)), but the library that listens does not pass it on.
"""

from __future__ import annotations

from dataclasses import dataclass

STALL = 2.0
"""Seconds by which a tick may come late before the process counts as starved (paused, suspended, no CPU time)."""

DRIFT = 2.0
"""Seconds by which wall and monotonic time may part between two ticks; in suspend only the wall clock goes on."""


@dataclass(slots=True)
class Watchdog:
    """Compares each tick with the one before and names what is odd about the time between."""

    period: float
    _monotonic: float | None = None
    _wall: float = 0.0

    def tick(self, monotonic: float, wall: float, *, early: bool = False) -> str | None:
        """Note a tick that should come every ``period`` seconds; give a reason for suspicion, or ``None``.

        ``early``: something else came first, so this one says nothing of a stall.
        """
        before, wall_before = self._monotonic, self._wall
        self._monotonic, self._wall = monotonic, wall
        if before is None:
            return None
        passed, wall_passed = monotonic - before, wall - wall_before
        if not early and passed - self.period > STALL:
            return f"the program stood still for {passed - self.period:.1f} s"
        if abs(wall_passed - passed) > DRIFT:
            return f"the wall clock moved {wall_passed - passed:+.1f} s against the monotonic clock (suspend?)"
        return None


@dataclass(slots=True)
class Pauses:
    """Growing pauses between attempts; back to none once things have been well for ``calm`` seconds."""

    first: float = 0.1
    longest: float = 30.0
    calm: float = 60.0
    _pause: float = 0.0
    _last: float | None = None

    def after_failure(self, now: float) -> float:
        """Give the seconds to wait before the next attempt: none after the first failure for a while."""
        if self._last is None or now - self._last > self.calm + self._pause:
            self._pause = 0.0
        else:
            self._pause = min(self.longest, max(self.first, self._pause * 2))
        self._last = now
        return self._pause
