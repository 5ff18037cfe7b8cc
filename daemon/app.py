"""Builds the parts and runs them under one task group; nothing else knows everybody."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import threading
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from daemon.checks.run import Surroundings, run_checks
from daemon.clock import Clock
from daemon.control import ControlServer
from daemon.current import Current
from daemon.docker.engine import Engine
from daemon.errors import ConfigError, NeedsPerson, RelayError, Transient
from daemon.events import Bus
from daemon.files.kinds import extension_of
from daemon.files.opening import file_below
from daemon.files.taken import content_identifier
from daemon.homekeeper import Homekeeper
from daemon.issues import Issues
from daemon.ledger.ledger import Ledger
from daemon.logs import redact, set_up
from daemon.nextcloud.homes import check_data, list_homes
from daemon.nextcloud.make import make_occ
from daemon.photoprism.client import PhotoPrism
from daemon.photoprism.progress import Progress
from daemon.relay.confirm import Confirm
from daemon.relay.examine import Examine
from daemon.relay.folder_archive import FolderArchive
from daemon.relay.intake import Intake
from daemon.relay.photoprism_archive import PhotoPrismArchive
from daemon.relay.pipeline import Pipeline
from daemon.relay.refresh import Refresh
from daemon.relay.release import Release
from daemon.relay.restore import Restore
from daemon.service import Service
from daemon.settings_file import Loaded, watch_settings
from daemon.supervise import Supervisor
from daemon.sweeper import Sweeper
from daemon.wake import Wake
from daemon.watch.model import WatchOptions
from daemon.watch.watcher import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from daemon.checks.check import Check
    from daemon.relay.archive import Archive
    from daemon.settings import Settings

log = logging.getLogger(__name__)

GALLERIES_EVERY = 3600.0
SHUTDOWN = 8.0
_MAY_ANNOUNCE = frozenset({"heic", "heif", "mov", "jpg", "jpeg"})


class App:
    """All parts of one daemon, wired together."""

    def __init__(self, settings: Settings, ledger: Ledger, clock: Clock) -> None:
        self.clock = clock
        self.current = current = Current(settings)
        self.ledger = ledger
        self.bus = Bus()
        self.wake = Wake()
        self.issues = Issues(self.bus, clock)
        self.supervisor = Supervisor(self.issues, clock)
        self.engine = Engine()
        self.occ = make_occ(settings.nextcloud.occ, clock, self.engine)
        self.prism: PhotoPrism | None = None
        self.archive = self._archive(settings)
        self.examine = Examine(ledger, current, self.archive, clock)
        self.restore = Restore(ledger, current, self.archive, clock)
        self.refresh = Refresh(ledger, current, self.archive, self.occ, self.issues, clock)
        self.homekeeper = Homekeeper(ledger, current, self.issues, self.bus, clock)
        self.intake = Intake(ledger, current, self.bus, self.wake, clock)
        self.watch = Watch(
            watch_options(settings),
            settings.nextcloud.data,
            self.intake,
            self.homekeeper.included,
            clock=clock,
            announces_partner=announces_partner,
            homes_seen=self._homes_seen,
        )
        self.pipeline = Pipeline(
            ledger=ledger,
            current=current,
            archive=self.archive,
            examine=self.examine,
            confirm=Confirm(ledger, self.archive, clock),
            release=Release(ledger, current, self.archive, self.occ, clock),
            refresh=self.refresh,
            restore=self.restore,
            issues=self.issues,
            bus=self.bus,
            clock=clock,
            wake=self.wake,
            look_again=self._look_again,
        )
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
        )

    def _archive(self, settings: Settings) -> Archive:
        if settings.archive.via == "folder":
            return FolderArchive(self.current, self.ledger)
        token = settings.photoprism.token.get_secret_value()
        self.prism = PhotoPrism(settings.photoprism.url, token, clock=self.clock)
        self.listener = Progress(settings.photoprism.url, token, clock=self.clock)
        return PhotoPrismArchive(self.prism, self.listener, self.current, self.ledger)

    # -- running ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bring what a crash left half done to an end; then everything may run."""
        await anyio.to_thread.run_sync(self.pipeline.recover)

    async def run(self, *, schedule: bool = True) -> None:
        """Run all loops until cancelled; ``schedule`` is off for a single sweep."""
        async with anyio.create_task_group() as group:
            loops: dict[str, Callable[[], Awaitable[None]]] = {
                "watch": self.watch.run,
                "batches": self.pipeline.batches,
                "releases": self.pipeline.releases,
                "refreshes": self.pipeline.refreshes,
            }
            if isinstance(self.archive, PhotoPrismArchive):
                loops["progress"] = self.archive.listen
            if schedule:
                loops |= {"sweeps": self.sweeper.by_schedule, "galleries": self._look_after_galleries}
            for name, loop in loops.items():
                group.start_soon(self.supervisor.keep, name, loop)

    async def close(self) -> None:
        """Close what is open to others."""
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
        before, now = self.current.settings, loaded.settings
        fixed = [name for name, get in _FIXED.items() if get(before) != get(now)]
        self.current.settings = now
        know_secrets(now)
        set_up(now.log.level, now.log.format)
        self.watch.set_options(watch_options(now))
        self.watch.set_folders(self.homekeeper.included())
        await self.homekeeper.settings_changed()
        self.wake.set()
        log.info("the settings in %s are in force", loaded.path)
        if fixed:
            self.issues.report(
                "settings",
                NeedsPerson(
                    "config.restart",
                    f"{', '.join(fixed)} changed, which counts from the next start on",
                    hint="restart the daemon",
                ),
            )
        else:
            self.issues.clear("settings")

    async def _homes_seen(self, homes: frozenset[str]) -> None:
        if await self.homekeeper.seen(homes):
            self.watch.set_folders(self.homekeeper.included())

    async def _look_again(self, user: str, path: str) -> None:
        await self.watch.look_again(user, path)

    async def _look_after_galleries(self) -> None:
        while True:
            await self.clock.sleep(GALLERIES_EVERY)
            await self.refresh.look_up()

    async def _checks(self) -> list[Check]:
        return await run_checks(Surroundings(self.current.settings, self.occ, self.prism, self.clock))


# Parts that are built once; everything else reads the settings in force each time.
_FIXED: dict[str, Callable[[Settings], Any]] = {
    "state": lambda s: s.state,
    "nextcloud.data": lambda s: s.nextcloud.data,
    "nextcloud.occ": lambda s: s.nextcloud.occ,
    "archive.via": lambda s: s.archive.via,
    "photoprism.url": lambda s: s.photoprism.url,
    "photoprism.token": lambda s: s.photoprism.token,
    "ui.listen": lambda s: s.ui.listen,
}


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
        step=min(0.5, max(0.05, watch.settle / 4)),
    )


def announces_partner(files_root: str, path: str) -> bool:
    """Tell whether a lone photo or film names a partner that is still to come (half of a Live Photo). Blocking."""
    if extension_of(path) not in _MAY_ANNOUNCE:
        return False
    try:
        with file_below(files_root, path) as opened:
            return content_identifier(opened.fd) is not None
    except RelayError:
        return False


def know_secrets(settings: Settings) -> None:
    """Tell the log which words to take out of every line."""
    redact.know(
        [
            settings.photoprism.token.get_secret_value(),
            settings.notify.ntfy.token.get_secret_value(),
            settings.ui.password_hash.get_secret_value(),
        ]
    )


class Locked(Exception):
    """Raised where another daemon has the state folder."""


class StateLock:
    """One daemon for a state folder: an flock that ends with its process, however that ends."""

    def __init__(self, state: str) -> None:
        os.makedirs(state, mode=0o700, exist_ok=True)
        self._fd = os.open(f"{state}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise Locked from None

    def release(self) -> None:
        """Let it go."""
        os.close(self._fd)


@asynccontextmanager
async def opened(settings: Settings, clock: Clock | None = None) -> AsyncIterator[App]:
    """Build an app over the state folder, hold its lock meanwhile, and close all at the end. Raises ``Locked``."""
    lock = await anyio.to_thread.run_sync(StateLock, settings.state)
    try:
        know_secrets(settings)
        ledger = await anyio.to_thread.run_sync(Ledger, settings.state)
        try:
            app = App(settings, ledger, clock or Clock())
            try:
                yield app
            finally:
                with anyio.CancelScope(shield=True):
                    await app.close()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(ledger.close)
    finally:
        lock.release()


async def run_daemon(loaded: Loaded, environ: Mapping[str, str]) -> None:
    """Run the daemon until SIGTERM or SIGINT; what is in flight stays resumable."""
    async with opened(loaded.settings) as app, anyio.create_task_group() as group:
        group.start_soon(_stop_on_signal, group.cancel_scope)
        group.start_soon(ControlServer(loaded.settings.state, partial(answer, app)).serve)
        group.start_soon(app.supervisor.keep, "settings", partial(_follow_settings, app, loaded, environ))
        await _until_there(app)
        await app.start()
        log.info("running; state in %s", loaded.settings.state)
        await app.run()


async def _until_there(app: App) -> None:
    """Wait for the data directory to be mounted: until then nothing is touched."""
    while True:
        try:
            await app.note_homes()
        except Transient as error:
            app.issues.report("nextcloud", error)
            await app.clock.sleep(5.0)
        else:
            app.issues.clear("nextcloud")
            return


async def _follow_settings(app: App, loaded: Loaded, environ: Mapping[str, str]) -> None:
    async for found in watch_settings(loaded.path, environ, known=loaded.etag):
        if isinstance(found, ConfigError):
            message = "; ".join(found.faults[:3])
            app.issues.report("configuration", NeedsPerson("config.invalid", f"{message}; the last good one stays"))
        else:
            app.issues.clear("configuration")
            await app.apply(found)


async def _stop_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("%s: stopping; what is under way is taken up at the next start", signal.Signals(number).name)
            # A thread that hashes a long film cannot be interrupted; being killed is something we are made for.
            last = threading.Timer(SHUTDOWN, os._exit, [0])
            last.daemon = True
            last.start()
            scope.cancel()
            return


async def answer(app: App, request: dict[str, Any], say: Callable[[str], Awaitable[None]]) -> dict[str, Any]:
    """Answer one request of the control socket."""
    match request:
        case {"do": "health"}:
            health = app.service.health()
            return {"end": health, "exit": 0 if health["ok"] else 1}
        case {"do": "status"}:
            return {"end": await app.service.status(), "exit": 0}
        case {"do": "sweep", "users": list(users), "dry_run": bool(dry_run)}:
            end = await app.service.sweep([str(user) for user in users], dry_run=dry_run, say=say)
            return {"end": end, "exit": 1 if end["failed"] else 0}
        case {"do": "restore", "photos": list(photos)}:
            failed = await app.service.restore_photos([int(photo) for photo in photos], say)
            return {"end": {"failed": failed}, "exit": 1 if failed else 0}
        case {"do": "restore", "batch": int(batch)}:
            failed = await app.service.restore_batch(batch, say)
            return {"end": {"failed": failed}, "exit": 1 if failed else 0}
        case _:
            raise NeedsPerson("control.odd", "the daemon does not know this request", hint="is it of another version?")
