"""Trying a photo again, because a person asked for it; and which photos can be asked for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.ledger.model import State

if TYPE_CHECKING:
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo

RETRIABLE = frozenset({State.WAITING, State.HELD, State.REFUSED})
"""States from which a photo goes on when it is asked to."""

RESTORABLE = frozenset({State.DONE, State.RELEASED, State.RESTORED})
"""States in which the archive has a photo whose original was let go."""


MOST = 10_000
"""Photos that are tried again at once, at most."""


def can_be_restored(photo: Photo) -> bool:
    """Tell whether a photo can be put back where it came from."""
    return photo.state in RESTORABLE and photo.blake3 is not None


def try_again(ledger: Ledger, identity: int, now: float) -> bool:
    """Let a photo go on; ``False`` where it is under way or at its end: begun anew, it would be done twice."""
    photo = ledger.photos.get(identity)
    if photo is None or photo.state not in RETRIABLE:
        return False
    if photo.state is State.WAITING:
        ledger.photos.put(identity, next_try=now)
        if photo.batch_id is not None:
            ledger.batches.try_now(photo.batch_id, now)
    elif photo.proved_at is not None and photo.archived_as:
        ledger.photos.advance([identity], State.ARCHIVED, now, "tried again on request", next_try=now)
    else:
        ledger.photos.leave_batch([identity])
        ledger.photos.advance(
            [identity], State.SETTLED, now, "tried again on request", imports=0, indexings=0, attempts=0
        )
    return True


def try_again_all(ledger: Ledger, code: str, who: str, now: float) -> int:
    """Let all photos that wait or are held for this reason go on, and their batch; give how many. Blocking."""
    with ledger.write():
        ids = ledger.outbox.stuck_ids(code, MOST)
        count = sum(try_again(ledger, identity, now) for identity in ids)
        for batch in ledger.batches.unfinished():
            if batch.code == code:
                ledger.batches.try_now(batch.id, now)
        ledger.audit.note(now, "tried again", who=who, note=f"{count} photos: {code}")
    return count
