"""Carries one channel's parcels out of the ledger, in their order, for as long as it takes."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio.to_thread

from daemon.errors import RelayError, Transient
from daemon.pauses import pause
from daemon.text import span_in_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.clock import Clock
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.outbox import Parcel
    from daemon.wake import Wake

log = logging.getLogger(__name__)

LONGEST = 6 * 3600.0
"""Seconds that another side may make us wait at most, whatever it says."""
LOOK = 30.0
"""Seconds after which the ledger is looked at all the same."""
GAP = 0.5
"""Seconds between two parcels: a pile that has grown over hours does not go out in one burst."""


class Courier:
    """One channel's loop. What fails for a reason that passes is tried again with growing pauses."""

    def __init__(
        self,
        channel: str,
        *,
        ledger: Ledger,
        clock: Clock,
        wake: Wake,
        deliver: Callable[[Parcel], Awaitable[None]],
        hopeless: Callable[[Parcel, RelayError], bool],
        told: Callable[[RelayError | None], None],
        address: Callable[[], object],
    ) -> None:
        """Make a courier.

        ``deliver`` raises where a parcel did not arrive; ``hopeless`` tells whether to drop it then; ``told`` hears
        how every try ended; ``address`` gives where it goes to: where that changes, a pause is over.
        """
        self.channel = channel
        self._ledger = ledger
        self._clock = clock
        self._wake = wake
        self._deliver = deliver
        self._hopeless = hopeless
        self._told = told
        self._address = address

    async def run(self) -> None:
        """Carry parcels for ever."""
        failures = 0
        while True:
            seen = self._wake.count
            parcel, due = await anyio.to_thread.run_sync(self._first)
            if parcel is None:
                await self._wake.wait(seen, due)
                continue
            try:
                await self._deliver(parcel)
            except RelayError as error:
                dropped = self._hopeless(parcel, error)
                failures = 0 if dropped else failures + 1
                wanted = error.retry_after if isinstance(error, Transient) else None
                seconds = 0.0 if dropped else min(LONGEST, max(pause(failures - 1), wanted or 0.0))
                await anyio.to_thread.run_sync(self._failed, parcel, error, seconds, dropped)
                self._told(error)
                await self._pause(seconds)
            except Exception:
                # What cannot even be put into words (written by another version) must not hold up all that follows.
                log.exception("%s: a message (%s) could not be made and was dropped", self.channel, parcel.kind)
                await anyio.to_thread.run_sync(self._ledger.outbox.drop, self.channel, parcel.id)
            else:
                failures = 0
                await anyio.to_thread.run_sync(self._ledger.outbox.gone, parcel.id)
                self._told(None)
                await self._clock.sleep(GAP)

    def _first(self) -> tuple[Parcel | None, float]:
        """Give the parcel whose turn it is, or the seconds until there may be one."""
        now = self._clock.wall()
        outbox = self._ledger.outbox
        stale = outbox.drop_stale(self.channel, now)
        if stale:
            log.warning("%s: %d messages were too old to be told and were dropped", self.channel, stale)
        parcel = outbox.first(self.channel, now)
        # None that was tried is put off for longer than that: then the clock has been set back since.
        far = parcel is not None and parcel.attempts > 0 and parcel.not_before > now + 2 * LONGEST
        if parcel is not None and (parcel.not_before <= now or far):
            outbox.attempted(parcel.id)
            return replace(parcel, attempts=parcel.attempts + 1), 0.0
        due = parcel.not_before if parcel is not None else outbox.next_due(self.channel)
        return None, LOOK if due is None else min(LOOK, max(0.05, due - now))

    def _failed(self, parcel: Parcel, error: RelayError, seconds: float, dropped: bool) -> None:
        if dropped:
            log.warning("%s: a message (%s) was dropped: %s", self.channel, parcel.kind, error)
            self._ledger.outbox.drop(self.channel, parcel.id)
            return
        log.info("%s: %s; tried again in %s", self.channel, error, span_in_words(seconds))
        self._ledger.outbox.failed(parcel.id, self._clock.wall() + seconds, error.code, error.message)

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than until somebody mends the address."""
        address, until = self._address(), self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            await self._wake.wait(self._wake.count, min(left, 2.0))
            if self._address() != address:
                await anyio.to_thread.run_sync(self._ledger.outbox.try_now, self.channel)
                return
