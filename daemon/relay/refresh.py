"""Refresh: have Nextcloud look at just the folders that changed, then its galleries.

What is to be done lies in the ledger as jobs, so a crash between a release and its scan leaves no ghost entry behind.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.ledger.model import State
from daemon.nextcloud.refresh_plan import Changed, MemoriesIndex, Scan, plan_refresh
from daemon.pauses import pause
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.issues import Issues
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Job
    from daemon.nextcloud.occ import Occ
    from daemon.nextcloud.refresh_plan import Call, Plan
    from daemon.relay.archive import Archive

log = logging.getLogger(__name__)

MOST_TRIES = 6
"""Tries for what waiting hardly mends (an album that is not mounted); then it is a warning, and the photo is done."""

MOST_COUNTED = 200_000
"""Files that are counted at most to see whether one call for a whole tree is cheaper than one for each folder."""

COUNTING = 10.0
"""Seconds for which that is waited for."""


class Refresh:
    """The last step: the jobs' calls, in a sensible order, one at a time."""

    def __init__(
        self, ledger: Ledger, current: Current, archive: Archive, occ: Occ | None, issues: Issues, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._current = current
        self._archive = archive
        self._occ = occ
        self._issues = issues
        self._clock = clock
        self._counts = False

    async def once(self) -> list[int]:
        """Do the jobs that are due; give the photos that are done with it all."""
        if self._occ is None:
            return await self._no_occ()
        jobs = await anyio.to_thread.run_sync(self._ledger.jobs.take, self._clock.wall())
        done: list[int] = []
        if jobs:
            done = await self._work(self._occ, jobs)
        return sorted({*done, *await anyio.to_thread.run_sync(self._ledger.jobs.finished)})

    async def _no_occ(self) -> list[int]:
        """Without occ there is nobody to ask: what jobs there are from before are dropped."""
        jobs = await anyio.to_thread.run_sync(self._ledger.jobs.pending)
        if jobs:
            await anyio.to_thread.run_sync(self._ledger.jobs.done, jobs, self._clock.wall(), "occ is off")
        return await anyio.to_thread.run_sync(self._ledger.jobs.finished)

    async def _work(self, occ: Occ, jobs: Sequence[Job]) -> list[int]:
        try:
            features = await occ.features()
        except RelayError as error:
            self._issues.report("nextcloud", error)
            await self._wait(jobs, error)
            return []
        settings = self._current.settings.nextcloud
        changed = await anyio.to_thread.run_sync(self._changed, jobs)
        users: dict[str, list[Changed]] = {}
        for job, folder in changed:
            if job.kind == "user":
                users.setdefault(job.user, []).append(folder)
        planned = partial(
            plan_refresh,
            users,
            [folder for job, folder in changed if job.kind == "album"],
            album=settings.album.folder,
            seen_by=settings.album.seen_by,
            features=features,
            memories=settings.memories,
            photos=settings.photos,
        )
        plan = await self._counted(planned)
        for warning in plan.warnings:
            log.warning("%s", warning)
        failed: dict[int, RelayError] = {}
        for call in plan.calls:
            mine = [job for job in jobs if job.id not in failed and self._is_for(job, call)]
            if not mine:
                continue
            try:
                result = await occ.carry_out(call)
                log.info("%s: %s", _in_words(call), result)
                self._issues.clear(f"scan {_place(call)}")
                self._issues.clear("nextcloud")
            except RelayError as error:
                failed |= {job.id: error for job in mine}
                await self._call_failed(mine, call, error)
        good = [job for job in jobs if job.id not in failed]
        if any(job.kind == "album" for job in good):
            await self._also(occ)
        return await anyio.to_thread.run_sync(self._ledger.jobs.done, good, self._clock.wall(), "done")

    async def _counted(self, planned: Callable[..., Plan]) -> Plan:
        """Plan with the files counted; with none where a disk takes too long to list them, which only looks."""

        def counted() -> Plan:
            self._counts = True
            try:
                return planned(count=self._below)
            finally:
                self._counts = False

        if not self._counts:  # else that thread hangs still
            with anyio.move_on_after(COUNTING):
                return await anyio.to_thread.run_sync(counted, abandon_on_cancel=True)
        return await anyio.to_thread.run_sync(partial(planned, count=lambda _user, _path: None))

    def _changed(self, jobs: Sequence[Job]) -> list[tuple[Job, Changed]]:
        found = []
        for job in jobs:
            gained: tuple[str, ...] = ()
            there = 0
            if job.kind == "album":
                files = self._ledger.jobs.files(job.id)
                gained = tuple(
                    sorted({path.rpartition("/")[2] for path in files if path.rpartition("/")[0] == job.path})
                )
                there = _count(self._archive.root, job.path)
            found.append((job, Changed(job.path, gained, there)))
        return found

    def _below(self, user: str, path: str) -> int | None:
        """Count the files below a folder of a user, as Nextcloud shows it. Blocking."""
        settings = self._current.settings.nextcloud
        root = settings.album.folder.strip("/")
        if user == settings.album.seen_by and root and f"{path}/".startswith(f"{root}/"):
            return _count_below(self._archive.root, path[len(root) :].strip("/"))
        return _count_below(f"{settings.data}/{user}/files", path)

    def _is_for(self, job: Job, call: Call) -> bool:
        if call.user != job.user:
            return False
        root = self._current.settings.nextcloud.album.folder.strip("/") if job.kind == "album" else ""
        folder = "/".join(part for part in (root, job.path.strip("/")) if part)
        path = call.path
        if path is None:
            return True
        if isinstance(call, MemoriesIndex) or not call.shallow:
            return f"{folder}/".startswith(f"{path}/")
        is_file = call.generate_metadata and path != folder
        return (path.rpartition("/")[0] if is_file else path) == folder

    async def _call_failed(self, jobs: Sequence[Job], call: Call, error: RelayError) -> None:
        self._issues.report(f"scan {_place(call)}", error)
        if isinstance(error, Transient) or max(job.attempts for job in jobs) + 1 < MOST_TRIES:
            await self._wait(jobs, error)
            return
        log.warning("%s: given up after %d tries: %s", _in_words(call), MOST_TRIES, error)
        ready = await anyio.to_thread.run_sync(self._ledger.jobs.done, jobs, self._clock.wall(), str(error))
        del ready  # they are picked up with all that is finished

    async def _wait(self, jobs: Sequence[Job], error: RelayError) -> None:
        now = self._clock.wall()
        wanted = error.retry_after if isinstance(error, Transient) else None
        again = now + pause(max(job.attempts for job in jobs), wanted)
        await anyio.to_thread.run_sync(self._ledger.jobs.wait, [job.id for job in jobs], error, now, again)

    async def _also(self, occ: Occ) -> None:
        """Run the owner's further commands; their failures are told and stop nothing."""
        for command in self._current.settings.nextcloud.occ.also:
            words = " ".join(shown(word) for word in command)
            try:
                await occ.run(list(command))
                self._issues.clear(f"occ {words}")
            except RelayError as error:
                self._issues.report(f"occ {words}", error)

    # -- looking after the galleries ----------------------------------------------------------------------------

    async def look_up(self, count: int = 3) -> None:
        """Ask Nextcloud for a few photos that were relayed: a gallery that has stopped looking is noticed so."""
        settings = self._current.settings.nextcloud
        if self._occ is None or not settings.album.folder:
            return
        for photo in await anyio.to_thread.run_sync(self._ledger.photos.sample, count):
            path = f"{settings.album.folder.strip('/')}/{photo.archived_as}"
            try:
                known = await self._occ.knows(settings.album.seen_by, path)
            except RelayError as error:
                self._issues.report("nextcloud", error)
                return
            if not known:
                folder = photo.archived_as.rpartition("/")[0]
                self._issues.report(
                    "album",
                    NeedsPerson(
                        "nextcloud.album_lags",
                        f"Nextcloud does not show {shown(path)}, which was relayed; its folder is scanned again",
                        hint="see that the album is mounted in Nextcloud, and who sees it (nextcloud.album)",
                    ),
                )
                await anyio.to_thread.run_sync(
                    self._ledger.jobs.add, "album", settings.album.seen_by, folder, self._clock.wall(), [photo.id]
                )
                return
        self._issues.clear("album")
        await self._memories_lag()

    async def _memories_lag(self) -> None:
        """Tell where folders have waited for their scan and index for more than an hour."""
        now = self._clock.wall()
        late = [job for job in await anyio.to_thread.run_sync(self._ledger.jobs.pending) if now - job.created_at > 3600]
        if late:
            self._issues.report(
                "galleries",
                NeedsPerson(
                    "nextcloud.galleries_lag",
                    f"{len(late)} folders have waited for Nextcloud's scan or Memories' index for over an hour:"
                    f" {late[0].message or 'not tried yet'}",
                    hint="see what Nextcloud says; everything is tried again by itself",
                ),
            )
        else:
            self._issues.clear("galleries")


def finish(ledger: Ledger, ids: Sequence[int], now: float) -> None:
    """Write down that photos have gone all their way, but for those put back meanwhile. Blocking."""
    with ledger.write():
        found = ledger.photos.get_each(ids)
        ledger.photos.advance([photo.id for photo in found if photo.state is State.RELEASED], State.DONE, now)


def _count(root: str, folder: str) -> int:
    if not root:
        return 0
    try:
        with os.scandir(f"{root}/{folder}") as entries:
            return sum(1 for _ in entries)
    except OSError:
        return 0


def _count_below(root: str, folder: str) -> int | None:
    """Count what stands below a folder, following no link; ``None`` where that is unknown or more than is worth it."""
    if not root:
        return None
    found = 0
    try:
        for _, _, files in os.walk(f"{root}/{folder}", onerror=_raise):
            found += len(files)
            if found > MOST_COUNTED:
                return None
    except OSError:
        return None
    return found


def _raise(error: OSError) -> None:
    raise error


def _place(call: Call) -> str:
    return shown(f"{call.user}:/{call.path or ''}")


def _in_words(call: Call) -> str:
    match call:
        case MemoriesIndex():
            return f"Memories' index of {_place(call)}"
        case Scan(generate_metadata=True):
            return f"scan with metadata of {_place(call)}"
        case _:
            return f"scan of {_place(call)}"
