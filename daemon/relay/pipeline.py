"""The pipeline: which step next, for which photos; the ledger is its queue, so a restart goes on where it stopped.

Three loops share the ledger: the batches here (examine, place, import, confirm), `releases` and `refreshes`. A failure
that concerns one photo takes its group out of the batch; one that concerns the archive lets the whole batch wait.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from daemon.errors import RelayError, Transient
from daemon.files.faults import in_words
from daemon.ledger.model import BatchState, State
from daemon.pauses import BEYOND, pause
from daemon.relay.ahead import Ahead
from daemon.relay.failures import Failures
from daemon.relay.filling import Filling
from daemon.relay.forming import Forming
from daemon.relay.importing import Importing
from daemon.relay.recovery import Recovery
from daemon.relay.refreshes import Refreshes
from daemon.relay.releases import Releases
from daemon.relay.removals import Removals
from daemon.relay.telling import Teller
from daemon.relay.under_way import UnderWay
from daemon.text import shown, span_in_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.events import Bus
    from daemon.issues import Issues
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Batch, Photo
    from daemon.relay.archive import Archive
    from daemon.relay.confirm import Confirm
    from daemon.relay.examine import Examine
    from daemon.relay.failures import LookAgain
    from daemon.relay.inspect import Inspection
    from daemon.relay.refresh import Refresh
    from daemon.relay.release import Release
    from daemon.relay.restore import Restore
    from daemon.wake import Wake

log = logging.getLogger(__name__)

IDLE = 300.0
"""Seconds after which a loop without work looks at the ledger all the same; whatever makes work wakes it."""


class Pipeline:
    """Moves photos from ``settled`` to ``done``."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        current: Current,
        archive: Archive,
        examine: Examine,
        confirm: Confirm,
        release: Release,
        refresh: Refresh,
        restore: Restore,
        issues: Issues,
        bus: Bus,
        clock: Clock,
        wake: Wake,
        look_again: LookAgain,
        arrivals: Wake | None = None,
        under_way: UnderWay | None = None,
        inspection: Inspection | None = None,
    ) -> None:
        self._ledger = ledger
        self._current = current
        self._archive = archive
        self._examine = examine
        self._half_copies = confirm.half_copies
        self._issues = issues
        self._bus = bus
        self._clock = clock
        self._wake = wake
        # Also rung for what has only settled, which concerns no other loop.
        self._arrivals = wake if arrivals is None else arrivals
        self.under_way = under_way or UnderWay(clock)
        self.paused = False
        teller = Teller(ledger, bus, clock)
        self._failures = Failures(ledger, clock, teller, look_again)
        self.forming = Forming(ledger, current, archive, clock, examine.slow, self.stopped)
        self.filling = Filling(
            ledger=ledger,
            current=current,
            archive=archive,
            examine=examine,
            inspection=inspection,
            failures=self._failures,
            under_way=self.under_way,
            clock=clock,
        )
        self._importing = Importing(
            ledger=ledger,
            current=current,
            archive=archive,
            confirm=confirm,
            failures=self._failures,
            under_way=self.under_way,
            bus=bus,
            wake=wake,
            clock=clock,
        )
        self.recovery = Recovery(
            ledger=ledger,
            current=current,
            archive=archive,
            release=release,
            restore=restore,
            failures=self._failures,
            clock=clock,
        )
        self._filling_aside = False
        self._beside: TaskGroup | None = None
        self.originals = Releases(
            ledger=ledger,
            current=current,
            release=release,
            removals=Removals(ledger, current, archive, release),
            teller=teller,
            issues=issues,
            stopped=self.stopped,
            wake=wake,
            clock=clock,
        )
        self.galleries = Refreshes(
            ledger=ledger,
            refresh=refresh,
            teller=teller,
            busy=lambda: self._importing.proving or self.originals.busy,
            wake=wake,
            clock=clock,
        )
        self._said: set[int] = set()

    # -- the loops ----------------------------------------------------------------------------------------------

    async def batches(self) -> None:
        """Form batches of what is settled and take them as far as the proof, for ever."""
        async with anyio.create_task_group() as beside:
            self._beside, self._importing.ahead = beside, Ahead(beside, self._arrivals, self._prepare)
            while True:
                seen = self._arrivals.count
                if self.paused or not await self._round():
                    await self._arrivals.wait(seen, await anyio.to_thread.run_sync(self._next_batch))

    def stopped(self) -> bool:
        """Tell whether nothing may move now."""
        return self.paused or self._current.settings.relay.dry_run

    def _next_batch(self) -> float:
        """Give the seconds until a batch, or a photo for another one, is due by the clock.

        Not until a release is: while one is slow, this loop would ask the ledger without a pause.
        """
        tries = [one.next_try for one in self._ledger.batches.unfinished()]
        if self.stopped():
            return IDLE
        now = self._clock.wall()
        due = [one - now for one in (*tries, self._ledger.photos.next_try()) if one is not None]
        return max(0.05, min([IDLE, *due]))

    # -- batches ------------------------------------------------------------------------------------------------

    async def _round(self) -> bool:
        """Do one batch's worth of work; ``False`` where there is nothing to do now."""
        await self._half_copies.look_again()
        if self._current.settings.relay.dry_run:
            await self._say_only()
            return False
        if self._importing.ahead is not None:
            await self._importing.ahead.rest()
        blocked = worked = False
        for batch in await anyio.to_thread.run_sync(self._unfinished):
            if batch.next_try is not None and 0 < batch.next_try - self._clock.wall() <= BEYOND:
                blocked = blocked or await anyio.to_thread.run_sync(self._has_work, batch)
                continue
            blocked, worked = not await self._batch(batch) or blocked, True
        if not blocked and self._beside is not None and not self._filling_aside and self._examine.slow.users():
            self._filling_aside = True
            self._beside.start_soon(self._fill_aside)
        if blocked or worked:
            # While the archive cannot take photos in, new ones wait where they are: with their owners.
            return not blocked
        opened = await self._opened(partial(self.forming.open, resting=True))
        return opened is not None and await self._batch(opened, fresh=True)

    async def _opened(self, opening: Callable[[], Batch | None]) -> Batch | None:
        """Give the batch that ``opening`` makes, and tell of it."""
        count = 0

        def both() -> Batch | None:
            nonlocal count
            if (opened := opening()) is not None:
                count, _ = self._ledger.photos.sum_of_batch(opened.id)
            return opened

        opened = await anyio.to_thread.run_sync(both)
        if opened is not None:
            self._bus.tell("batch.opened", id=opened.id, name=opened.name, photos=count)
        return opened

    def _unfinished(self) -> list[Batch]:
        """Give the batches to go on with: those with the fewest photos first, so that a single one overtakes many.

        What waited long enough is settled again by then.
        """
        self._wake_due()
        found = self.forming.unfinished()
        return sorted(found, key=lambda batch: self._ledger.photos.sum_of_batch(batch.id)) if len(found) > 1 else found

    async def _prepare(self, busy_with: int) -> bool:
        """Fill a further batch while the archive works on another one; ``False`` where none is to be filled now."""
        if self.stopped():
            return False
        opened = await self._opened(partial(self.forming.open_ahead, busy_with))
        return opened is not None and await self._fill(opened)

    async def _fill_aside(self) -> None:
        """Fill a batch of users whose disk is slow, if there is one; the loop goes on with it when it is placed."""
        opened: Batch | None = None
        try:
            opened = await self._opened(self.forming.open_aside)
            if opened is not None:
                await self._fill(opened, patient=True)
        finally:
            self._filling_aside = False
            if opened is not None:
                self.forming.aside.discard(opened.id)
                self._arrivals.set()

    async def _fill(self, opened: Batch, *, patient: bool = False) -> bool:
        """Fill a batch beside the loop; ``False`` where it must wait."""
        try:
            await self.filling.fill(opened, patient=patient)
        except (RelayError, OSError) as raised:
            await self._waits(opened, raised)
            return False
        finally:
            self.under_way.over(opened.id)
        return True

    def _has_work(self, batch: Batch) -> bool:
        """Tell whether photos wait with a batch; else only what it left lying waits to be taken away."""
        return any(
            photo.state in _WITH_BATCH or (photo.state is State.WAITING and photo.resume in _WITH_BATCH)
            for photo in self._ledger.photos.of_batch(batch.id)
        )

    def _wake_due(self) -> None:
        now = self._clock.wall()
        with self._ledger.write():
            for photo in self._ledger.photos.due(now):
                if photo.resume is not State.ARCHIVED:
                    self._ledger.photos.take_up(photo.id, State.SETTLED)

    async def _batch(self, batch: Batch, *, fresh: bool = False) -> bool:
        """Take a batch as far as it goes; ``False`` where it must wait. In a ``fresh`` one no photo waits."""
        try:
            if not fresh:
                batch = await self.recovery.seen(batch)
                await anyio.to_thread.run_sync(self._take_up, batch)
            if batch.state is BatchState.OPEN:
                batch = await self.filling.fill(batch)
            if batch.state is BatchState.PLACED:
                batch = await self._importing.take_in(batch)
            await self._importing.prove(batch)
        except (RelayError, OSError) as raised:
            return not await self._waits(batch, raised)
        finally:
            self.under_way.over(batch.id)
        self._issues.clear("archive")
        if batch.next_try is not None:
            self._issues.clear("leftovers")
        self._wake.set()
        return True

    async def _waits(self, batch: Batch, raised: RelayError | OSError) -> bool:
        """Let a batch wait because of what was raised, if that is no fault of the program; tell whether photos wait."""
        error = raised if isinstance(raised, RelayError) else in_words(raised, f"batch {batch.name} worked with")
        if error is None:
            raise raised
        await anyio.to_thread.run_sync(self._batch_waits, batch.id, error)
        waits = await anyio.to_thread.run_sync(self._has_work, batch)
        # Where all are proved, and only a rest could not be taken away, no other batch is kept waiting.
        self._issues.report("archive" if waits else "leftovers", error)
        return waits

    def _take_up(self, batch: Batch) -> None:
        """Let a batch's waiting photos go on from where they stopped."""
        with self._ledger.write():
            for photo in self._ledger.photos.of_batch(batch.id, State.WAITING):
                if photo.resume and photo.resume is not State.ARCHIVED:
                    self._ledger.photos.take_up(photo.id, photo.resume)

    def _batch_waits(self, batch_id: int, error: RelayError) -> None:
        now = self._clock.wall()
        batch = self._ledger.batches.get(batch_id)
        attempts = batch.attempts if batch else 0
        wanted = error.retry_after if isinstance(error, Transient) else 300.0
        again = now + pause(attempts, wanted)
        with self._ledger.write():
            self._ledger.batches.wait(batch_id, error, now, again)
            for photo in self._ledger.photos.of_batch(batch_id):
                if photo.state in _WITH_BATCH:
                    self._ledger.photos.wait([photo.id], _resume(photo, batch), error, now, again)
        log.info("batch %s waits %s: %s", batch_id, span_in_words(again - now), error)

    async def _say_only(self) -> None:
        """With ``relay.dry_run``: say once of each settled photo what would be done, and touch nothing."""
        for photo in await anyio.to_thread.run_sync(self._ledger.photos.by_state, State.SETTLED):
            if photo.id not in self._said:
                self._said.add(photo.id)
                log.info("dry run: %s of %s: %s", shown(photo.path), photo.user, await self._examine.preview(photo))


_WITH_BATCH = frozenset({State.SETTLED, State.EXAMINED, State.PLACED, State.IMPORTED})


def _resume(photo: Photo, batch: Batch | None) -> State:
    """Give the state that a photo goes on from after its batch was interrupted.

    Examined but not placed may mean, while the batch is still being filled, that the look for duplicates was cut
    short: that is done again. In a batch that was filled it is a duplicate, which only waits for the proof.
    """
    filling = batch is None or batch.state is BatchState.OPEN
    return State.SETTLED if filling and photo.state is State.EXAMINED and not photo.place else photo.state


def is_quiet(counts: dict[str, int]) -> bool:
    """Tell whether nothing is under way by itself: all is done, refused, held, or waits for a later try."""
    moving = (State.FOUND, State.SETTLED, State.EXAMINED, State.PLACED, State.IMPORTED, State.ARCHIVED, State.RELEASED)
    return not any(counts.get(state.value) for state in moving)
