"""The model of a batch: groups of photos that travel together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.text import count_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Batch, BatchState, Photo, State

CHUNK = 256
"""Photos that one step works on together: one transaction and one syncing for all of them."""


def groups_of(photos: Iterable[Photo]) -> list[list[Photo]]:
    """Put photos together that were settled together, in their order; one without a group is a group of its own."""
    found: dict[int, list[Photo]] = {}
    for photo in photos:
        found.setdefault(photo.group_id or photo.id, []).append(photo)
    return list(found.values())


def chunks_of_groups(groups: Iterable[Sequence[Photo]], size: int = CHUNK) -> Iterator[list[Sequence[Photo]]]:
    """Put groups into pieces of about ``size`` photos; none is parted."""
    chunk: list[Sequence[Photo]] = []
    count = 0
    for group in groups:
        chunk.append(group)
        count += len(group)
        if count >= size:
            yield chunk
            chunk, count = [], 0
    if chunk:
        yield chunk


def home_of(photo: Photo) -> str:
    """Give the folder that a photo's original stands in, below Nextcloud's data directory."""
    return f"{photo.user}/files/{photo.directory}".rstrip("/")


def size_of(group: Iterable[Photo]) -> int:
    """Give the bytes of some photos."""
    return sum(photo.fingerprint.size for photo in group)


def moved(ledger: Ledger, batch: Batch, ids: Iterable[int], state: State, to: BatchState, now: float) -> Batch:
    """Move photos of a batch, and the batch, both or none; give the batch as it is then. Blocking."""
    with ledger.write():
        ledger.photos.advance(ids, state, now)
        ledger.batches.move(batch.id, to, now)
    found = ledger.batches.get(batch.id)
    assert found is not None  # noqa: S101  batches are never deleted
    return found


def main_of(group: Iterable[Photo]) -> Photo | None:
    """Give the group's first main file, or ``None`` where only side files are left."""
    return next((photo for photo in group if photo.role == "main"), None)


def described(owners: Sequence[str]) -> str:
    """Give a few words on photos, by the user of each, for a message: ``14 photos of alice and bob``."""
    users = sorted(set(owners))
    count = count_in_words(len(owners), "photo")
    return f"{count} of {len(users)} users" if len(users) > 3 else f"{count} of {' and '.join(users)}"
