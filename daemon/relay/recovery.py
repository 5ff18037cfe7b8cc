"""After a restart: half-done releases end, and each batch goes on from where it really is."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio.to_thread

from daemon.errors import Refused, RelayError
from daemon.files.opening import directory_below, look
from daemon.ledger.model import BatchState, State

if TYPE_CHECKING:
    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Batch
    from daemon.relay.archive import Archive
    from daemon.relay.failures import Failures
    from daemon.relay.release import Release
    from daemon.relay.restore import Restore

log = logging.getLogger(__name__)


class Recovery:
    """Finds out how far the last run came."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        current: Current,
        archive: Archive,
        release: Release,
        restore: Restore,
        failures: Failures,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._current = current
        self._archive = archive
        self._release = release
        self._restore = restore
        self._failures = failures
        self._clock = clock
        self._unseen: set[int] = set()

    def run(self) -> None:
        """Bring half-done releases to an end and see how far unfinished batches really are. Blocking."""
        self._release.recover(self._restore.recover)
        for batch in self._ledger.batches.unfinished():
            try:
                self._see(batch)
            except RelayError as error:
                # Its disk is away: the batch waits until it can be looked at, and nothing else waits for that.
                log.warning("batch %s cannot be looked at yet: %s", batch.name, error)
                self._unseen.add(batch.id)
        self._forget_vanished()

    async def seen(self, batch: Batch) -> Batch:
        """Look at a batch whose disk was away at the start; give it as it is then."""
        if batch.id not in self._unseen:
            return batch
        await anyio.to_thread.run_sync(self._see, batch)
        self._unseen.discard(batch.id)
        return await anyio.to_thread.run_sync(self._ledger.batches.get, batch.id) or batch

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
                    self._failures.unless_replaced(photo)
