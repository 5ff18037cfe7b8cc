"""The loop of releases: each original goes as soon as it may; one that cannot waits, and keeps no other waiting.

Each user's originals go in a lane of their own. One lane follows the other where it goes quickly; beside one whose disk
takes its time, or hangs, the others' go. What a hanging call does to a file nobody knows before it has returned: it is
never given up, and until then nothing else of that user is touched.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from daemon.errors import RelayError, Transient
from daemon.files.faults import in_words
from daemon.ledger.model import State
from daemon.pauses import pause
from daemon.relay import slow
from daemon.relay.batch import CHUNK
from daemon.relay.failures import bring_again
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup

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
TURN = 0.5
"""Seconds for which the others wait while one user's originals are let go."""
LANES = 16
"""Users whose originals are let go at a time at most: each may hold a thread for as long as a disk hangs."""
_QUICK = 5.0
"""Seconds after which Nextcloud's scans no longer wait for a lane to be done."""


@dataclass(eq=False, slots=True)
class _Lane:
    """A user's originals being let go: since when, which one, and since when that one. Monotonic seconds."""

    user: str
    began: float
    heard: float
    name: str = ""


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
        self._lanes: dict[str, _Lane] = {}
        self._more = False

    @property
    def busy(self) -> bool:
        """Tell whether originals go: until that has ended, folders go on changing. A disk that hangs changes none."""
        now = self._clock.monotonic()
        return self._more or any(now - lane.began < _QUICK for lane in self._lanes.values())

    async def run(self) -> None:
        """Let originals go as soon as they may, for ever."""
        async with anyio.create_task_group() as lanes:
            while True:
                seen = self._wake.count
                ready = [] if len(self._lanes) >= LANES else await anyio.to_thread.run_sync(self._ready)
                before, self._more = self._more, bool(ready) and not self._stopped()
                if not self._more:
                    if before:
                        self._wake.set()  # folders are at rest now
                    await self._wake.wait(seen, await anyio.to_thread.run_sync(self._next))
                    continue
                await self._begin(lanes, ready)
                self._wake.set()

    async def _begin(self, lanes: TaskGroup, ready: list[Photo]) -> None:
        """Let these go, user by user, and beside one who takes long the others'."""
        of_user: dict[str, list[Photo]] = {}
        for photo in ready:
            of_user.setdefault(photo.user, []).append(photo)
        for user, photos in of_user.items():
            if len(self._lanes) >= LANES:
                return
            now = self._clock.monotonic()
            lane = self._lanes[user] = _Lane(user, now, now)
            over = anyio.Event()
            lanes.start_soon(self._go, lane, photos, over)
            with anyio.move_on_after(TURN):
                await over.wait()

    async def _go(self, lane: _Lane, photos: list[Photo], over: anyio.Event) -> None:
        try:
            async with anyio.create_task_group() as beside:
                beside.start_soon(self._tell_if_silent, lane)
                await self.round(photos, lane)
                beside.cancel_scope.cancel()
        finally:
            self._issues.clear(_about(lane))
            del self._lanes[lane.user]
            over.set()
            self._wake.set()

    async def _tell_if_silent(self, lane: _Lane) -> None:
        """Say whose disk does not answer, for as long as it is so."""
        while True:
            silent = self._clock.monotonic() - lane.heard
            if silent < slow.HUNG:
                self._issues.clear(_about(lane))
                await anyio.sleep(slow.HUNG - silent)
                continue
            self._issues.report(_about(lane), self._unanswered(lane), subject=lane.user)
            await anyio.sleep(1.0)

    def _unanswered(self, lane: _Lane) -> RelayError:
        asks = self._current.settings.users.rules_for(lane.user).after in {"trash", "tag"}
        return Transient(
            "disk.unanswered",
            f"the disk of {lane.user}{', or Nextcloud,' if asks else ''} does not answer: {shown(lane.name)} is in the"
            f" archive and its original is being let go, and for {slow.HUNG:.0f} s nothing has come; originals of"
            f" {lane.user} wait, all others go on",
            hint="look whether the disk or the network share that this home lies on is there; when it answers again"
            " all goes on by itself",
        )

    async def round(self, photos: list[Photo], lane: _Lane | None = None) -> None:
        """Let these originals go; once Nextcloud itself has failed, it is asked for no other in this round."""

        def heard(photo: Photo) -> None:
            if lane is not None:
                lane.heard, lane.name = self._clock.monotonic(), photo.name

        fault: RelayError | None = None
        gone = await self._removed(photos, heard)
        left = [photo.id for photo in photos if photo.id not in gone]
        # As they are now: one that could be neither deleted nor put back has a private name since a moment ago.
        for photo in await anyio.to_thread.run_sync(self._ledger.photos.get_each, left):
            if self._stopped():
                return
            if fault is not None and self._current.settings.users.rules_for(photo.user).after in {"trash", "tag"}:
                await anyio.to_thread.run_sync(self._waits, photo, fault)
                continue
            heard(photo)
            error = await self.one(photo)
            if error is not None and _of_nextcloud_itself(error):
                fault = error

    async def _removed(self, photos: list[Photo], heard: Callable[[Photo], None]) -> set[int]:
        """Let go, all at once, what is simply deleted; give the ids. What stands in the way is told one by one."""
        try:
            gone = await anyio.to_thread.run_sync(self._removals.remove, photos, heard)
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
            return self._ledger.photos.releasable(now, AT_ONCE, without=tuple(self._lanes))

    def _next(self) -> float:
        """Give the seconds until an original may be let go; the end of a lane rings."""
        full = self._stopped() or len(self._lanes) >= LANES
        due = None if full else self._ledger.photos.next_release(without=tuple(self._lanes))
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


def _about(lane: _Lane) -> str:
    return f"disk of {shown(lane.user)}"


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
