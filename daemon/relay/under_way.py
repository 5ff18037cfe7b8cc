"""What is under way just now, written down by the steps and read by whoever shows it; nothing depends on it.

The steps call it from worker threads in the middle of their work: each call is a few assignments under a lock, waits
for nothing, and takes whatever it is told.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

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


class Mark(NamedTuple):
    """Where a photo is that is read or copied just now: equal marks mean that nothing has come on."""

    batch_id: int
    step: Step
    done: int
    bytes_done: int
    user: str
    name: str


class _Batch:
    """How far one batch is in the step that it is in."""

    def __init__(self, step: Step, photos: Iterable[Photo], now: float) -> None:
        self.step: Step = step
        self.photos = {photo.id: photo for photo in photos}
        self.places: dict[str, int] = {}
        for photo in self.photos.values():
            self.places[photo.place] = photo.id
            self.places.setdefault(photo.place.rpartition("/")[2], photo.id)
        self.read: dict[int, int] = {}
        self.done: set[int] = set()
        self.bytes_done = 0
        self.in_hand: dict[int, None] = {}
        self.measured: deque[tuple[float, int]] = deque([(now, 0)])

    def take(self, photo_id: int) -> None:
        if photo_id not in self.done:
            self.in_hand.pop(photo_id, None)
            self.in_hand[photo_id] = None

    def finish(self, photo_id: int, now: float) -> None:
        if photo_id not in self.done:
            self.count(photo_id, self.photos[photo_id].fingerprint.size, now)
            self.done.add(photo_id)
            self.in_hand.pop(photo_id, None)

    def count(self, photo_id: int, count: int, now: float) -> None:
        if photo_id in self.done:
            return
        self.bytes_done += count - self.read.get(photo_id, 0)
        self.read[photo_id] = count
        if now - self.measured[-1][0] >= _EACH:
            self.measured.append((now, self.bytes_done))
            while now - self.measured[0][0] > WINDOW and len(self.measured) > 2:
                self.measured.popleft()

    def oldest(self) -> Photo | None:
        """Give the photo that has been in hand longest, else the one that comes next."""
        found = next(iter(self.in_hand), None) or next((one for one in self.photos if one not in self.done), None)
        return None if found is None else self.photos[found]

    def speed(self, now: float) -> float | None:
        began, at_first = self.measured[0]
        if now - began < 1.0 or self.bytes_done <= at_first:
            return None
        return (self.bytes_done - at_first) / (now - began)


class UnderWay:
    """The steps that batches under way are in. May be called from any thread; no call raises or waits."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._lock = threading.Lock()
        self._batches: dict[int, _Batch] = {}
        self._of: dict[int, _Batch] = {}

    # -- told by the steps --------------------------------------------------------------------------------------

    def begin(self, batch_id: int, step: Step, photos: Iterable[Photo]) -> None:
        """Note that a batch enters a step with these photos."""
        with self._lock:
            # In its place: the batch that was begun first is the one that is shown.
            self._batches[batch_id] = _Batch(step, photos, self._clock.monotonic())
            self._know()

    def take(self, photo: Photo) -> None:
        """Note that a photo is taken up."""
        with self._lock:
            if (batch := self._of.get(photo.id)) is not None:
                batch.take(photo.id)

    def bytes_of(self, photo: Photo) -> Callable[[int], None]:
        """Give what is to be called with the bytes of a photo that are done so far; it takes the photo up."""
        self.take(photo)

        def so_far(count: int) -> None:
            with self._lock:
                if (batch := self._of.get(photo.id)) is not None:
                    batch.count(photo.id, count, self._clock.monotonic())

        return so_far

    def done(self, *photos: Photo) -> None:
        """Note that this step is over for photos, however it went."""
        now = self._clock.monotonic()
        with self._lock:
            for photo in photos:
                if (batch := self._of.get(photo.id)) is not None:
                    batch.finish(photo.id, now)

    def started(self, place: str) -> None:
        """Note that the archive has taken up the photo that was placed there; those before are done."""
        now = self._clock.monotonic()
        with self._lock:
            for batch in self._batches.values():
                if batch.step == "import":
                    for photo_id in list(batch.in_hand):
                        batch.finish(photo_id, now)
                    if (found := batch.places.get(place)) is not None:
                        batch.take(found)

    def over(self, batch_id: int) -> None:
        """Note that nothing is done for a batch any more: it has ended, or waits."""
        with self._lock:
            self._batches.pop(batch_id, None)
            self._know()

    def _know(self) -> None:
        self._of = {photo_id: batch for batch in self._batches.values() for photo_id in batch.photos}

    # -- asked --------------------------------------------------------------------------------------------------

    def look(self) -> Progress | None:
        """Give how far the step under way is, or ``None`` where nothing is; of two batches the one begun first."""
        with self._lock:
            batch_id, batch = next(iter(self._batches.items()), (0, None))
            if batch is None:
                return None
            hand = next(reversed(batch.in_hand), None)
            return Progress(
                batch_id=batch_id,
                step=batch.step,
                photos=len(batch.photos),
                done=len(batch.done),
                bytes=sum(photo.fingerprint.size for photo in batch.photos.values()),
                bytes_done=batch.bytes_done,
                bytes_per_second=batch.speed(self._clock.monotonic()),
                in_hand=None if hand is None else batch.photos[hand],
            )

    def marks(self) -> list[Mark]:
        """Give where each batch is whose photos are read or copied by this program just now."""
        with self._lock:
            return [
                Mark(batch_id, batch.step, len(batch.done), batch.bytes_done, photo.user, photo.name)
                for batch_id, batch in self._batches.items()
                if batch.step in {"examine", "place"} and (photo := batch.oldest()) is not None
            ]
