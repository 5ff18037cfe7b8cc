"""A daemon's lifetime: the lock, the ledger, the parts, signals, saved settings, and the control socket's requests."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import logging
import os
import signal
import threading
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from anyio import CancelScope

from daemon.app import App, know_secrets, needs_new_parts, serve_page
from daemon.control import ControlServer
from daemon.errors import ConfigError, NeedsPerson, Transient
from daemon.files.faults import told
from daemon.files.publishing import sync_way
from daemon.front import Front
from daemon.ledger.recovery import open_ledger
from daemon.ledger.store import DAMAGED
from daemon.logs import set_up
from daemon.service.config import Config
from daemon.service.starting import starting
from daemon.settings.versions import Versions
from daemon.settings_file import Loaded, watch_settings
from daemon.settings_torn import blank, is_blank
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping

    from daemon.clock import Clock
    from daemon.ledger.ledger import Ledger
    from daemon.settings import Settings
    from daemon.watch.early import Early

log = logging.getLogger(__name__)

AGAIN = 600.0
"""Seconds within which a ledger that was put back may not be damaged once more: then its disk is broken."""
SHUTDOWN = 8.0
"""Seconds after a signal within which all should have stopped by itself; then the process ends anyway."""
_CIRCLES = 10_000
"""New objects after which Python looks for those that only hold one another. Here hardly any do, and after each 700, as
is its custom, that took a tenth of the processor's time that small photos need.
"""


class Locked(Exception):
    """Raised where another daemon has the state folder."""


class StateLock:
    """One daemon for a state folder: an flock that ends with its process, however that ends."""

    def __init__(self, state: str) -> None:
        with told("making the folder", state):
            try:
                os.makedirs(state, mode=0o700, exist_ok=True)
            except (FileExistsError, NotADirectoryError) as error:
                raise NeedsPerson(
                    "state.no_folder",
                    f"the state folder {shown(state)} cannot be made: it, or what it is to stand in, is no folder",
                    hint="give `state` a folder's name",
                ) from error
            # Power cut here: nothing is in it yet. Later its name must last, or all that was committed in it goes too.
            sync_way(state)
        with told("opening the lock", f"{state}/lock"):
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
async def held(state: str, damage: str = "") -> AsyncIterator[Ledger]:
    """Hold the lock of a state folder and its ledger open. Raises ``Locked``.

    ``damage`` is what was found wrong with the ledger while it was open before.
    """
    lock = await anyio.to_thread.run_sync(StateLock, state)
    try:
        ledger = await anyio.to_thread.run_sync(open_ledger, state, time.time(), damage)
        try:
            yield ledger
        finally:
            with CancelScope(shield=True):
                with suppress(DAMAGED):
                    await anyio.to_thread.run_sync(ledger.close)
    finally:
        lock.release()


@asynccontextmanager
async def built(settings: Settings, ledger: Ledger, front: Front) -> AsyncIterator[App]:
    """Build all parts over a ledger, and close what they have open to others at the end."""
    know_secrets(settings)
    gc.set_threshold(_CIRCLES)
    early, front.early = front.early, None
    app = App(settings, ledger, front.clock, front.bus, front.changed, early)
    try:
        with front.showing(app):
            yield app
    finally:
        with CancelScope(shield=True):
            await app.close()


@asynccontextmanager
async def opened(settings: Settings, clock: Clock | None = None, front: Front | None = None) -> AsyncIterator[App]:
    """Build an app over the state folder, hold its lock meanwhile, and close all at the end. Raises ``Locked``."""
    async with held(settings.state) as ledger, built(settings, ledger, front or Front(settings, clock)) as app:
        yield app


async def run_daemon(
    loaded: Loaded,
    environ: Mapping[str, str],
    beside: Callable[[Front, Ledger], Coroutine[Any, Any, None]] | None = None,
    early: Early | None = None,
) -> None:
    """Run the daemon until SIGTERM or SIGINT; what is in flight stays resumable.

    Settings that parts are built from (PhotoPrism's address, how occ is called) end all parts but the ledger and its
    lock, and build them anew: the same as a restart, which is something all of it is made for.
    A ledger that is found damaged ends all parts too: it is opened anew, which puts its copy in its place.
    ``beside`` runs beside them for all of that time (the playground's uploads). ``early`` is a watch that may stand
    already, for the first set of parts.
    """
    front = Front(loaded.settings, early=early)
    following: Loaded | None = loaded
    damage = ""
    while following is not None:
        before, began = damage, front.clock.monotonic()
        following, damage = await _run_over_one_ledger(following, damage, environ, front, beside)
        if before and damage and front.clock.monotonic() - began < AGAIN:
            raise NeedsPerson(
                "ledger.damaged",
                f"the ledger in {loaded.settings.state} was found damaged soon after it was opened: {damage}",
                hint="see whether the disk of the state folder is broken; at the next start its copy takes its place",
            )


async def _run_over_one_ledger(
    following: Loaded,
    known: str,
    environ: Mapping[str, str],
    front: Front,
    beside: Callable[[Front, Ledger], Coroutine[Any, Any, None]] | None,
) -> tuple[Loaded | None, str]:
    """Run until told to stop, or until the ledger's file is found damaged; then give the settings, and what it is."""
    damage: list[str] = []
    in_force: Loaded | None = following
    async with held(following.settings.state, known) as ledger, anyio.create_task_group() as group:
        found = anyio.Event()
        loop = asyncio.get_running_loop()

        def tell(what: str) -> None:
            damage.append(what)
            loop.call_soon_threadsafe(found.set)

        ledger.on_damage(tell)
        group.start_soon(_stop_when_damaged, group.cancel_scope, found, damage)
        group.start_soon(_stop_on_signal, group.cancel_scope)
        group.start_soon(front.keep, serve_page)
        if beside is not None:
            group.start_soon(beside, front, ledger)
        config = Config(following, environ, Versions(Path(following.settings.state) / "versions"), ledger, front.clock)
        config.bus = front.bus
        while in_force is not None:
            following = in_force
            in_force = await _run_once(following, environ, ledger, front, config)
        group.cancel_scope.cancel()
    return (following, damage[0]) if damage else (None, "")


async def _stop_when_damaged(scope: CancelScope, found: anyio.Event, damage: list[str]) -> None:
    await found.wait()
    log.error("the ledger is damaged (%s): all stops, and its copy takes its place", damage[0])
    scope.cancel()


async def _run_once(
    loaded: Loaded, environ: Mapping[str, str], ledger: Ledger, front: Front, config: Config
) -> Loaded | None:
    """Run one set of parts; give the settings for which they must be built anew."""
    rebuild: list[Loaded] = []
    settings = config.without_restart(loaded.settings)
    set_up(settings.log.level, settings.log.format)
    async with built(settings, ledger, front) as app, anyio.create_task_group() as group:
        app.service.config = config
        config.taken(loaded)
        _say_restart(app, config)

        async def follow() -> None:
            config.followed = True
            await config.note_by_hand()
            async for found in watch_settings(loaded.path, environ, known=loaded.etag, hurry=config.hurry):
                taken = await _take_settings(app, config, _whole(found))
                if taken is not None:
                    rebuild.append(taken)
                    group.cancel_scope.cancel()

        control = ControlServer(settings.state, partial(_answer_when_ready, app, front))
        group.start_soon(app.supervisor.keep, "control", control.serve)
        group.start_soon(app.supervisor.keep, "settings", follow)
        await _until_there(app)
        await app.start()
        await app.service.stay_paused()
        front.begun = True
        log.info("running; state in %s", settings.state)
        await app.run()
    return rebuild[0] if rebuild else None


def _whole(found: Loaded | ConfigError) -> Loaded | ConfigError:
    """Give what was found, or the error where a file that held settings is empty now: nobody means that."""
    if isinstance(found, ConfigError) or not is_blank(found.text.encode(errors="replace")):
        return found
    error = blank(found.path)
    error.context["etag"] = found.etag
    return error


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


async def _take_settings(app: App, config: Config, found: Loaded | ConfigError) -> Loaded | None:
    """Put saved settings in force; give them back where that takes new parts."""
    if isinstance(found, ConfigError):
        message = "; ".join(found.faults[:3])
        if any(issue.about == "configuration" for issue in app.issues.all()):
            # The same trouble still, so nobody is told again; but which line it is now stands in the log.
            log.warning("the settings file is still not usable: %s", message)
        app.issues.report(
            "configuration",
            NeedsPerson(
                "config.invalid",
                f"{message}; the last good one stays",
                hint="mend the line in the settings file; it is looked at again when it is saved",
            ),
        )
        config.wrong(found)
        return None
    app.issues.clear("configuration")
    in_force = config.without_restart(found.settings)
    if needs_new_parts(app.current.settings, in_force):
        log.info("the settings in %s take new parts; they are built now", found.path)
        return found
    await app.apply(replace(found, settings=in_force))
    config.taken(found)
    _say_restart(app, config)
    await config.note_by_hand()
    return None


def _say_restart(app: App, config: Config) -> None:
    """Say, for as long as it is so, that something was changed which counts only from the next start on."""
    if config.restart_needed:
        app.issues.report(
            "settings",
            NeedsPerson(
                "config.restart", "state changed, which counts from the next start on", hint="restart the daemon"
            ),
        )
    else:
        app.issues.clear("settings")


async def _stop_on_signal(scope: CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("%s: stopping; what is under way is taken up at the next start", signal.Signals(number).name)
            # A thread that hashes a long film cannot be interrupted; being killed is something we are made for.
            last = threading.Timer(SHUTDOWN, os._exit, [0])
            last.daemon = True
            last.start()
            scope.cancel()
            return


async def _answer_when_ready(
    app: App, front: Front, request: dict[str, Any], say: Callable[[str], Awaitable[None]]
) -> dict[str, Any]:
    """Answer a request, but begin no deed on photos before what a crash left has been brought to an end."""
    if request.get("do") in {"sweep", "restore"} and not front.begun:
        raise starting()
    return await answer(app, request, say)


async def answer(app: App, request: dict[str, Any], say: Callable[[str], Awaitable[None]]) -> dict[str, Any]:
    """Answer one request of the control socket."""
    match request:
        case {"do": "health"}:
            health = app.service.health()
            return {"end": health, "exit": 0 if health["ok"] else 1}
        case {"do": "status"}:
            return {"end": await app.service.status(), "exit": 0}
        case {"do": "notify test"}:
            tried = await app.service.notify.test("command line")
            return {"end": tried, "exit": 0 if tried["sent"] else 1}
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
