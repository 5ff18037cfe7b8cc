"""A batch's way from placed to ended: the archive takes it in, and what has arrived is proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread

from daemon.ledger.model import BatchState, State
from daemon.relay.batch import chunks_of_groups, groups_of, moved
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.events import Bus
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Batch, Photo
    from daemon.relay.ahead import Ahead
    from daemon.relay.archive import Archive
    from daemon.relay.confirm import Confirm
    from daemon.relay.failures import Failures
    from daemon.relay.under_way import UnderWay
    from daemon.wake import Wake


class Importing:
    """Has one batch after the other taken in and proved; all methods raise what concerns the whole batch."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        current: Current,
        archive: Archive,
        confirm: Confirm,
        failures: Failures,
        under_way: UnderWay,
        bus: Bus,
        wake: Wake,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._current = current
        self._archive = archive
        self._confirm = confirm
        self._failures = failures
        self._under_way = under_way
        self._bus = bus
        self._wake = wake
        self._clock = clock
        self.proving = False
        """Whether photos are being proved."""
        self.ahead: Ahead | None = None
        """What fills the next batch meanwhile."""

    async def _members(self, batch: Batch, *states: State) -> list[Photo]:
        return await anyio.to_thread.run_sync(self._ledger.photos.of_batch, batch.id, *states)

    async def take_in(self, batch: Batch) -> Batch:
        """Have the archive take in what of a batch is placed; give the batch as it is then."""
        # Settled in a batch that is filled (a crash in between): nobody would look at them here again.
        late = [photo.id for photo in await self._members(batch, State.SETTLED)]
        await anyio.to_thread.run_sync(self._ledger.photos.leave_batch, late)
        placed = await self._members(batch, State.PLACED)
        if placed:
            await anyio.to_thread.run_sync(self._ledger.batches.count_import, batch.id)

            def progress(event: str, name: str) -> None:
                self._bus.tell(f"import.{event}", batch=batch.id, name=shown(name))
                if event == "started":
                    self._under_way.started(name)

            self._under_way.begin(batch.id, "import", placed)
            await self._asked(batch, placed, progress)
        twins = await self._members(batch, State.EXAMINED)
        return await anyio.to_thread.run_sync(self._imported, batch, placed, twins)

    async def _asked(self, batch: Batch, placed: list[Photo], progress: Callable[[str, str], None]) -> None:
        if self.ahead is None or not self._archive.apart:
            await self._archive.take_in(batch, placed, progress)
            return
        self.ahead.begin(batch.id)
        try:
            await self._archive.take_in(batch, placed, progress)
        finally:
            self.ahead.over()

    def _imported(self, batch: Batch, placed: list[Photo], twins: list[Photo]) -> Batch:
        ids = [photo.id for photo in [*placed, *twins]]
        with self._ledger.write():
            self._ledger.photos.put_each({photo.id: {"imports": photo.imports + 1} for photo in placed})
            return moved(self._ledger, batch, ids, State.IMPORTED, BatchState.IMPORTED, self._clock.wall())

    async def prove(self, batch: Batch) -> None:
        """Prove what has arrived, photo by photo, and end the batch."""
        self.proving = True
        try:
            await self._prove_all(batch)
        finally:
            self.proving = False
        await self._archive.clear(batch)
        await anyio.to_thread.run_sync(self._ledger.batches.move, batch.id, BatchState.ENDED, self._clock.wall())
        self._bus.tell("batch.ended", id=batch.id, name=batch.name)

    async def _prove_all(self, batch: Batch) -> None:
        settings = self._current.settings
        imported = await self._members(batch, State.IMPORTED)
        waits = {user: settings.users.rules_for(user).release_after for user in {photo.user for photo in imported}}
        self._under_way.begin(batch.id, "confirm", imported)
        for chunk in chunks_of_groups(groups_of(imported)):
            errors = await self._confirm.groups(
                chunk,
                release_after=waits.__getitem__,
                album_user=settings.nextcloud.album.seen_by,
                album=bool(settings.nextcloud.album.folder) and settings.nextcloud.occ.via != "off",
            )
            for group, error in zip(chunk, errors, strict=True):
                if error is not None:
                    await anyio.to_thread.run_sync(self._failures.group_waits, group, error)
            members = [photo for group in chunk for photo in group]
            self._under_way.done(*members)
            await self._failures.after(members)
            self._wake.set()
