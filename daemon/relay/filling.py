"""Filling a batch: its photos are examined, and what the archive has not yet is put where it takes that in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread

from daemon.errors import Refused, RelayError, Transient
from daemon.files.hashing import LIMIT
from daemon.ledger.model import BatchState, State
from daemon.nextcloud.homes import check_data
from daemon.pauses import pause
from daemon.relay.batch import chunks_of_groups, groups_of, moved, size_of
from daemon.relay.partners import companions, with_some
from daemon.relay.telling import say_restless

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.fingerprint import Fingerprint
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Batch, Photo
    from daemon.relay.archive import Archive
    from daemon.relay.examine import Examine
    from daemon.relay.failures import Failures
    from daemon.relay.inspect import Inspection
    from daemon.relay.under_way import UnderWay


class Filling:
    """A batch's way from open to placed (imported, where nothing is). May be used for two batches side by side."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        current: Current,
        archive: Archive,
        examine: Examine,
        inspection: Inspection | None,
        failures: Failures,
        under_way: UnderWay,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._current = current
        self._archive = archive
        self._examine = examine
        self.inspection = inspection
        self._failures = failures
        self._under_way = under_way
        self._clock = clock

    async def fill(self, batch: Batch, *, patient: bool = False) -> Batch:
        """Examine and place what of a batch is settled; give the batch as it is then. Raises what concerns all.

        Unless ``patient``, nobody waits for photos on a slow disk: they leave the batch.
        """
        here = await anyio.to_thread.run_sync(self._here, batch)
        settled = [photo for photo in here if photo.state is State.SETTLED]
        going = [photo for photo in here if photo.state is State.EXAMINED]
        if settled:
            # Asked before anything is read: while the archive is away, photos are not hashed at each try.
            settled = await self._that_fits(settled)
            self._under_way.begin(batch.id, "examine", settled)
        for chunk in chunks_of_groups(groups_of(settled)):
            members = [photo for group in chunk for photo in group]
            try:
                examined = await self._examine.groups(chunk, patient=patient)
                if self.inspection is not None and self.inspection.on:
                    for left in examined:
                        await self.inspection.group(left)
            except (RelayError, OSError):
                # The archive has gone meanwhile. What changed or was refused has left the batch, and the next try does
                # not see it.
                await self._failures.after(members)
                raise
            self._under_way.done(*members)
            # An inspector may have taken some out.
            states = await self._failures.after(members)
            going += [photo for left in examined for photo in left if states.get(photo.id) is State.EXAMINED]
        groups = groups_of(sorted(going, key=lambda photo: photo.id))
        albums = self._archive.name == "photoprism" and bool(self._current.settings.photoprism.albums)
        # PhotoPrism adds a duplicate that it imports to the album too, so there it is worth the trouble.
        new = [group for group in groups if albums or any(photo.duplicate_of is None for photo in group)]
        if albums:
            # But never two of the same bytes in one import: PhotoPrism's workers would race for them.
            mine = {photo.id for group in groups for photo in group}
            twins = [group for group in new if any(p.duplicate_of in mine - {one.id for one in group} for p in group)]
            await anyio.to_thread.run_sync(self._later, twins)
            new = [group for group in new if group not in twins]
        trouble: dict[int, RelayError] = {}
        changed: dict[int, Fingerprint] = {}
        if new:
            await self._archive.ready(sum(photo.fingerprint.size for group in new for photo in group))
            late = await anyio.to_thread.run_sync(self._companions, new)
            self._under_way.begin(batch.id, "place", [photo for group in new for photo in group])
            told = await self._archive.place(batch, [_once(group) for group in new], late)
            trouble = {one: error for one, error in told.items() if isinstance(error, RelayError)}
            changed = {one: now for one, now in told.items() if not isinstance(now, RelayError)}
        failed = [group for group in new if any(photo.id in trouble for photo in group)] if trouble else []
        for group in failed:
            if not patient and any(error.code == "disk.unanswered" for error in _of(group, trouble)):
                # Nobody waits for that disk here: they come with the next batch of its user's own.
                await anyio.to_thread.run_sync(self._later, [group])
                continue
            await anyio.to_thread.run_sync(self._not_placed, group, trouble)
            await self._failures.after(group)
        good = [photo for group in new if group not in failed for photo in _once(group)]
        if self._archive.imports:
            into = partial(moved, self._ledger, batch, [photo.id for photo in good], State.PLACED, BatchState.PLACED)
            return await anyio.to_thread.run_sync(into, self._clock.wall())
        others = {photo.id for group in groups if group not in failed for photo in group}
        others.difference_update(photo.id for photo in good)
        return await anyio.to_thread.run_sync(self._taken_in, batch, good, others, changed)

    def _taken_in(
        self, batch: Batch, placed: Sequence[Photo], twins: set[int], changed: dict[int, Fingerprint]
    ) -> Batch:
        """Write down that what is placed is in the archive, which imports nothing; ``twins`` wait for their proof."""
        now = self._clock.wall()
        rows = {
            photo.id: {"imports": photo.imports + 1, "fingerprint": changed.get(photo.id, photo.fingerprint)}
            for photo in placed
        }
        with self._ledger.write():
            if placed:
                self._ledger.batches.count_import(batch.id)
            self._ledger.photos.advance_each(rows, State.IMPORTED, now, through=State.PLACED)
            return moved(self._ledger, batch, sorted(twins), State.IMPORTED, BatchState.IMPORTED, now)

    def _here(self, batch: Batch) -> list[Photo]:
        """Give what of a batch is to be examined or was; raises where the data directory is not in its place."""
        here = self._ledger.photos.of_batch(batch.id, State.SETTLED, State.EXAMINED)
        if any(photo.state is State.SETTLED for photo in here):
            check_data(self._current.settings.nextcloud.data)
        return here

    async def _that_fits(self, settled: Sequence[Photo]) -> list[Photo]:
        """Give what there is room for: one film that is larger than the disk must not keep all others waiting.

        What is larger than anything that may be relayed (a sparse file costs nothing) is given too: it is refused
        without being read, and does not wait for room that no disk has.
        """
        endless: list[list[Photo]] = []
        groups: list[list[Photo]] = []
        for group in sorted(groups_of(settled), key=size_of):
            (endless if any(photo.fingerprint.size > LIMIT for photo in group) else groups).append(group)
        fits, over, full = 0, len(groups) + 1, None
        tried = len(groups)
        while over - fits > 1:
            try:
                await self._archive.ready(sum(map(size_of, groups[:tried])))
                fits = tried
            except Transient as error:
                if error.code != "disk.low":
                    raise
                over, full = tried, error
            tried = (fits + over) // 2
        if full is not None:
            if not fits and not endless:
                raise full
            for group in groups[fits:]:
                await anyio.to_thread.run_sync(self._failures.group_waits, group, full)
        ids = {photo.id for group in (*groups[:fits], *endless) for photo in group}
        return [photo for photo in settled if photo.id in ids]

    def _later(self, groups: Sequence[Sequence[Photo]]) -> None:
        """Leave groups for the next batch."""
        now = self._clock.wall()
        ids = [photo.id for group in groups for photo in group]
        with self._ledger.write():
            self._ledger.photos.leave_batch(ids)
            self._ledger.photos.advance(ids, State.SETTLED, now, "goes with the next batch")

    def _companions(self, groups: Sequence[Sequence[Photo]]) -> dict[int, list[Photo]]:
        some = with_some(self._ledger, groups)
        found = {group[0].group_id or group[0].id: companions(self._ledger, group) for group in some}
        return {group_id: photos for group_id, photos in found.items() if photos}

    def _not_placed(self, group: Sequence[Photo], trouble: dict[int, RelayError]) -> None:
        """Take a group out of its batch because one of its files changed or went away meanwhile."""
        now = self._clock.wall()
        ids = [photo.id for photo in group]
        passing = [error for error in _of(group, trouble) if not _settles_anew(error)]
        with self._ledger.write():
            self._ledger.photos.leave_batch(ids)
            if passing:
                again = now + pause(max(photo.attempts for photo in group), 30.0)
                self._ledger.photos.wait(ids, State.SETTLED, passing[0], now, again)
                return
            for photo in group:
                error = trouble.get(photo.id)
                if isinstance(error, Refused):
                    self._ledger.photos.refuse([photo.id], error, now)
                elif error is not None:
                    if self._ledger.photos.changed([photo.id], error, now):
                        say_restless(photo)
                else:
                    self._ledger.photos.advance([photo.id], State.FOUND, now, "looked at again")


def _once(group: Sequence[Photo]) -> list[Photo]:
    """Give a group without those whose bytes another of its members brings (``IMG_1.jpg`` beside ``IMG_1.jpeg``)."""
    if len(group) == 1:
        return list(group)
    ids = {photo.id for photo in group}
    return [photo for photo in group if photo.duplicate_of not in ids]


def _of(group: Sequence[Photo], trouble: dict[int, RelayError]) -> list[RelayError]:
    """Give what went wrong with members of a group."""
    return [trouble[photo.id] for photo in group if photo.id in trouble]


def _settles_anew(error: RelayError) -> bool:
    """Tell whether what went wrong with one file leaves the others of its group to be looked at again."""
    return isinstance(error, Refused) or error.code == "file.changed"
