"""Telling of ends: the one line in the log for each photo that came to its end, and the event for who listens."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio.lowlevel
import anyio.to_thread

from daemon.ledger.model import State
from daemon.text import shown, size_in_words, span_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.clock import Clock
    from daemon.events import Bus
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo

AT_ONCE = 50

log = logging.getLogger("daemon.relay.pipeline")


class Teller:
    """Says of a photo how it ended: done, refused, held."""

    def __init__(self, ledger: Ledger, bus: Bus, clock: Clock) -> None:
        self._ledger = ledger
        self._bus = bus
        self._clock = clock

    async def ends(self, ids: Iterable[int]) -> None:
        """Tell the ends of these photos, as the ledger has them."""
        wanted = list(ids)
        # Some at a time: each writes a line into the log, and meanwhile the event loop does nothing else.
        for start in range(0, len(wanted), AT_ONCE):
            part = wanted[start : start + AT_ONCE]
            for photo in await anyio.to_thread.run_sync(self._ledger.photos.get_each, part):
                self.end(photo)

    async def each(self, photos: Iterable[Photo]) -> None:
        """Tell the ends of photos that are given as the ledger has them."""
        for number, photo in enumerate(photos):
            if number % AT_ONCE == AT_ONCE - 1:
                await anyio.lowlevel.checkpoint()
            self.end(photo)

    def end(self, photo: Photo) -> None:
        """Write the one line of a photo's end, and tell it to whoever listens."""
        if photo.state is State.DONE:
            self._done(photo)
        else:
            log.warning("%s of %s: %s: %s [%s]", shown(photo.path), photo.user, photo.state, photo.message, photo.code)
        self._bus.tell(f"photo.{photo.state}", id=photo.id, user=photo.user, name=shown(photo.name), code=photo.code)

    def _done(self, photo: Photo) -> None:
        took = self._clock.wall() - photo.found_at
        what = "duplicate of" if photo.duplicate_of is not None else "relayed to"
        log.info(
            "%s of %s: %s %s (%s, blake3 %s, %s; original: %s)",
            shown(photo.path),
            photo.user,
            what,
            shown(photo.archived_as),
            size_in_words(photo.fingerprint.size),
            photo.blake3.hex() if photo.blake3 else "-",
            span_in_words(took),
            photo.after,
            extra={
                "photo": photo.id,
                "user": photo.user,
                "file": photo.path,
                "size": photo.fingerprint.size,
                "blake3": photo.blake3.hex() if photo.blake3 else "",
                "destination": photo.archived_as,
                "seconds": round(took, 3),
                "after": photo.after,
            },
        )


def say_restless(photo: Photo) -> None:
    """Tell, once, of a file that changes whenever it is read."""
    log.warning(
        "%s of %s changes whenever it is read; it is looked at again after growing pauses, and all others go on"
        " [file.changed]",
        shown(photo.path),
        photo.user,
    )
