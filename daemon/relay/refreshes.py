"""The loop of refreshes: Nextcloud looks at what changed, once for a folder however many photos it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread

from daemon.relay.refresh import finish

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.clock import Clock
    from daemon.ledger.ledger import Ledger
    from daemon.relay.refresh import Refresh
    from daemon.relay.telling import Teller
    from daemon.wake import Wake

IDLE = 300.0
"""Seconds after which it looks without being woken."""
RESTLESS = 30.0
"""Seconds for which it waits at most for folders to come to rest."""


class Refreshes:
    """Works off the ledger's jobs; ``busy`` tells whether folders are changing just now."""

    def __init__(
        self, *, ledger: Ledger, refresh: Refresh, teller: Teller, busy: Callable[[], bool], wake: Wake, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._refresh = refresh
        self._teller = teller
        self._busy = busy
        self._wake = wake
        self._clock = clock

    async def run(self) -> None:
        """Have Nextcloud look at what changed, for ever."""
        until: float | None = None
        while True:
            seen = self._wake.count
            if self._busy():
                now = self._clock.monotonic()
                until = now + RESTLESS if until is None else until
                if now < until:
                    # One scan of a folder when all its files have come or gone, not one for each file.
                    await self._wake.wait(seen, 1.0)
                    continue
            until = None
            done = await self._refresh.once()
            if done:
                await anyio.to_thread.run_sync(finish, self._ledger, done, self._clock.wall())
                await self._teller.ends(done)
                self._wake.set()
                continue
            due = await anyio.to_thread.run_sync(self._ledger.jobs.next_due)
            left = IDLE if due is None else min(IDLE, max(0.5, due - self._clock.wall()))
            await self._wake.wait(seen, left)
