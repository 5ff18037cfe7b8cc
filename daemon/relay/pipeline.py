"""The pipeline: which step next, for which photos; the ledger is its queue, so a restart goes on where it stopped.

Three loops share the ledger: the batches here (examine, place, import, confirm), `releases` and `refreshes`. A failure
that concerns one photo takes its group out of the batch; one that concerns the archive lets the whole batch wait.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from daemon.errors import Refused, RelayError, Transient
from daemon.files.faults import in_words
from daemon.files.hashing import LIMIT
from daemon.files.names import word
from daemon.files.opening import directory_below, look
from daemon.ledger.model import BatchState, State
from daemon.nextcloud.homes import check_data
from daemon.pauses import BEYOND, pause
from daemon.relay.batch import chunks_of_groups, described, groups_of
from daemon.relay.partners import companions
from daemon.relay.refreshes import Refreshes
from daemon.relay.releases import Releases
from daemon.relay.removals import Removals
from daemon.relay.telling import Teller
from daemon.relay.under_way import UnderWay
from daemon.text import shown, span_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.events import Bus
    from daemon.issues import Issues
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Batch, Photo
    from daemon.relay.archive import Archive
    from daemon.relay.confirm import Confirm
    from daemon.relay.examine import Examine
    from daemon.relay.inspect import Inspection
    from daemon.relay.refresh import Refresh
    from daemon.relay.release import Release
    from daemon.relay.restore import Restore
    from daemon.wake import Wake

log = logging.getLogger(__name__)

LookAgain = Callable[[str, str], Awaitable[None]]
IDLE = 30.0
"""Seconds after which a loop without work looks at the ledger all the same."""


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
        under_way: UnderWay | None = None,
        inspection: Inspection | None = None,
    ) -> None:
        self._ledger = ledger
        self._current = current
        self._archive = archive
        self._examine = examine
        self._confirm = confirm
        self._release = release
        self._restore = restore
        self._issues = issues
        self._bus = bus
        self._clock = clock
        self._wake = wake
        self._look_again = look_again
        self._inspection = inspection
        self.under_way = under_way or UnderWay(clock)
        self.paused = False
        self._proving = False
        self._teller = Teller(ledger, bus, clock)
        self.originals = Releases(
            ledger=ledger,
            current=current,
            release=release,
            removals=Removals(ledger, current, archive, release),
            teller=self._teller,
            issues=issues,
            stopped=self._stopped,
            wake=wake,
            clock=clock,
        )
        self.galleries = Refreshes(
            ledger=ledger,
            refresh=refresh,
            teller=self._teller,
            busy=lambda: self._proving or self.originals.busy,
            wake=wake,
            clock=clock,
        )
        self._said: set[int] = set()
        self._unseen: set[int] = set()

    # -- the loops ----------------------------------------------------------------------------------------------

    async def batches(self) -> None:
        """Form batches of what is settled and take them as far as the proof, for ever."""
        while True:
            seen = self._wake.count
            if self.paused or not await self._round():
                await self._wake.wait(seen, await anyio.to_thread.run_sync(self._next_batch))

    def recover(self) -> None:
        """After a crash: bring half-done releases to an end and see how far unfinished batches really are. Blocking."""
        self._release.recover(self._restore.recover)
        for batch in self._ledger.batches.unfinished():
            try:
                self._see(batch)
            except RelayError as error:
                # Its disk is away: the batch waits until it can be looked at, and nothing else waits for that.
                log.warning("batch %s cannot be looked at yet: %s", batch.name, error)
                self._unseen.add(batch.id)
        self._forget_vanished()

    def _see(self, batch: Batch) -> None:
        """See how far a batch is that was being filled when the last run ended."""
        if batch.state is not BatchState.OPEN:
            return
        now = self._clock.wall()
        placed = self._archive.already_placed(batch)
        with self._ledger.write():
            photos = self._ledger.photos.of_batch(batch.id)
            if placed:
                ids = [photo.id for photo in photos if photo.place and State.EXAMINED in {photo.state, photo.resume}]
                self._ledger.photos.advance(ids, State.PLACED, now, "seen after a restart")
                self._ledger.batches.move(batch.id, BatchState.PLACED, now)
            else:
                again = [photo.id for photo in photos if photo.state is State.EXAMINED]
                self._ledger.photos.advance(again, State.SETTLED, now, "examined again after a restart")

    async def _seen(self, batch: Batch) -> Batch:
        """Look at a batch whose disk was away at the start; give it as it is then."""
        if batch.id not in self._unseen:
            return batch
        await anyio.to_thread.run_sync(self._see, batch)
        self._unseen.discard(batch.id)
        return await anyio.to_thread.run_sync(self._ledger.batches.get, batch.id) or batch

    def _forget_vanished(self) -> None:
        """Forget what was only found, and taken away by its owner while nobody watched."""
        data = self._current.settings.nextcloud.data
        for photo in self._ledger.photos.by_state(State.FOUND):
            with suppress(RelayError):
                try:
                    with directory_below(data, f"{photo.user}/files/{photo.directory}".rstrip("/")) as folder:
                        gone = look(folder, photo.name) is None
                except Refused:
                    gone = True
                if gone:
                    self._ledger.photos.forget(photo.id)
                else:
                    # Stopped just before that was looked at.
                    self._unless_replaced(photo)

    def _stopped(self) -> bool:
        """Tell whether nothing may move now."""
        return self.paused or self._current.settings.relay.dry_run

    def _next_batch(self) -> float:
        """Give the seconds until a batch, or a photo for another one, is due by the clock.

        Not until a release is: while one is slow, this loop would ask the ledger without a pause.
        """
        tries = [one.next_try for one in self._ledger.batches.unfinished()]
        if self._stopped():
            return IDLE
        now = self._clock.wall()
        due = [one - now for one in (*tries, self._ledger.photos.next_try()) if one is not None]
        return max(0.05, min([IDLE, *due]))

    # -- batches ------------------------------------------------------------------------------------------------

    async def _round(self) -> bool:
        """Do one batch's worth of work; ``False`` where there is nothing to do now."""
        if self._current.settings.relay.dry_run:
            await self._say_only()
            return False
        await anyio.to_thread.run_sync(self._wake_due)
        blocked = False
        for batch in await anyio.to_thread.run_sync(self._ledger.batches.unfinished):
            if batch.next_try is not None and 0 < batch.next_try - self._clock.wall() <= BEYOND:
                blocked = blocked or await anyio.to_thread.run_sync(self._has_work, batch)
                continue
            blocked = not await self._batch(batch) or blocked
        if blocked:
            # While the archive cannot take photos in, new ones wait where they are: with their owners.
            return False
        opened: Batch | None = await anyio.to_thread.run_sync(self._open)
        if opened is None:
            return False
        count, _ = await anyio.to_thread.run_sync(self._ledger.photos.sum_of_batch, opened.id)
        self._bus.tell("batch.opened", id=opened.id, name=opened.name, photos=count)
        return await self._batch(opened)

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

    def _open(self) -> Batch | None:
        """Make a batch of the groups that have waited longest; groups are never parted.

        Behind a backlog each user's newest come along: nobody waits for the twenty thousand of another, nor for those
        of his own. And a batch ends before it takes long, as far as that is ours to say.
        """
        limit = min(self._current.settings.watch.batch, self._archive.most)
        if self.paused:  # since this round began
            return None
        # One transaction: what changes in this moment is taken out before, or found to have begun.
        with self._ledger.write():
            waiting = self._ledger.photos.settled_first(limit)
            if len(waiting) == limit > 1:
                waiting = [*self._ledger.photos.settled_last(limit // 4), *waiting]
            firsts = [first for first, *_ in self._still_included(groups_of(waiting))]
            whole = self._ledger.photos.settled_of(one.group_id for one in firsts if one.group_id is not None)
            taken: list[Photo] = []
            size = 0
            for first in firsts:
                # Its members may lie far apart in a large folder's listing.
                group = [first] if first.group_id is None else whole[first.group_id]
                size += _size(group)
                if taken and (len(taken) + len(group) > limit or size > self._archive.most_bytes):
                    break
                taken += group
            if not taken:
                return None
            batch = self._ledger.batches.open(word(14), self._clock.wall())
            self._ledger.photos.put_each({photo.id: {"batch_id": batch.id} for photo in taken})
        log.info("batch %s: %s", batch.name, described(taken), extra={"batch": batch.name})
        return batch

    def _still_included(self, groups: list[list[Photo]]) -> list[list[Photo]]:
        """Leave out, and forget, what belongs to somebody who is not included any more: nothing of it has begun."""
        users = self._current.settings.users
        for group in groups:
            if users.decision(group[0].user) != "include":
                for photo in group:
                    self._ledger.photos.forget(photo.id)
        return [group for group in groups if users.decision(group[0].user) == "include"]

    async def _batch(self, batch: Batch) -> bool:
        """Take a batch as far as it goes; ``False`` where it must wait."""
        try:
            batch = await self._seen(batch)
            await anyio.to_thread.run_sync(self._take_up, batch)
            if batch.state is BatchState.OPEN:
                batch = await self._fill(batch)
            if batch.state is BatchState.PLACED:
                batch = await self._import(batch)
            await self._prove(batch)
        except (RelayError, OSError) as raised:
            error = raised if isinstance(raised, RelayError) else in_words(raised, f"batch {batch.name} worked with")
            if error is None:
                raise
            await anyio.to_thread.run_sync(self._batch_waits, batch.id, error)
            waits = await anyio.to_thread.run_sync(self._has_work, batch)
            # Where all are proved, and only a rest could not be taken away, no other batch is kept waiting.
            self._issues.report("archive" if waits else "leftovers", error)
            return not waits
        finally:
            self.under_way.over(batch.id)
        self._issues.clear("archive")
        if batch.next_try is not None:
            self._issues.clear("leftovers")
        self._wake.set()
        return True

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

    async def _members(self, batch: Batch, *states: State) -> list[Photo]:
        return await anyio.to_thread.run_sync(self._ledger.photos.of_batch, batch.id, *states)

    async def _fill(self, batch: Batch) -> Batch:
        settled = await self._members(batch, State.SETTLED)
        if settled:
            await anyio.to_thread.run_sync(check_data, self._current.settings.nextcloud.data)
            # Asked before anything is read: while the archive is away, photos are not hashed at each try.
            settled = await self._that_fits(settled)
            self.under_way.begin(batch.id, "examine", settled)
        for chunk in chunks_of_groups(groups_of(settled)):
            examined = await self._examine.groups(chunk)
            if self._inspection is not None:
                for left in examined:
                    await self._inspection.group(left)
            members = [photo for group in chunk for photo in group]
            self.under_way.done(*members)
            await self._after_failures(members)
        groups = groups_of(await self._members(batch, State.EXAMINED))
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
        if new:
            await self._archive.ready(sum(photo.fingerprint.size for group in new for photo in group))
            late = await anyio.to_thread.run_sync(self._companions, new)
            self.under_way.begin(batch.id, "place", [photo for group in new for photo in group])
            trouble = await self._archive.place(batch, [_once(group) for group in new], late)
        for group in new if trouble else ():
            if any(photo.id in trouble for photo in group):
                await anyio.to_thread.run_sync(self._not_placed, group, trouble)
                await self._after_failures(group)
        good = [photo.id for group in new for photo in _once(group) if not any(one.id in trouble for one in group)]
        await anyio.to_thread.run_sync(self._move, batch, good, State.PLACED, BatchState.PLACED)
        return await self._as(batch, BatchState.PLACED)

    async def _that_fits(self, settled: Sequence[Photo]) -> list[Photo]:
        """Give what there is room for: one film that is larger than the disk must not keep all others waiting.

        What is larger than anything that may be relayed (a sparse file costs nothing) is given too: it is refused
        without being read, and does not wait for room that no disk has.
        """
        endless: list[list[Photo]] = []
        groups: list[list[Photo]] = []
        for group in sorted(groups_of(settled), key=_size):
            (endless if any(photo.fingerprint.size > LIMIT for photo in group) else groups).append(group)
        fits, over, full = 0, len(groups) + 1, None
        tried = len(groups)
        while over - fits > 1:
            try:
                await self._archive.ready(sum(map(_size, groups[:tried])))
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
                await anyio.to_thread.run_sync(self._group_waits, group, full)
        ids = {photo.id for group in (*groups[:fits], *endless) for photo in group}
        return [photo for photo in settled if photo.id in ids]

    def _group_waits(self, group: Sequence[Photo], error: RelayError) -> None:
        """Take a group out of its batch for a while; the others go on."""
        now, ids = self._clock.wall(), [photo.id for photo in group]
        wanted = error.retry_after if isinstance(error, Transient) else 300.0
        again = now + pause(max(photo.attempts for photo in group), wanted)
        with self._ledger.write():
            self._ledger.photos.leave_batch(ids)
            self._ledger.photos.wait(ids, State.SETTLED, error, now, again)

    def _later(self, groups: Sequence[Sequence[Photo]]) -> None:
        """Leave groups for the next batch."""
        now = self._clock.wall()
        ids = [photo.id for group in groups for photo in group]
        with self._ledger.write():
            self._ledger.photos.leave_batch(ids)
            self._ledger.photos.advance(ids, State.SETTLED, now, "goes with the next batch")

    def _companions(self, groups: Sequence[Sequence[Photo]]) -> dict[int, list[Photo]]:
        found = {group[0].group_id or group[0].id: companions(self._ledger, group) for group in groups}
        return {group_id: photos for group_id, photos in found.items() if photos}

    def _not_placed(self, group: Sequence[Photo], trouble: dict[int, RelayError]) -> None:
        """Take a group out of its batch because one of its files changed or went away meanwhile."""
        now = self._clock.wall()
        ids = [photo.id for photo in group]
        passing = [error for one in ids if (error := trouble.get(one)) and not _settles_anew(error)]
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
                else:
                    self._ledger.photos.advance([photo.id], State.FOUND, now, "looked at again")

    async def _after_failures(self, photos: Sequence[Photo]) -> None:
        """Have the watch look again at what changed, and tell what was refused."""
        states = await anyio.to_thread.run_sync(self._ledger.photos.states, [photo.id for photo in photos])
        failed = [identity for identity, state in states.items() if state in _FAILED]
        for now in await anyio.to_thread.run_sync(self._ledger.photos.get_each, failed):
            if now.state is State.FOUND:
                await anyio.to_thread.run_sync(self._unless_replaced, now)
                await self._look_again(now.user, now.path)
            else:
                self._teller.end(now)

    def _unless_replaced(self, photo: Photo) -> None:
        """End a photo that changed if what stands there now has been entered as another one already."""
        latest = self._ledger.photos.latest(photo.user, photo.path)
        if latest is not None and latest.id != photo.id:
            error = Refused(
                "file.replaced", f"another file has the name {shown(photo.name)} now, which goes its own way"
            )
            self._ledger.photos.refuse([photo.id], error, self._clock.wall())

    def _move(self, batch: Batch, ids: list[int], state: State, batch_state: BatchState) -> None:
        now = self._clock.wall()
        with self._ledger.write():
            self._ledger.photos.advance(ids, state, now)
            self._ledger.batches.move(batch.id, batch_state, now)

    async def _as(self, batch: Batch, state: BatchState) -> Batch:
        found = await anyio.to_thread.run_sync(self._ledger.batches.get, batch.id)
        assert found is not None  # noqa: S101  batches are never deleted
        assert found.state is state  # noqa: S101  just moved
        return found

    async def _import(self, batch: Batch) -> Batch:
        # Settled in a batch that is filled (a crash in between): nobody would look at them here again.
        late = [photo.id for photo in await self._members(batch, State.SETTLED)]
        await anyio.to_thread.run_sync(self._ledger.photos.leave_batch, late)
        placed = await self._members(batch, State.PLACED)
        if placed:
            await anyio.to_thread.run_sync(self._ledger.batches.count_import, batch.id)

            def progress(event: str, name: str) -> None:
                self._bus.tell(f"import.{event}", batch=batch.id, name=shown(name))
                if event == "started":
                    self.under_way.started(name)

            self.under_way.begin(batch.id, "import", placed)
            await self._archive.take_in(batch, placed, progress)
        twins = await self._members(batch, State.EXAMINED)
        await anyio.to_thread.run_sync(self._imported, batch, placed, twins)
        return await self._as(batch, BatchState.IMPORTED)

    def _imported(self, batch: Batch, placed: list[Photo], twins: list[Photo]) -> None:
        with self._ledger.write():
            self._ledger.photos.put_each({photo.id: {"imports": photo.imports + 1} for photo in placed})
            self._move(batch, [photo.id for photo in [*placed, *twins]], State.IMPORTED, BatchState.IMPORTED)

    async def _prove(self, batch: Batch) -> None:
        self._proving = True
        try:
            await self._prove_all(batch)
        finally:
            self._proving = False
        await self._archive.clear(batch)
        await anyio.to_thread.run_sync(self._ledger.batches.move, batch.id, BatchState.ENDED, self._clock.wall())
        self._bus.tell("batch.ended", id=batch.id, name=batch.name)

    async def _prove_all(self, batch: Batch) -> None:
        settings = self._current.settings
        imported = await self._members(batch, State.IMPORTED)
        self.under_way.begin(batch.id, "confirm", imported)
        for chunk in chunks_of_groups(groups_of(imported)):
            errors = await self._confirm.groups(
                chunk,
                release_after=lambda user: settings.users.rules_for(user).release_after,
                album_user=settings.nextcloud.album.seen_by,
                album=bool(settings.nextcloud.album.folder) and settings.nextcloud.occ.via != "off",
            )
            for group, error in zip(chunk, errors, strict=True):
                if error is not None:
                    await anyio.to_thread.run_sync(self._group_waits, group, error)
            members = [photo for group in chunk for photo in group]
            self.under_way.done(*members)
            await self._after_failures(members)
            self._wake.set()

    async def _say_only(self) -> None:
        """With ``relay.dry_run``: say once of each settled photo what would be done, and touch nothing."""
        for photo in await anyio.to_thread.run_sync(self._ledger.photos.by_state, State.SETTLED):
            if photo.id not in self._said:
                self._said.add(photo.id)
                log.info("dry run: %s of %s: %s", shown(photo.path), photo.user, await self._examine.preview(photo))


_FAILED = frozenset({State.FOUND, State.REFUSED, State.HELD})
_WITH_BATCH = frozenset({State.SETTLED, State.EXAMINED, State.PLACED, State.IMPORTED})


def _size(group: Sequence[Photo]) -> int:
    return sum(photo.fingerprint.size for photo in group)


def _once(group: Sequence[Photo]) -> list[Photo]:
    """Give a group without those whose bytes another of its members brings (``IMG_1.jpg`` beside ``IMG_1.jpeg``)."""
    ids = {photo.id for photo in group}
    return [photo for photo in group if photo.duplicate_of not in ids]


def _settles_anew(error: RelayError) -> bool:
    """Tell whether what went wrong with one file leaves the others of its group to be looked at again."""
    return isinstance(error, Refused) or error.code == "file.changed"


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
