"""What is under way just now, written down by the steps and read by whoever shows it; nothing depends on it.

The steps call it from worker threads in the middle of their work: each call is a few assignments under a lock, waits
for nothing, and takes whatever it is told.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from daemon.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from daemon.ledger.model import Photo

Step = Literal["examine", "place", "import", "confirm"]
WINDOW = 15.0
"""Seconds over which the speed is measured."""
_EACH = 0.25
"""Seconds between two measurements."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one step of one batch is. Sizes in bytes; ``bytes_per_second`` is ``None`` until it can be told."""

    batch_id: int
    step: Step
    photos: int
    done: int
    bytes: int
    bytes_done: int
    bytes_per_second: float | None
    in_hand: Photo | None


class UnderWay:
    """The step that the batch under way is in. May be called from any thread; no call raises or waits."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._batch_id: int | None = None
        self._step: Step = "examine"
        self._photos: dict[int, Photo] = {}
        self._places: dict[str, int] = {}
        self._read: dict[int, int] = {}
        self._done: set[int] = set()
        self._bytes_done = 0
        self._in_hand: dict[int, None] = {}
        self._measured: deque[tuple[float, int]] = deque()

    # -- told by the steps --------------------------------------------------------------------------------------

    def begin(self, batch_id: int, step: Step, photos: Iterable[Photo]) -> None:
        """Note that a batch enters a step with these photos."""
        with self._lock:
            self._clear()
            self._batch_id, self._step = batch_id, step
            self._photos = {photo.id: photo for photo in photos}
            for photo in self._photos.values():
                self._places[photo.place] = photo.id
                self._places.setdefault(photo.place.rpartition("/")[2], photo.id)
            self._measured.append((self._clock.monotonic(), 0))

    def take(self, photo: Photo) -> None:
        """Note that a photo is taken up."""
        with self._lock:
            self._take(photo.id)

    def bytes_of(self, photo: Photo) -> Callable[[int], None]:
        """Give what is to be called with the bytes of a photo that are done so far; it takes the photo up."""
        self.take(photo)

        def so_far(count: int) -> None:
            with self._lock:
                self._count(photo.id, count)

        return so_far

    def done(self, *photos: Photo) -> None:
        """Note that this step is over for photos, however it went."""
        with self._lock:
            for photo in photos:
                self._finish(photo.id)

    def started(self, place: str) -> None:
        """Note that the archive has taken up the photo that was placed there; those before are done."""
        with self._lock:
            for photo_id in list(self._in_hand):
                self._finish(photo_id)
            found = self._places.get(place)
            if found is not None:
                self._take(found)

    def over(self, batch_id: int) -> None:
        """Note that nothing is done for a batch any more: it has ended, or waits."""
        with self._lock:
            if self._batch_id == batch_id:
                self._clear()

    def _take(self, photo_id: int) -> None:
        if photo_id in self._photos and photo_id not in self._done:
            self._in_hand.pop(photo_id, None)
            self._in_hand[photo_id] = None

    def _finish(self, photo_id: int) -> None:
        photo = self._photos.get(photo_id)
        if photo is not None and photo_id not in self._done:
            self._count(photo_id, photo.fingerprint.size)
            self._done.add(photo_id)
            self._in_hand.pop(photo_id, None)

    def _count(self, photo_id: int, count: int) -> None:
        if photo_id not in self._photos or photo_id in self._done:
            return
        self._bytes_done += count - self._read.get(photo_id, 0)
        self._read[photo_id] = count
        now = self._clock.monotonic()
        if now - self._measured[-1][0] >= _EACH:
            self._measured.append((now, self._bytes_done))
            while now - self._measured[0][0] > WINDOW and len(self._measured) > 2:
                self._measured.popleft()

    # -- asked --------------------------------------------------------------------------------------------------

    def look(self) -> Progress | None:
        """Give how far the step under way is, or ``None`` where nothing is."""
        with self._lock:
            if self._batch_id is None:
                return None
            hand = next(reversed(self._in_hand), None)
            return Progress(
                batch_id=self._batch_id,
                step=self._step,
                photos=len(self._photos),
                done=len(self._done),
                bytes=sum(photo.fingerprint.size for photo in self._photos.values()),
                bytes_done=self._bytes_done,
                bytes_per_second=self._speed(),
                in_hand=None if hand is None else self._photos[hand],
            )

    def _speed(self) -> float | None:
        began, at_first = self._measured[0]
        seconds = self._clock.monotonic() - began
        if seconds < 1.0 or self._bytes_done <= at_first:
            return None
        return (self._bytes_done - at_first) / seconds
