"""A disk that does not answer at all: no time limit ends a read that the kernel waits for, so at least it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.errors import NeedsPerson
from daemon.text import shown, span_in_words

if TYPE_CHECKING:
    from daemon.clock import Clock
    from daemon.issues import Issues
    from daemon.relay.under_way import Mark, UnderWay

STEP = 300.0
"""Seconds between two looks."""
AFTER = 900.0
"""Seconds without a byte that count as silence: longer than the program itself rests for others (``files/pace``)."""
ABOUT = "disk of photos"


class Stalled:
    """Looks whether what is read or copied comes on; a network share may hang for ever where it is mounted hard."""

    def __init__(self, under_way: UnderWay, issues: Issues, clock: Clock) -> None:
        self._under_way = under_way
        self._issues = issues
        self._clock = clock
        self._since: dict[Mark, float] = {}

    async def run(self) -> None:
        """Look from time to time, for ever."""
        while True:
            self.look()
            await self._clock.sleep(STEP)

    def look(self) -> None:
        """Say whose photo has not come on for long; take it back when it has."""
        now = self._clock.monotonic()
        self._since = {mark: self._since.get(mark, now) for mark in self._under_way.marks()}
        silent = [(since, mark) for mark, since in self._since.items() if now - since >= AFTER]
        if not silent:
            self._issues.clear(ABOUT)
            return
        since, mark = min(silent)
        self._issues.report(
            ABOUT,
            NeedsPerson(
                "disk.silent",
                f"not a byte has come for {span_in_words(now - since)} of {shown(mark.name)} of {shown(mark.user)}: a"
                " disk does not answer; photos of the same batch wait for it",
                hint="look at the disk or the network share that this photo is on, and at the archive's; when it"
                " answers again all goes on by itself, else restart the relay",
            ),
        )
