"""What becomes of photos that cannot go on with their batch; the others of it go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread

from daemon.errors import NeedsPerson, Refused, RelayError, Transient
from daemon.ledger.model import State
from daemon.pauses import LONGEST, pause
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.clock import Clock
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.relay.telling import Teller

    LookAgain = Callable[[str, str], Awaitable[None]]

MOST_BROUGHT = 6
"""Imports of one photo after which a person is asked: what changes or deletes it in the archive would do so again."""
_SECOND = 15.0
"""Seconds between the second import and the third; each pause after that is four times as long."""

_YOUNG = frozenset({State.FOUND, State.SETTLED})
_FAILED = frozenset({State.FOUND, State.REFUSED, State.HELD})


class Failures:
    """Writes down what keeps photos back, and tells whom it concerns; ``look_again`` is the watch's."""

    def __init__(self, ledger: Ledger, clock: Clock, teller: Teller, look_again: LookAgain) -> None:
        self._ledger = ledger
        self._clock = clock
        self._teller = teller
        self._look_again = look_again

    async def after(self, photos: Sequence[Photo]) -> dict[int, State]:
        """Have the watch look again at what changed, and tell what was refused; give the states that they were in."""
        states, failed = await anyio.to_thread.run_sync(self._states, [photo.id for photo in photos])
        for now in failed:
            if now.state is State.FOUND:
                await anyio.to_thread.run_sync(self.unless_replaced, now)
                await self._look_again(now.user, now.path)
            else:
                self._teller.end(now)
        return states

    def _states(self, ids: Sequence[int]) -> tuple[dict[int, State], list[Photo]]:
        states = self._ledger.photos.states(ids)
        failed = [identity for identity, state in states.items() if state in _FAILED]
        return states, self._ledger.photos.get_each(failed)

    def unless_replaced(self, photo: Photo) -> None:
        """End a photo that changed if what stands there now has been entered as another one already.

        Where it is the same file, written to while it was in a batch, it goes on in its own row, which knows how often
        that has happened: a file that changes for ever would else be entered for ever.
        """
        latest = self._ledger.photos.latest(photo.user, photo.path)
        if latest is None or latest.id == photo.id:
            return
        if latest.fingerprint.inode == photo.fingerprint.inode and latest.batch_id is None and latest.state in _YOUNG:
            with self._ledger.write():
                self._ledger.photos.forget(latest.id)
                self._ledger.photos.put(photo.id, fingerprint=latest.fingerprint)
            return
        error = Refused("file.replaced", f"another file has the name {shown(photo.name)} now, which goes its own way")
        self._ledger.photos.refuse([photo.id], error, self._clock.wall())

    def group_waits(self, group: Sequence[Photo], error: RelayError) -> None:
        """Take a group out of its batch for a while; the others go on."""
        bring_again(self._ledger, group, error, self._clock.wall())


def bring_again(ledger: Ledger, group: Sequence[Photo], error: RelayError, now: float) -> None:
    """Let a group go the whole way again after a pause that grows; where it was imported often enough, hold it.

    How often counts over the proof, after which a photo's tries are forgotten: one that is changed in the archive
    between each proof and the release would else be imported for ever.
    """
    ids, imports = [photo.id for photo in group], max(photo.imports for photo in group)
    wanted = error.retry_after if isinstance(error, Transient) else LONGEST
    if imports > 1:
        wanted = max(wanted or 0.0, _SECOND * 4.0 ** (min(imports, MOST_BROUGHT) - 2))
    with ledger.write():
        ledger.photos.leave_batch(ids)
        if imports >= MOST_BROUGHT:
            ledger.photos.hold(ids, _in_vain(group, imports, error), now)
        else:
            again = now + pause(max(photo.attempts for photo in group), wanted)
            ledger.photos.wait(ids, State.SETTLED, error, now, again)


def _in_vain(group: Sequence[Photo], imports: int, error: RelayError) -> NeedsPerson:
    return NeedsPerson(
        "archive.in_vain",
        f"{shown(group[0].name)} of {group[0].user} was brought to the archive {imports} times in vain; the original is"
        f" kept. The last time: {error.message} [{error.code}]",
        hint="see who or what changes, deletes or locks files in the archive's folder, and mend that; then press Try"
        " again, or run a sweep",
    )
