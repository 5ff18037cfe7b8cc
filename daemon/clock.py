"""Time, from one object, so that tests need not sleep."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import anyio


class Clock:
    """The machine's clocks: wall time for people and the ledger, monotonic time for waiting."""

    def now(self) -> datetime:
        """Give the wall time in UTC."""
        return datetime.now(UTC)

    def wall(self) -> float:
        """Give the wall time in seconds since the epoch; it may jump."""
        return time.time()

    def monotonic(self) -> float:
        """Give seconds that only ever grow; they stand still while the machine sleeps."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``, or until cancelled."""
        await anyio.sleep(seconds)


def iso(when: float | None) -> str | None:
    """Give seconds since the epoch as ISO 8601 in UTC with milliseconds, ``None`` as ``None``."""
    if when is None:
        return None
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
