"""Forming batches: which photos go together next, and how many of them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from daemon.files.names import word
from daemon.ledger.model import BatchState
from daemon.relay.batch import described

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Batch
    from daemon.ledger.photos import Waiting
    from daemon.relay.archive import Archive
    from daemon.relay.slow import Slow

log = logging.getLogger(__name__)

_FIRST = 6
"""An archive that works by itself and is at rest gets this part of a batch first, so that it soon has work to do."""
_LEAST = 8
"""A smaller first batch would not be worth an import of its own."""
_ASIDE = 8
"""Photos in a batch of users whose disk is slow: they arrive by and by, and no other slow user waits for many."""


class Forming:
    """Opens batches of what is settled. All methods block; ``stopped`` tells whether nothing may move now."""

    def __init__(
        self,
        ledger: Ledger,
        current: Current,
        archive: Archive,
        clock: Clock,
        slow: Slow,
        stopped: Callable[[], bool],
    ) -> None:
        self._ledger = ledger
        self._current = current
        self._archive = archive
        self._clock = clock
        self._slow = slow
        self._stopped = stopped
        self._overtaken = 0
        self.aside = slow.aside
        """Batches that are being filled beside all others: nobody else may touch them meanwhile."""
        self._last_aside = 0

    def open(self, *, resting: bool = False) -> Batch | None:
        """Make a batch of the groups that have waited longest; groups are never parted.

        Behind a backlog each user's newest come along: nobody waits for the twenty thousand of another, nor for those
        of his own. And a batch ends before it takes long, as far as that is ours to say. ``resting`` says that the
        archive has nothing to do until it gets this batch.
        """
        limit = self._most()
        # One transaction: what changes in this moment is taken out before, or found to have begun.
        slow = self._slow.users()
        with self._ledger.write():
            waiting = self._ledger.photos.settled_first(limit, without=slow)
            first = limit // _FIRST
            if resting and self._archive.apart and first >= _LEAST and len(waiting) > limit // 2:
                limit = first
            if len(waiting) >= limit > 1:
                waiting = [*self._ledger.photos.settled_last(limit // 4, without=slow), *waiting]
            return self._of(waiting, limit)

    def open_ahead(self, busy_with: int) -> Batch | None:
        """Make the batch that is prepared while the archive works on another one, ``busy_with``; mostly there is none.

        One waits ready at a time, and whoever comes while it waits overtakes it, in one small batch: else a single
        photo would wait for two large ones. Nothing is prepared while anything waits for the archive to be well again.
        """
        others = [batch for batch in self.unfinished() if batch.id != busy_with]
        if not others:
            return self.open()
        [ready, *more] = others
        if more or ready.state is not BatchState.PLACED or ready.next_try is not None or ready.id == self._overtaken:
            return None
        few = max(1, self._most() // 4)
        with self._ledger.write():
            newest = self._ledger.photos.settled_last(few, without=self._slow.users())
            late = [photo for photo in newest if photo.found_at > ready.created_at]
            batch = self._of(late, few)
        if batch is not None:
            self._overtaken = ready.id
        return batch

    def open_aside(self) -> Batch | None:
        """Make a small batch of users whose disk is slow; mostly there is none.

        One at a time, until it has ended.
        """
        slow = self._slow.users()
        if not slow or any(batch.id == self._last_aside for batch in self._ledger.batches.unfinished()):
            return None
        with self._ledger.write():
            newest = self._ledger.photos.settled_last(_ASIDE // 2, of=slow)
            batch = self._of([*newest, *self._ledger.photos.settled_first(_ASIDE, of=slow)], _ASIDE)
            if batch is not None:
                # Before anybody else can see it.
                self._last_aside = batch.id
                self.aside.add(batch.id)
        return batch

    def unfinished(self) -> list[Batch]:
        """Give the batches that have not ended, oldest first, but for one that is filled beside all others."""
        return [batch for batch in self._ledger.batches.unfinished() if batch.id not in self.aside]

    def _most(self) -> int:
        return min(self._current.settings.watch.batch, self._archive.most)

    def _of(self, waiting: list[Waiting], limit: int) -> Batch | None:
        if self._stopped():
            return None
        # A group's members may lie far apart in a large folder's listing.
        groups = self._ledger.photos.settled_of(dict.fromkeys(one.group for one in self._still_included(waiting)))
        taken: list[Waiting] = []
        size = 0
        for group in groups:
            size += sum(one.size for one in group)
            if taken and (len(taken) + len(group) > limit or size > self._archive.most_bytes):
                break
            taken += group
        if not taken:
            return None
        batch = self._ledger.batches.open(word(14), self._clock.wall())
        self._ledger.photos.put_each({photo.id: {"batch_id": batch.id} for photo in taken})
        log.info("batch %s: %s", batch.name, described([one.user for one in taken]), extra={"batch": batch.name})
        return batch

    def _still_included(self, waiting: list[Waiting]) -> list[Waiting]:
        """Leave out, and forget, what belongs to somebody who is not included any more: nothing of it has begun."""
        users = self._current.settings.users
        included = {user for user in {one.user for one in waiting} if users.decision(user) == "include"}
        for one in waiting:
            if one.user not in included:
                self._ledger.photos.forget(one.id)
        return [one for one in waiting if one.user in included]
