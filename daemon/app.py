"""Builds the parts and runs them under one task group; nothing else knows everybody."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from daemon.checks.run import Surroundings, run_checks
from daemon.current import Current
from daemon.docker.engine import Engine
from daemon.errors import RelayError
from daemon.events import Bus
from daemon.files.faults import in_words
from daemon.files.kinds import extension_of
from daemon.files.opening import open_regular
from daemon.files.pace import PACE
from daemon.files.priority import Io, set_priority
from daemon.files.taken import content_identifier
from daemon.homekeeper import Homekeeper
from daemon.issues import Issues
from daemon.ledgerkeeper import LedgerKeeper
from daemon.logs import redact, set_up
from daemon.nextcloud.homes import check_data, list_homes
from daemon.nextcloud.make import make_occ
from daemon.photoprism.client import PhotoPrism
from daemon.photoprism.progress import Progress
from daemon.relay.confirm import Confirm
from daemon.relay.examine import Examine
from daemon.relay.folder_archive import FolderArchive
from daemon.relay.half_copies import HalfCopies
from daemon.relay.inspect import Inspection, inspectors
from daemon.relay.intake import Intake
from daemon.relay.left_in_import import LeftInImport
from daemon.relay.photoprism_archive import PhotoPrismArchive
from daemon.relay.pipeline import Pipeline
from daemon.relay.refresh import Refresh
from daemon.relay.release import Release
from daemon.relay.restore import Restore
from daemon.relay.slow import Slow
from daemon.relay.stalled import Stalled
from daemon.relay.under_way import UnderWay
from daemon.service import Service
from daemon.supervise import Supervisor
from daemon.sweeper import Sweeper
from daemon.wake import Wake
from daemon.watch.model import WatchOptions
from daemon.watch.watcher import Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.checks.check import Check
    from daemon.clock import Clock
    from daemon.front import Front
    from daemon.ledger.ledger import Ledger
    from daemon.relay.archive import Archive
    from daemon.settings import Settings
    from daemon.settings_file import Loaded
    from daemon.watch.early import Early

log = logging.getLogger(__name__)

GALLERIES_EVERY = 3600.0
SHUTDOWN = 8.0
_MAY_ANNOUNCE = frozenset({"heic", "heif", "mov", "jpg", "jpeg"})
_SHORTEST_STEP = 0.025


class App:
    """All parts of one daemon, wired together."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        clock: Clock,
        bus: Bus | None = None,
        changed: Wake | None = None,
        early: Early | None = None,
    ) -> None:
        self.clock = clock
        self._early = early
        self._behind: tuple[int, Io] = (0, "normal")
        self.current = current = Current(settings, changed)
        self.ledger = ledger
        self.bus = bus or Bus()
        self.arrivals = Wake()
        """Rings for the loop of batches alone: of a new photo the others have nothing to do yet."""
        self.wake = Wake(self.arrivals)
        self.issues = Issues(self.bus, clock)
        self.supervisor = Supervisor(self.issues, clock, in_words)
        self.engine = Engine()
        self.occ = make_occ(settings.nextcloud.occ, clock, self.engine)
        self.prism: PhotoPrism | None = None
        self.under_way = UnderWay(clock)
        self.slow = Slow()
        self.archive = self._archive(settings)
        self.examine = Examine(ledger, current, self.archive, clock, self.under_way, self.slow)
        self.restore = Restore(ledger, current, self.archive, clock)
        self.refresh = Refresh(ledger, current, self.archive, self.occ, self.issues, clock)
        self.homekeeper = Homekeeper(ledger, current, self.issues, self.bus, clock)
        self.intake = Intake(ledger, current, self.bus, self.wake, clock, self.arrivals)
        self.watch = Watch(
            watch_options(settings),
            settings.nextcloud.data,
            self.intake,
            self.homekeeper.included,
            clock=clock,
            announces_partner=announces_partner,
            homes_seen=self._homes_seen,
            data_seen=self._data_seen,
            early=early,
        )
        self.pipeline = Pipeline(
            ledger=ledger,
            current=current,
            archive=self.archive,
            examine=self.examine,
            confirm=Confirm(ledger, self.archive, HalfCopies(ledger, self.archive, self.issues), clock),
            release=Release(ledger, current, self.archive, self.occ, clock),
            refresh=self.refresh,
            restore=self.restore,
            issues=self.issues,
            bus=self.bus,
            clock=clock,
            wake=self.wake,
            arrivals=self.arrivals,
            look_again=self._look_again,
            under_way=self.under_way,
            inspection=Inspection(inspectors(ledger, current, clock), ledger, self.issues, self.bus, clock),
        )
        self.ledger_keeper = LedgerKeeper(ledger, self.issues, clock)
        self.sweeper = Sweeper(self.watch, ledger, current, self.bus, clock)
        self.service = Service(
            ledger=ledger,
            current=current,
            pipeline=self.pipeline,
            watch=self.watch,
            sweeper=self.sweeper,
            examine=self.examine,
            restore=self.restore,
            issues=self.issues,
            supervisor=self.supervisor,
            checks=self._checks,
            bus=self.bus,
            wake=self.wake,
            clock=clock,
            archive=self.archive,
            prism=self.prism,
            engine=self.engine,
        )

    def _archive(self, settings: Settings) -> Archive:
        if settings.archive.via == "folder":
            return FolderArchive(self.current, self.ledger, self.under_way, self.slow)
        token = settings.photoprism.token.get_secret_value()
        self.prism = PhotoPrism(settings.photoprism.url, token, clock=self.clock)
        self.listener = Progress(settings.photoprism.url, token, clock=self.clock)
        return PhotoPrismArchive(self.prism, self.listener, self.current, self.ledger, self.under_way, self.slow)

    # -- running ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bring what a crash left half done to an end; then everything may run."""
        await anyio.to_thread.run_sync(self.pipeline.recovery.run)
        await anyio.to_thread.run_sync(self.intake.left_out)

    async def run(self, *, schedule: bool = True) -> None:
        """Run all loops until cancelled; ``schedule`` is off for a single sweep."""
        async with anyio.create_task_group() as group:
            await self._stand_back()
            group.start_soon(self._hurry_at_the_end)
            loops: dict[str, Callable[[], Awaitable[None]]] = {
                "watch": self.watch.run,
                "batches": self.pipeline.batches,
                "releases": self.pipeline.originals.run,
                "refreshes": self.pipeline.galleries.run,
                "runs": self.service.runs.serve,
                "messages": self.service.notify.run,
                "silent disks": Stalled(self.under_way, self.issues, self.clock).run,
            }
            if isinstance(self.archive, PhotoPrismArchive) and self.prism is not None:
                loops["progress"] = self.archive.listen
                stopped = self.pipeline.stopped
                left = LeftInImport(self.prism, self.ledger, self.current, self.issues, self.clock, stopped)
                loops["import folder"] = left.run
            if schedule:
                loops |= {"sweeps": self.sweeper.by_schedule, "galleries": self._look_after_galleries}
                loops["ledger"] = self.ledger_keeper.run
            for name, loop in loops.items():
                group.start_soon(self.supervisor.keep, name, loop)

    async def close(self) -> None:
        """Close what is open to others."""
        if self._early is not None:
            self._early.close()
        await self.engine.aclose()
        if self.prism is not None:
            await self.prism.close()

    async def note_homes(self) -> None:
        """Take note of who has a home before anything is watched; raises where the data directory is not there."""
        data = self.current.settings.nextcloud.data
        await anyio.to_thread.run_sync(check_data, data)
        await self._homes_seen(frozenset(await anyio.to_thread.run_sync(list_homes, data)))

    async def apply(self, loaded: Loaded) -> None:
        """Put newly saved settings in force, as far as they can be without a restart."""
        now = loaded.settings
        self.current.settings = now
        know_secrets(now)
        set_up(now.log.level, now.log.format)
        await self._stand_back()
        self.watch.set_options(watch_options(now))
        self.watch.set_folders(self.homekeeper.included())
        await anyio.to_thread.run_sync(self.intake.left_out)
        await self.homekeeper.settings_changed()
        self.sweeper.settings_changed()
        self.wake.set()
        log.info("the settings in %s are in force", loaded.path)

    async def _stand_back(self) -> None:
        """Put this process behind others, as far as the settings want."""
        relay = self.current.settings.relay
        PACE.set(relay.bandwidth, relay.pause_above)
        before, self._behind = self._behind, (relay.nice, relay.io)
        if self._behind != before:
            refused = await anyio.to_thread.run_sync(set_priority, *self._behind)
            if refused:
                log.warning("%s: refused by the kernel, counts from the next start on if at all", ", ".join(refused))

    async def _hurry_at_the_end(self) -> None:
        """Have no thread wait for its turn when the program, or this set of parts, is to end."""
        try:
            await anyio.sleep_forever()
        finally:
            PACE.end()

    async def _homes_seen(self, homes: frozenset[str]) -> None:
        if await self.homekeeper.seen(homes):
            self.watch.set_folders(self.homekeeper.included())

    def _data_seen(self, error: RelayError | None) -> None:
        """Say that the data directory has gone away under way, or is back."""
        if error is None:
            self.issues.clear("data")
        else:
            self.issues.report("data", error)

    async def _look_again(self, user: str, path: str) -> None:
        await self.watch.look_again(user, path)

    async def _look_after_galleries(self) -> None:
        while True:
            await self.clock.sleep(GALLERIES_EVERY)
            await self.refresh.look_up()

    async def _checks(self) -> list[Check]:
        return await run_checks(Surroundings(self.current.settings, self.occ, self.prism, self.clock))


async def serve_page(front: Front) -> None:
    """Serve the page until cancelled."""
    from ui.server import Page

    page = Page(
        settings=front.settings,
        service=front.service,
        started=front.started,
        changed=front.changed,
        bus=front.bus,
        clock=front.clock,
        trouble=front.trouble,
    )
    await page.run()


def needs_new_parts(before: Settings, now: Settings) -> bool:
    """Tell whether settings changed that parts are built from; everything else is read anew each time."""
    return _built_from(before) != _built_from(now)


def _built_from(settings: Settings) -> tuple[object, ...]:
    prism = settings.photoprism
    reached = (prism.url, prism.token) if settings.archive.via == "photoprism" else ()
    return settings.nextcloud.data, settings.nextcloud.occ, settings.archive.via, reached


def watch_options(settings: Settings) -> WatchOptions:
    """Give the watch's part of the settings in its own form."""
    watch = settings.watch
    return WatchOptions(
        settle=watch.settle,
        max_wait=watch.max_wait,
        partner=watch.partner,
        mode=watch.mode,
        extensions=watch.only,
        archived=settings.users.archived,
        # A sweep may want no quiet time at all (0s): the watch beside it is not to spin because of that.
        step=min(0.5, max(_SHORTEST_STEP, watch.settle / 4)),
    )


def announces_partner(folder: int, name: str) -> bool:
    """Tell whether a lone photo or film names a partner that is still to come (half of a Live Photo). Blocking."""
    if extension_of(name) not in _MAY_ANNOUNCE:
        return False
    try:
        with open_regular(folder, name) as opened:
            return not opened.foreign and content_identifier(opened.fd) is not None
    except RelayError:
        return False


def know_secrets(settings: Settings) -> None:
    """Tell the log which words to take out of every line."""
    redact.know(
        [
            settings.photoprism.token.get_secret_value(),
            settings.notify.ntfy.token.get_secret_value(),
            settings.notify.ntfy.password.get_secret_value(),
            *(hook.secret.get_secret_value() for hook in settings.hooks),
            *(other.token.get_secret_value() for other in settings.ui.others),
            settings.ui.password_hash.get_secret_value(),
        ]
    )
