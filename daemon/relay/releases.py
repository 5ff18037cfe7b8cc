"""The loop of releases: each original goes as soon as it may; one that cannot waits, and keeps no other waiting."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio.to_thread

from daemon.errors import RelayError, Transient
from daemon.files.faults import in_words
from daemon.ledger.model import State
from daemon.pauses import pause
from daemon.relay.batch import CHUNK
from daemon.relay.failures import bring_again
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.issues import Issues
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.relay.release import Release
    from daemon.relay.removals import Removals
    from daemon.relay.telling import Teller
    from daemon.wake import Wake

log = logging.getLogger(__name__)

AT_ONCE = CHUNK
"""Photos asked of the ledger at a time."""
IDLE = 300.0
"""Seconds after which a loop without work looks at the ledger all the same; whatever makes work wakes it."""


class Releases:
    """Lets originals go; ``stopped`` tells whether nothing may move now (paused, dry run)."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        current: Current,
        release: Release,
        removals: Removals,
        teller: Teller,
        issues: Issues,
        stopped: Callable[[], bool],
        wake: Wake,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._current = current
        self._release = release
        self._removals = removals
        self._teller = teller
        self._issues = issues
        self._stopped = stopped
        self._wake = wake
        self._clock = clock
        self.busy = False
        """Whether a round is under way: until it has ended, folders go on changing."""

    async def run(self) -> None:
        """Let originals go as soon as they may, for ever."""
        while True:
            seen = self._wake.count
            ready = await anyio.to_thread.run_sync(self._ready)
            before, self.busy = self.busy, bool(ready) and not self._stopped()
            if not self.busy:
                if before:
                    self._wake.set()  # folders are at rest now
                await self._wake.wait(seen, await anyio.to_thread.run_sync(self._next))
                continue
            await self.round(ready)
            self._wake.set()

    async def round(self, photos: list[Photo]) -> None:
        """Let these originals go; once Nextcloud itself has failed, it is asked for no other in this round."""
        fault: RelayError | None = None
        gone = await self._removed(photos)
        left = [photo.id for photo in photos if photo.id not in gone]
        # As they are now: one that could be neither deleted nor put back has a private name since a moment ago.
        for photo in await anyio.to_thread.run_sync(self._ledger.photos.get_each, left):
            if self._stopped():
                return
            if fault is not None and self._current.settings.users.rules_for(photo.user).after in {"trash", "tag"}:
                await anyio.to_thread.run_sync(self._waits, photo, fault)
                continue
            error = await self.one(photo)
            if error is not None and _of_nextcloud_itself(error):
                fault = error

    async def _removed(self, photos: list[Photo]) -> set[int]:
        """Let go, all at once, what is simply deleted; give the ids. What stands in the way is told one by one."""
        try:
            gone = await anyio.to_thread.run_sync(self._removals.remove, photos)
        except RelayError as error:
            log.debug("originals are let go one by one: %s", error)
            return set()
        if gone:
            self._issues.clear("release")
        await self._teller.each(photo for photo in gone if photo.state is State.DONE)
        return {photo.id for photo in gone}

    async def one(self, photo: Photo) -> RelayError | None:
        """Let one original go; give what kept it, which is written down by then."""
        error: RelayError
        try:
            if await self._release.photo(photo):
                self._issues.clear("release")
                return None
            error = Transient(
                "archive.broken",
                f"the archive's copy of {shown(photo.name)} of {photo.user} was changed or deleted after its proof;"
                " the photo is brought again",
                hint="see whether somebody deletes or changes files in the archive's folder",
            )
            await self._bring_again(photo, error)
        except RelayError as raised:
            error = raised
            if error.code == "archive.linked":
                await self._bring_again(photo, error)
            else:
                await self._not_released(photo, error)
        except Exception as fault:
            said = in_words(fault, f"releasing {shown(photo.name)} of {photo.user}, in")
            if said is None:
                log.exception("%s of %s could not be released", shown(photo.path), photo.user)
                words = f"a fault of the program kept {shown(photo.name)} of {photo.user} from being released"
                said = Transient("task.crashed", f"{words} ({type(fault).__name__})")
            error = said
            await self._not_released(photo, error)
        return error

    def _ready(self) -> list[Photo]:
        """Give the originals that may be let go now, those whose release is to be tried again included."""
        now = self._clock.wall()
        with self._ledger.write():
            for photo in [] if self._stopped() else self._ledger.photos.due(now):
                if photo.resume is State.ARCHIVED:
                    self._ledger.photos.take_up(photo.id, State.ARCHIVED, now)
            return self._ledger.photos.releasable(now, AT_ONCE)

    def _next(self) -> float:
        """Give the seconds until an original may be let go."""
        due = None if self._stopped() else self._ledger.photos.next_release()
        return IDLE if due is None else max(0.05, min(IDLE, due - self._clock.wall()))

    async def _not_released(self, photo: Photo, error: RelayError) -> None:
        if await anyio.to_thread.run_sync(self._waits, photo, error):
            self._issues.report("release", error)
        else:
            await self._teller.ends([photo.id])

    def _waits(self, photo: Photo, error: RelayError) -> bool:
        """Write down that an original could not be let go; tell whether that is tried again by itself."""
        now = self._clock.wall()
        if worth_waiting(error):
            wanted = error.retry_after if isinstance(error, Transient) else 60.0
            again = now + pause(photo.attempts, wanted)
            self._ledger.photos.wait([photo.id], State.ARCHIVED, error, now, again)
            return True
        self._ledger.photos.hold([photo.id], error, now)
        return False

    async def _bring_again(self, photo: Photo, error: RelayError) -> None:
        await anyio.to_thread.run_sync(self._removals.archive.give_up, photo)
        await anyio.to_thread.run_sync(bring_again, self._ledger, [photo], error, self._clock.wall())
        if (await anyio.to_thread.run_sync(self._ledger.photos.states, [photo.id]))[photo.id] is State.HELD:
            await self._teller.ends([photo.id])


_FOR_A_PERSON = frozenset({"occ.bad_path", "occ.bad_tag", "occ.bad_argument"})
"""What ``occ`` can never be asked for: the file's name or the tag itself is in the way."""


_OF_ITSELF = frozenset(
    f"occ.{name}"
    for name in (
        *("cannot_start", "database", "maintenance", "no_answer", "no_occ", "no_trash", "no_user", "not_installed"),
        *("off", "timeout", "upgrade_pending", "wrong_user"),
    )
)


def _of_nextcloud_itself(error: RelayError) -> bool:
    """Tell whether ``occ`` would fail so for any other file too."""
    return error.code in _OF_ITSELF or error.code.startswith("docker.")


def worth_waiting(error: RelayError) -> bool:
    """Tell whether a release that failed so is tried again by itself."""
    if error.code in _FOR_A_PERSON:
        return False
    return isinstance(error, Transient) or error.code.startswith(("occ.", "docker.", "disk."))
