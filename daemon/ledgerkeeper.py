"""Looks after the ledger's file: a copy each day, a thorough look before it, and a word where one stands aside."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio.to_thread

from daemon.errors import NeedsPerson, RelayError
from daemon.ledger.copies import back_up, copies
from daemon.ledger.recovery import losses
from daemon.ledger.soundness import fault, is_damage
from daemon.ledger.store import DAMAGED

if TYPE_CHECKING:
    from daemon.clock import Clock
    from daemon.issues import Issues
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.recovery import Loss

log = logging.getLogger(__name__)

STEP = 900.0
"""Seconds after which it is looked whether a day is over."""
DAY = 86400.0
ABOUT = "ledger"
ABOUT_COPY = "copy of the ledger"


class LedgerKeeper:
    """Keeps the ledger's file, for as long as the daemon runs."""

    def __init__(self, ledger: Ledger, issues: Issues, clock: Clock) -> None:
        self._ledger = ledger
        self._issues = issues
        self._clock = clock

    async def run(self) -> None:
        """Look at the start and then every quarter of an hour, for ever."""
        while True:
            await self.look()
            await self._clock.sleep(STEP)

    async def look(self) -> None:
        """Make a copy if the last one is a day old, and tell of a ledger that stands aside."""
        self._tell(await anyio.to_thread.run_sync(losses, self._ledger.state))
        try:
            await anyio.to_thread.run_sync(self._copy)
        except RelayError as error:
            self._issues.report(ABOUT_COPY, error)
        else:
            self._issues.clear(ABOUT_COPY)

    def _copy(self) -> None:
        now = self._clock.wall()
        made = copies(self._ledger.state)
        # One from the future: the clock was set back since, and says nothing of how old it is.
        if made and 0 <= now - made[0][0] < DAY:
            return
        with suppress(FileNotFoundError):
            if wrong := fault(f"{self._ledger.state}/ledger.db"):
                self._ledger.found_damaged(wrong)
                return
        try:
            path = back_up(self._ledger.state, now)
        except DAMAGED as error:
            if not is_damage(error):
                raise
            # Damaged since it was looked through.
            self._ledger.found_damaged(f"it cannot be read to its end: {error}")
            return
        log.info("the ledger is whole; its copy of today is %s", path)

    def _tell(self, found: list[Loss]) -> None:
        if found:
            self._issues.report(ABOUT, told(found[0]))
        else:
            self._issues.clear(ABOUT)


def told(loss: Loss) -> NeedsPerson:
    """Give what people are told of a ledger that stands aside."""
    when = datetime.fromtimestamp(loss.at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    hint = (
        "what stood in the users' folders then is left alone until you set `users.existing: true` and run a sweep; what"
        f" the archive has already is found by its content. When you have seen to it, take {loss.aside} away"
        " (docs/backup.md)"
    )
    if loss.copy_of is None:
        return NeedsPerson(
            "ledger.lost",
            f"the ledger was damaged on {when} ({loss.why}) and there was no copy of it: it begins anew, and the old"
            f" one stands in {loss.aside}",
            hint=hint,
        )
    copied = datetime.fromtimestamp(loss.copy_of, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return NeedsPerson(
        "ledger.put_back",
        f"the ledger was damaged on {when} ({loss.why}): its copy of {copied} took its place, and the damaged one"
        f" stands in {loss.aside}",
        hint=hint,
    )
