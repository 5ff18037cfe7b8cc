"""Questions and deeds of a front end, each the same whoever asks."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import anyio.from_thread
import anyio.to_thread

from daemon import __version__
from daemon.clock import iso
from daemon.errors import NeedsPerson, RelayError
from daemon.ledger.model import State
from daemon.relay.pipeline import is_quiet
from daemon.service.again import try_again, try_again_all
from daemon.service.batches import BatchDesk
from daemon.service.doors import Registers
from daemon.service.index import IndexNow
from daemon.service.lamps import Lamps
from daemon.service.logbook import LogBook
from daemon.service.notify import NotifyRoom
from daemon.service.now import Now, last_batch, last_sweep, troubles
from daemon.service.others import Others
from daemon.service.photos import PhotoDesk
from daemon.service.runs import Runs
from daemon.service.users import UserDesk
from daemon.service.verdicts import Verdicts
from daemon.text import count_in_words, shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.checks.check import Check
    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.docker.engine import Engine
    from daemon.events import Bus
    from daemon.issues import Issues
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Job
    from daemon.photoprism.client import PhotoPrism
    from daemon.relay.archive import Archive
    from daemon.relay.examine import Examine
    from daemon.relay.pipeline import Pipeline
    from daemon.relay.restore import Restore
    from daemon.service.config import Config
    from daemon.supervise import Supervisor
    from daemon.sweeper import Sweeper
    from daemon.wake import Wake
    from daemon.watch.watcher import Watch

log = logging.getLogger(__name__)

PATIENCE = 20.0
"""Seconds for which a sweep that a person waits for goes on when all that is left waits for a later try."""


class Service:
    """Questions and deeds; every deed is the same whoever asks for it."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        current: Current,
        pipeline: Pipeline,
        watch: Watch,
        sweeper: Sweeper,
        examine: Examine,
        restore: Restore,
        issues: Issues,
        supervisor: Supervisor,
        checks: Callable[[], Awaitable[list[Check]]],
        bus: Bus,
        wake: Wake,
        clock: Clock,
        archive: Archive,
        prism: PhotoPrism | None = None,
        engine: Engine | None = None,
    ) -> None:
        self._ledger = ledger
        self._current = current
        self._pipeline = pipeline
        self._watch = watch
        self._sweeper = sweeper
        self._examine = examine
        self._restore = restore
        self._issues = issues
        self._supervisor = supervisor
        self._checks = checks
        self.bus = bus
        self._wake = wake
        self._clock = clock
        self._started = time.time()
        self.config: Config | None = None
        """The settings and their file; none for a single sweep."""
        self.doors = Registers(ledger, bus, clock)
        self.runs = Runs(bus, clock, sweep=self.sweep, index=IndexNow(ledger, current, wake, clock))
        self.photos = PhotoDesk(
            ledger=ledger,
            current=current,
            archive=archive,
            prism=prism,
            restore=restore,
            bus=bus,
            wake=wake,
            clock=clock,
        )
        self.batches = BatchDesk(ledger, self.runs, self.restore_photos)
        self.log = LogBook(ledger)
        self.others = Others(current, clock)
        self.notify = NotifyRoom(self, ledger, current, issues, bus, clock)
        lamps = Lamps(
            current=current,
            issues=issues,
            watch=watch.status,
            archive=archive,
            engine=engine if current.settings.nextcloud.occ.via == "docker" else None,
            background=self.runs.background,
            clock=clock,
        )
        self.users = UserDesk(ledger, current, lambda: self.config, clock)
        self.now = Now(
            ledger=ledger,
            current=current,
            issues=issues,
            under_way=pipeline.under_way,
            lamps=lamps,
            live=self._live,
            config=lambda: self.config.state() if self.config is not None else None,
            clock=clock,
        )

    # -- questions ----------------------------------------------------------------------------------------------

    async def status(self) -> dict[str, Any]:
        """Give the snapshot: counts, what is wrong, the batch under way, the watch, sweeps."""
        found = await anyio.to_thread.run_sync(status_of, self._ledger, self._clock.wall())
        return {**found, **self._live(), "issues": self.open_issues()}

    def _live(self) -> dict[str, Any]:
        """Give what costs nothing to ask."""
        return {
            "version": __version__,
            "running_since": iso(self._started),
            "paused": self._pipeline.paused,
            "dry_run": self._current.settings.relay.dry_run,
            "watch": self._watch_status(),
            "sweep": self._sweeper.status(),
        }

    def _watch_status(self) -> dict[str, Any]:
        watch = self._watch.status()
        return {
            "mode": watch.mode,
            "why": watch.why,
            "problem": watch.problem,
            "verified_at": iso(watch.verified_at),
            "swept_at": iso(watch.swept_at),
            "directories": watch.directories,
            "pending": watch.pending,
            "missed": watch.missed,
            "unreadable": list(watch.unreadable),
        }

    def health(self) -> dict[str, Any]:
        """Tell whether the daemon is alive: all its loops run, and the event loop answers."""
        stopped = sorted(name for name, runs in self._supervisor.running.items() if not runs)
        return {
            "ok": not stopped,
            "stopped": stopped,
            "version": __version__,
            "hidden_callers": self.doors.callers.hidden(),
        }

    def open_issues(self) -> list[dict[str, Any]]:
        """Give what is wrong now, oldest first."""
        return [dict(issue.as_dict()) for issue in self._issues.all()]

    async def checks(self) -> list[Check]:
        """Look at everything that a start needs."""
        return await self._checks()

    # -- deeds --------------------------------------------------------------------------------------------------

    async def sweep(
        self, users: Sequence[str], *, dry_run: bool, say: Callable[[str], Awaitable[None]], settle: float | None = None
    ) -> dict[str, Any]:
        """Do one sweep, wait until all it found has been relayed, and give the summary."""
        if dry_run or self._current.settings.relay.dry_run:
            return await self._preview(users, say)
        began = self._clock.wall()
        await anyio.to_thread.run_sync(self._retry_held, users)
        unknown = [user for user in users if self._current.settings.users.decision(user) != "include"]
        if unknown:
            raise NeedsPerson(
                "sweep.not_included",
                f"{', '.join(map(shown, unknown))} is not included; nothing of theirs is relayed",
                hint="include the user in users.include",
            )
        swept = await self._sweeper.now("asked for", users or None, settle=settle)
        counts = await anyio.to_thread.run_sync(self._ledger.photos.counts)
        going = sum(count for state, count in counts.items() if state in _SHOWN)
        if going:
            await say(f"{count_in_words(swept.files, 'file')} looked at, {count_in_words(going, 'photo')} to relay")
        await self._until_quiet(say)
        return await anyio.to_thread.run_sync(self._summary, began)

    async def _until_quiet(self, say: Callable[[str], Awaitable[None]]) -> None:
        """Wait until nothing moves by itself; what waits for a later try is given a little time."""
        told = ""
        stuck_since: float | None = None
        while True:
            counts, jobs, blocked, moving = await anyio.to_thread.run_sync(self._at_once)
            if not self._watch.status().pending:
                moving[State.FOUND.value] = 0  # side files that wait for their photo
            fresh_jobs = [job for job in jobs if not job.code]
            now = self._clock.monotonic()
            if is_quiet(moving) and not fresh_jobs and not self._watch.status().pending:
                if self._pipeline.paused or not (counts[State.WAITING.value] or jobs or blocked):
                    return
                stuck_since = stuck_since or now
                if now - stuck_since > PATIENCE:
                    return
            else:
                stuck_since = None
            words = ", ".join(f"{count} {state}" for state, count in counts.items() if count and state in _SHOWN)
            if words and words != told:
                told = words
                await say(words)
            await self._clock.sleep(0.2)

    def _at_once(self) -> tuple[dict[str, int], Sequence[Job], bool, dict[str, int]]:
        """Give counts, jobs, and what of them can move, all of one moment: photos go on while one asks."""
        with self._ledger.write():
            counts, jobs, blocked = self._ledger.photos.counts(), self._ledger.jobs.pending(), self._blocked()
            return counts, jobs, blocked, self._moving(counts, jobs, blocked)

    def _blocked(self) -> bool:
        """Tell whether a batch waits for the archive, or is being tried once more just now."""
        return any(batch.next_try is not None for batch in self._ledger.batches.unfinished())

    def _moving(self, counts: dict[str, int], jobs: Sequence[Job], blocked: bool) -> dict[str, int]:
        """Give the counts without what cannot move now: whoever swept is told of it, and does not wait for it."""
        if self._pipeline.paused:
            return {}
        moving = dict(counts)
        if blocked:
            moving[State.SETTLED.value] = 0  # while a batch waits for the archive, no other is begun
        if not self._ledger.photos.releasable(self._clock.wall() + PATIENCE, 1):
            moving[State.ARCHIVED.value] = 0  # users.release_after
        if jobs and all(job.code for job in jobs):
            moving[State.RELEASED.value] = 0  # Nextcloud does not answer
        return moving

    def _summary(self, began: float) -> dict[str, Any]:
        counts = self._ledger.photos.counts()
        since = self._ledger.photos.ended_between(began, self._clock.wall())
        waiting = counts[State.WAITING.value] + counts[State.SETTLED.value]
        failed = waiting + counts[State.HELD.value] + len(self._ledger.jobs.pending())
        return {
            **since,
            "waiting": waiting,
            "held": counts[State.HELD.value],
            "failed": failed,
            "troubles": troubles(self._ledger),
        }

    def _retry_held(self, users: Sequence[str]) -> None:
        """Let photos that were held for a person go on: a person has just asked for it."""
        held = [
            photo
            for photo in self._ledger.photos.by_state(State.HELD, State.WAITING)
            if not users or photo.user in users
        ]
        now = self._clock.wall()
        with self._ledger.write():
            for photo in held:
                try_again(self._ledger, photo.id, now)
        anyio.from_thread.run_sync(self._wake.set)

    async def _preview(self, users: Sequence[str], say: Callable[[str], Awaitable[None]]) -> dict[str, Any]:
        """Say of each file that stands there what would become of it, and why; nothing is touched."""
        count, verdicts = 0, Verdicts()
        async for user, path, words in self._sweeper.preview(users or None, self._examine):
            count += 1
            verdicts.add(words)
            await say(f"{shown(user)}: {shown(path)}: {words}")
        return {"dry_run": True, "files": count, "failed": 0, "by_reason": verdicts.by_reason()}

    async def retry(self, identity: int) -> None:
        """Let one held or waiting photo go on."""
        await anyio.to_thread.run_sync(try_again, self._ledger, identity, self._clock.wall())
        self._wake.set()

    async def retry_code(self, code: str, who: str) -> int:
        """Let all photos that wait or are held for this reason go on, and their batch; give how many."""
        count = await anyio.to_thread.run_sync(try_again_all, self._ledger, code, who, self._clock.wall())
        self._wake.set()
        return count

    async def restore_photos(
        self, ids: Sequence[int], say: Callable[[str], Awaitable[None]], who: str = "command line"
    ) -> int:
        """Put photos back; give how many could not be."""
        failed = 0
        for identity in ids:
            try:
                path = await self._restore.photo(identity, who)
                photo = await self.photos.tell_restored(identity)
                await say(f"photo {identity} of {photo.user}: back as {shown(path)}")
            except RelayError as error:
                failed += 1
                await say(f"photo {identity}: {error.message} [{error.code}]{': ' + error.hint if error.hint else ''}")
        self._wake.set()
        return failed

    async def restore_batch(self, batch_id: int, say: Callable[[str], Awaitable[None]]) -> int:
        """Put all photos of a batch back; give how many could not be."""
        photos = await anyio.to_thread.run_sync(self._ledger.photos.of_batch, batch_id)
        if not photos:
            raise NeedsPerson("restore.unknown", f"there is no batch {batch_id} with photos in the ledger")
        return await self.restore_photos([photo.id for photo in photos], say)

    async def pause(self, who: str = "command line") -> None:
        """Begin nothing new, also after a restart, until somebody resumes; what is under way is finished."""
        self._pipeline.paused = True
        await anyio.to_thread.run_sync(self._note_pause, "paused", who)
        self.bus.tell("relay.paused", who=who)

    async def resume(self, who: str = "command line") -> None:
        """Go on."""
        self._pipeline.paused = False
        self._wake.set()
        await anyio.to_thread.run_sync(self._note_pause, "resumed", who)
        self.bus.tell("relay.resumed", who=who)

    def _note_pause(self, deed: str, who: str) -> None:
        with self._ledger.write():
            self._ledger.marks.put(_PAUSED, who if deed == "paused" else "")
            self._ledger.audit.note(self._clock.wall(), deed, who=who)

    async def stay_paused(self) -> None:
        """Pause again where somebody had paused before the last end."""
        who = await anyio.to_thread.run_sync(self._ledger.marks.get, _PAUSED)
        if who:
            log.info("paused by %s before the restart, and so it stays until somebody resumes", who)
            self._pipeline.paused = True


_PAUSED = "paused"

_SHOWN = frozenset(
    state.value for state in State if state not in {State.DONE, State.REFUSED, State.RESTORED, State.RELEASED}
)


def status_of(ledger: Ledger, now: float) -> dict[str, Any]:
    """Give what the ledger alone tells: counts by state, the last batch, jobs, the last sweep. Blocking."""
    batch = ledger.batches.last()
    jobs = ledger.jobs.pending()
    sweep = ledger.audit.last_sweep()
    return {
        "now": iso(now),
        "photos": ledger.photos.counts(),
        "troubles": troubles(ledger),
        "last_batch": None if batch is None else last_batch(batch, ledger.photos.sum_of_batch(batch.id)[0]),
        "nextcloud_jobs": len(jobs),
        "last_sweep": None if sweep is None else last_sweep(sweep),
    }
