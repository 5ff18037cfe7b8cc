"""The batches' desk: what was moved when, and putting a whole batch back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import anyio.to_thread

from daemon.clock import iso
from daemon.errors import NeedsPerson
from daemon.service.filters import within_int64
from daemon.service.photos import photo_row
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.ledger.batch_list import BatchSum
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.service.runs import Runs

LIMIT, MOST = 30, 100
ROWS = 500


class RestoreAll(Protocol):
    """Puts photos back one after another and gives how many could not be (``Service.restore_photos``)."""

    async def __call__(self, ids: Sequence[int], say: Callable[[str], Awaitable[None]], who: str) -> int:
        """Tell ``say`` of each photo how it went."""


class BatchDesk:
    """What a front end may ask about batches, and have done with one."""

    def __init__(self, ledger: Ledger, runs: Runs, restore: RestoreAll) -> None:
        self._ledger = ledger
        self._runs = runs
        self._restore = restore

    async def list(self, *, before: int | None = None, limit: int = LIMIT) -> dict[str, Any]:
        """Give batches newest first, and the cursor with which to go on."""
        limit = max(1, min(limit, MOST))
        before = None if before is None else within_int64(before)
        found = await anyio.to_thread.run_sync(self._ledger.batch_list.page, before, limit + 1)
        batches = [batch_row(one) for one in found[:limit]]
        return {"batches": batches, "next": batches[-1]["id"] if len(found) > limit else None}

    async def get(self, identity: int) -> dict[str, Any]:
        """Give one batch with its photos, at most 500. Raises ``NeedsPerson`` ``batch.unknown``."""
        found, photos = await anyio.to_thread.run_sync(self._get, within_int64(identity))
        return {**batch_row(found), "rows": [photo_row(photo) for photo in photos]}

    def _get(self, identity: int) -> tuple[BatchSum, Sequence[Photo]]:
        found = self._ledger.batch_list.get(identity)
        if found is None:
            raise NeedsPerson("batch.unknown", f"there is no batch {identity} in the ledger")
        return found, self._ledger.batch_list.photos(identity, ROWS)

    async def restore(self, identity: int, who: str) -> dict[str, Any]:
        """Begin to put all photos of a batch back; give ``{"run": …}`` at once.

        Raises ``NeedsPerson``: ``batch.unknown``, ``batch.empty``.
        """
        found = (await anyio.to_thread.run_sync(self._get, within_int64(identity)))[0]
        if not found.photos:
            raise NeedsPerson("batch.empty", f"batch {identity} has no photos: they went on in another batch")
        ids = [photo.id for photo in await anyio.to_thread.run_sync(self._ledger.photos.of_batch, identity)]

        async def work(say: Callable[[str], Awaitable[None]]) -> dict[str, Any]:
            failed = await self._restore(ids, say, who)
            return {"batch": identity, "restored": len(ids) - failed, "failed": failed}

        return {"run": await self._runs.start("restore", who, work, about=identity)}


def batch_row(found: BatchSum) -> dict[str, Any]:
    """Give a batch as every front end gets it."""
    batch = found.batch
    return {
        "id": batch.id,
        "name": batch.name,
        "state": batch.state.value,
        "created_at": iso(batch.created_at),
        "ended_at": iso(batch.ended_at),
        "photos": found.photos,
        "bytes": found.bytes,
        "duplicates": found.duplicates,
        "restored": found.restored,
        "held": found.held,
        "users": [shown(user) for user in found.users],
        "code": batch.code or None,
        "message": shown(batch.message, 2000) or None,
        "waits_since": iso(batch.since),
        "next_try": iso(batch.next_try),
    }
