"""Users whose disk takes seconds to give a photo: theirs go in small batches of their own, filled beside the others'.

A home may lie on a disk of its own: a network share, a cloud's mount, a dying disk. Nobody else waits for it longer
than it takes to notice. In memory only: after a restart it is noticed anew.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from daemon.errors import Transient
from daemon.files.pace import PACE
from daemon.relay.abreast import rest
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daemon.ledger.model import Photo

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that a user's photos may take together beyond what is granted to each, before the disk counts as slow."""
_EACH = 0.25
"""Seconds that are granted to each photo, whatever its size: a disk that sleeps, or a busy machine, is not slow yet."""
_LEAST = 1 << 20
"""Bytes a second that are granted besides."""
_QUICK = 16
"""So many photos in a row must have been read quickly before a user's go with the others' again."""


HUNG = 30.0
"""Seconds without a word of its disk after which nobody waits for a photo any more, whoever's it is."""


class TooSlow(Exception):
    """Raised where a photo is left for a batch of its user's own: no fault, it only takes long."""


class Slow:
    """Whose disk is slow, as reading their photos told. May be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over: dict[str, float] = {}
        """By user: the seconds that reading has taken too long, less those by which it was quicker since."""
        self._left: dict[str, int] = {}
        """By slow user: how many photos must be read quickly."""
        self._hung: dict[str, dict[int, tuple[str, float]]] = {}
        """By user: photos whose reading was left in its thread, with the last time anything came, while it hangs."""
        self._waiting: set[int] = set()
        """Photos that are not begun, since others of their user hang."""
        self.aside: set[int] = set()
        """Batches of slow users, being filled beside all others: for their disks there is patience."""

    def users(self) -> tuple[str, ...]:
        """Give the users whose disk is slow."""
        with self._lock:
            return tuple(sorted(self._left))

    @contextmanager
    def reading(
        self, photo: Photo, each_block: Callable[[int], None], *, patient: bool
    ) -> Iterator[Callable[[int], None]]:
        """Time the reading of a photo; gives what is to be called with the bytes read so far.

        Raises ``TooSlow`` where the photo's disk is slow, before or while it is read, unless the caller is ``patient``.
        """
        user = photo.user
        if not patient and user in self._left:
            raise TooSlow
        self._wait_for_others_of(photo)
        try:
            yield from self._timed(photo, each_block, patient=patient)
        finally:
            self.back(photo)

    def left(self, photo: Photo, silent: float, *, patient: bool) -> Exception | None:
        """Tell why a photo whose disk has said nothing for so long is waited for no longer; ``None``: it is waited for.

        Until its thread comes back nothing else of that user is read: each try would leave one more thread hanging.
        """
        if silent < (HUNG if patient else PATIENCE + _EACH):
            return None
        with self._lock:
            if photo.id not in self._waiting:
                self._hung.setdefault(photo.user, {})[photo.id] = (photo.name, time.monotonic() - silent)
        if patient:
            return _unanswered(photo.user, photo.name)
        self._look(photo.user, PATIENCE + 1)
        return TooSlow()

    @contextmanager
    def opening(self, photo: Photo, *, patient: bool) -> Iterator[None]:
        """Ask a photo's disk for it once more, after it was read.

        Raises ``Transient`` ``disk.unanswered`` where others of its user hang or, unless ``patient``, its disk is slow.
        """
        user = photo.user
        with self._lock:
            hung = next(iter(self._hung.get(user, {}).values()), None)
        if hung is not None:
            raise _unanswered(user, hung[0], HUNG if patient else PATIENCE)
        if not patient and user in self._left:
            raise _unanswered(user, photo.name, PATIENCE)
        try:
            yield
        finally:
            self.back(photo)

    def not_opened(self, photo: Photo, silent: float, *, patient: bool) -> Exception | None:
        """Tell as ``left`` why a photo is waited for no longer, in words, that is being opened once more."""
        why = self.left(photo, silent, patient=patient)
        return _unanswered(photo.user, photo.name, PATIENCE) if isinstance(why, TooSlow) else why

    def _wait_for_others_of(self, photo: Photo) -> None:
        """Wait until what was left of a user comes back; raise where that has been hanging for too long."""
        self._waiting.add(photo.id)
        try:
            while True:
                with self._lock:
                    hung = next(iter(self._hung.get(photo.user, {}).values()), None)
                if hung is None:
                    return
                if time.monotonic() - hung[1] >= HUNG:
                    raise _unanswered(photo.user, hung[0])
                rest()
        finally:
            self._waiting.discard(photo.id)

    def back(self, photo: Photo) -> None:
        """Take note that the disk has answered for a photo, whether it was waited for or not."""
        with self._lock:
            hung = self._hung.get(photo.user, {})
            hung.pop(photo.id, None)
            if not hung:
                self._hung.pop(photo.user, None)

    def _timed(
        self, photo: Photo, each_block: Callable[[int], None], *, patient: bool
    ) -> Iterator[Callable[[int], None]]:
        user = photo.user
        began, done = time.monotonic() - PACE.waited(), 0

        def beyond() -> float:
            return time.monotonic() - PACE.waited() - began - _EACH - done / _LEAST

        def block(count: int) -> None:
            nonlocal done
            done = count
            each_block(count)
            self._look(user, self._over.get(user, 0.0) + beyond())
            if not patient and user in self._left:
                raise TooSlow

        yield block
        self._ended(user, beyond())

    def _look(self, user: str, over: float) -> None:
        """Note by how much a user's photos have taken too long so far."""
        if over <= PATIENCE:
            return
        with self._lock:
            known = user in self._left
            self._left[user] = _QUICK
        if not known:
            log.info("the disk of %s is slow: these photos go in batches of their own, beside the others'", user)

    def _ended(self, user: str, beyond: float) -> None:
        with self._lock:
            self._over[user] = min(max(0.0, self._over.get(user, 0.0) + beyond), PATIENCE)
            if beyond > 0.0 or user not in self._left:
                return
            self._left[user] -= 1
            if self._left[user]:
                return
            del self._left[user]
        log.info("the disk of %s is quick again: these photos go with the others'", user)


def _unanswered(user: str, name: str, seconds: float | None = None) -> Transient:
    silent = HUNG if seconds is None else seconds
    return Transient(
        "disk.unanswered",
        f"the disk of {user} does not answer: {shown(name)} is being read, and for {silent:.0f} s nothing has come;"
        f" photos of {user} wait where they are, all others go on",
        hint="look whether the disk or the network share that this home lies on is there; it is tried again by itself",
        retry_after=10.0,
    )
