"""How far the batch under way is, in the form that a page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.clock import iso
from daemon.ledger.model import BatchState
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.ledger.model import Batch, Photo
    from daemon.relay.under_way import Progress

_NEXT_STEP = {BatchState.OPEN: "examine", BatchState.PLACED: "import", BatchState.IMPORTED: "confirm"}


def batch_under_way(unfinished: Sequence[Batch], progress: Progress | None) -> Batch | None:
    """Choose the batch to show: the one that is worked on, else the oldest that waits."""
    if progress is not None:
        for batch in unfinished:
            if batch.id == progress.batch_id:
                return batch
    return unfinished[0] if unfinished else None


def batch_as_dict(batch: Batch, progress: Progress | None, photos: int, size: int) -> dict[str, Any]:
    """Give a batch with its step; ``photos`` and ``size`` (bytes) are those of the whole batch, for one that waits."""
    found: dict[str, Any] = {
        "id": batch.id,
        "name": batch.name,
        "state": batch.state.value,
        "step": _NEXT_STEP.get(batch.state, "confirm"),
        "photos": photos,
        "done": 0,
        "bytes": size,
        "bytes_done": 0,
        "bytes_per_second": None,
        "seconds_left": None,
        "in_hand": None,
        "created_at": iso(batch.created_at),
        "waits_since": iso(batch.since),
        "next_try": iso(batch.next_try),
        "code": batch.code,
        "message": batch.message,
    }
    if progress is not None and progress.batch_id == batch.id:
        found |= {
            "step": progress.step,
            "photos": progress.photos,
            "done": progress.done,
            "bytes": progress.bytes,
            "bytes_done": progress.bytes_done,
            "bytes_per_second": None if progress.bytes_per_second is None else round(progress.bytes_per_second),
            "seconds_left": _seconds_left(progress),
            "in_hand": None if progress.in_hand is None else _in_hand(progress.in_hand),
        }
    return found


def _seconds_left(progress: Progress) -> int | None:
    if not progress.bytes_per_second:
        return None
    return round(max(0, progress.bytes - progress.bytes_done) / progress.bytes_per_second)


def _in_hand(photo: Photo) -> dict[str, Any]:
    return {"id": photo.id, "user": photo.user, "name": shown(photo.name)}
