"""The schedule: a sweep at the start, at the times the owner chose, and on suspicion; never two at once."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from daemon.clock import iso
from daemon.ledger.model import Photo, State
from daemon.nextcloud.homes import is_sample, list_homes
from daemon.schedule import Schedule, zone_name
from daemon.text import count_in_words, shown
from daemon.watch.rules import Rules
from daemon.watch.sweep import Swept
from daemon.watch.sweep import sweep as look_through
from daemon.watch.users import normal, outermost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.events import Bus
    from daemon.ledger.ledger import Ledger
    from daemon.relay.examine import Examine
    from daemon.watch.model import Found
    from daemon.watch.watcher import Watch

log = logging.getLogger(__name__)

STEP = 20.0
"""Seconds after which the wall clock is looked at again."""
FURTHEST = 4
"""So many times the pause that the owner set lies between two sweeps while the watch is proved and misses nothing."""
FULL_EVERY = 22 * 3600.0
"""Seconds after which a sweep by schedule trusts nothing; less than a day, so that one at a fixed hour always does."""
_LOOKED_AT_BY_NAME = (State.FOUND, State.SETTLED, State.WAITING, State.HELD, State.REFUSED)
"""Files that stand in people's folders and may be written again under the same name, which no directory shows."""


class Sweeper:
    """Sweeps by schedule and on request, and keeps their diary."""

    def __init__(self, watch: Watch, ledger: Ledger, current: Current, bus: Bus, clock: Clock) -> None:
        self._watch = watch
        self._ledger = ledger
        self._current = current
        self._bus = bus
        self._clock = clock
        self._one_at_a_time = anyio.Lock()
        self._running = False
        self._next: float | None = None
        self._full_at: float | None = None
        self._changed = anyio.Event()
        self.missed = 0

    async def by_schedule(self) -> None:
        """Sweep at the start and then whenever the schedule says, for ever."""
        # What the watch has listed by itself since it began, a moment ago, need not be listed twice.
        await self.now("start", None, full=False)
        self._full_at = self._clock.wall()
        calm = 0
        while True:
            wanted, trust = self._wanted(), self._watch.trust()
            schedule = Schedule.parse(*wanted)
            due = schedule.next_after(self._clock.now()).timestamp()
            calm = 0 if trust is None else calm
            self._next = due + (schedule.period or 0.0) * (min(FURTHEST, 2**calm) - 1)
            while (left := self._next - self._clock.wall()) > 0:
                # In steps: the wall clock may be set, the machine may have slept.
                await self._wait(min(left, STEP))
                if self._wanted() != wanted or self._next - self._clock.wall() > left:
                    break  # other settings, or the clock was set back: the next sweep is not a day away for that
                if self._watch.trust() != trust:
                    self._next, calm = min(self._next, due), 0
            else:
                swept = await self.now("schedule", None, full=self._is_full_due())
                calm = 0 if swept.missed or swept.unreadable or self._watch.trust() != trust else calm + 1

    def settings_changed(self) -> None:
        """Have a new schedule in force at once."""
        self._changed.set()

    async def _wait(self, seconds: float) -> None:
        """Wait, or until settings change."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._until_changed, group.cancel_scope)
            await self._clock.sleep(seconds)
            group.cancel_scope.cancel()
        self._changed = anyio.Event()

    async def _until_changed(self, scope: anyio.CancelScope) -> None:
        await self._changed.wait()
        scope.cancel()

    def _looked_at_by_name(self, user: str) -> Iterator[tuple[str, str]]:
        return self._ledger.photos.places(user, *_LOOKED_AT_BY_NAME)

    def _is_full_due(self) -> bool:
        """Tell whether the last full sweep is about a day ago, or the clock was set back."""
        return self._full_at is None or not 0 <= self._clock.wall() - self._full_at < FULL_EVERY

    def _wanted(self) -> tuple[str, str]:
        """Give the schedule and its time zone as they are in force; other settings begin no pause anew."""
        settings = self._current.settings
        return settings.watch.sweep, zone_name(settings.ui.timezone, os.environ)

    async def now(
        self, reason: str, users: Sequence[str] | None, *, settle: float | None = None, full: bool = True
    ) -> Swept:
        """Sweep once; a sweep that is running is waited for first.

        Without ``full`` directories that have not changed since they were last listed are not listed again; what stands
        in them unfinished or refused is looked at by name.
        """
        async with self._one_at_a_time:
            self._running = True
            try:
                began = self._clock.wall()
                swept = await self._watch.sweep(users, settle=settle, full=full, also=self._looked_at_by_name)
                if full and users is None:
                    self._full_at = began
                self.missed += swept.missed
                # A disk may sleep while nothing changes: what found nothing by itself is not worth waking it.
                told = self._ledger.audit.swept if reason != "schedule" or swept.wanted else self._ledger.audit.looked
                await anyio.to_thread.run_sync(told, began, self._clock.wall(), reason, swept.files, swept.missed)
            finally:
                self._running = False
        for path, why in swept.unreadable:
            log.warning("the sweep could not read %s: %s", shown(path), why)
        log.info(
            "sweep (%s): %s in %s (%d of them listed), %d to relay, %d of them missed by the watcher",
            reason,
            count_in_words(swept.files, "file"),
            count_in_words(swept.directories, "folder"),
            swept.listed,
            swept.wanted,
            swept.missed,
        )
        self._bus.tell("sweep.ended", reason=reason, files=swept.files, wanted=swept.wanted, missed=swept.missed)
        return swept

    async def preview(self, users: Sequence[str] | None, examine: Examine) -> AsyncIterator[tuple[str, str, str]]:
        """Give each candidate file that stands there now with what would become of it; touches nothing."""
        homes = await anyio.to_thread.run_sync(self._ledger.homes.all)
        listed = {user for user, home in homes.items() if home.baseline_at is not None}
        for file in await anyio.to_thread.run_sync(self._candidates, users):
            yield file.user, file.path, await self._words(file, examine, listed=file.user in listed)

    def _candidates(self, users: Sequence[str] | None) -> list[Found]:
        settings = self._current.settings
        wanted = sorted(list_homes(settings.nextcloud.data) if users is None else users)
        folders = {
            user: settings.users.rules_for(user).folders
            for user in wanted
            if settings.users.decision(user) == "include"
        }
        rules = Rules(settings.watch.only, settings.users.archived, normal(folders))
        targets = [(user, folder) for user, names in rules.folders.items() for folder in outermost(names)]
        swept = Swept()
        chunks = look_through(settings.nextcloud.data, targets, rules, swept, wall=self._clock.wall)
        return [file for chunk in chunks for file in chunk if not is_sample(file.path, file.fingerprint.size)]

    async def _words(self, file: Found, examine: Examine, *, listed: bool) -> str:
        known = await anyio.to_thread.run_sync(self._ledger.photos.latest, file.user, file.path)
        begun = known is not None and (known.state not in {State.FOUND, State.SETTLED} or known.batch_id is not None)
        if known is not None and begun and known.fingerprint.renamed(file.fingerprint):
            return f"known already: {known.state}{' (' + known.message + ')' if known.message else ''}"
        if not self._current.settings.users.rules_for(file.user).existing and (
            # A home that is seen for the first time now: all that stands there would be written down as old.
            not listed
            or await anyio.to_thread.run_sync(
                self._ledger.homes.in_baseline, file.user, file.path, file.fingerprint.inode, file.fingerprint.size
            )
        ):
            return "would stay: it stood there before (users.existing is false)"
        return await examine.preview(_as_photo(file))

    def status(self) -> dict[str, Any]:
        """Tell whether a sweep runs, when the next one is, and what sweeps have found that the watcher missed."""
        return {"running": self._running, "next": iso(self._next), "missed": self.missed}


def _as_photo(file: Found) -> Photo:
    """Give a file that is in no ledger in the form that examine reads."""
    return Photo(
        id=0,
        user=file.user,
        folder="",
        path=file.path,
        role="main",
        group_id=None,
        state=State.FOUND,
        resume=None,
        fingerprint=file.fingerprint,
        blake3=None,
        sha1=None,
        kind="",
        content_id="",
        batch_id=None,
        place="",
        duplicate_of=None,
        archived_as="",
        archive_fingerprint=None,
        taken="",
        taken_from="",
        after="",
        hidden="",
        imports=0,
        indexings=0,
        attempts=0,
        next_try=None,
        since=None,
        code="",
        message="",
        hint="",
        found_at=0.0,
        ended_at=None,
        proved_at=None,
    )
