"""Runs the real program over a playground, and tells on the terminal what happens."""

from __future__ import annotations

import functools
import signal
import sys
import tempfile
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import anyio
import anyio.to_thread

from daemon.control import ControlServer
from daemon.demo.playground import FOLDER, USERS, Playground, endless, fixed
from daemon.errors import NeedsPerson
from daemon.lifetime import Locked, answer, opened, run_daemon
from daemon.logs import hush, set_up
from daemon.settings_file import load
from daemon.text import count_in_words, shown, size_in_words, span_in_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.app import App
    from daemon.demo.playground import Delivery
    from daemon.events import Event, Subscription
    from daemon.front import Front
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo

PAUSE = 3.0
"""Seconds between two deliveries."""
_ORIGINAL = {"trash": "original in Nextcloud's bin", "delete": "original deleted", "keep": "original kept"}

Say: TypeAlias = "Callable[[str], None]"


def play(directory: Path | None, *, port: int = 8080, once: bool = False, say: Say | None = None) -> int:
    """Play in ``directory``, or in a temporary folder that is removed; give the exit code.

    Until SIGINT or SIGTERM, or with ``once`` until a fixed set of uploads is relayed and found in the archive.

    Raises:
        NeedsPerson: ``demo.not_empty``, ``demo.running``.

    """
    with ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="photon-relay-demo-")))
            kept = "removed at the end"
        else:
            kept = "it stays"
        playground = Playground(directory.absolute())
        playground.make(port)
        tell = say or _to_terminal
        tell(f"A playground in {playground.root} ({kept}).")
        tell(f"  {' and '.join(USERS)} upload to {playground.data}/<user>/files/{FOLDER}")
        tell(f"  the archive is {playground.archive}")
        if not once:
            tell(f"  the page is http://127.0.0.1:{port}")
        tell(f"  beside it: photon-relay --config {playground.config} status")
        tell("")
        try:
            return anyio.run(_run, playground, once, tell)
        except Locked:
            raise NeedsPerson(
                "demo.running", f"A playground runs in {playground.root} already.", hint="Give --dir another folder."
            ) from None


def _to_terminal(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _run(playground: Playground, once: bool, say: Say) -> int:
    # Nothing of this machine's own configuration holds in a playground, its environment included.
    loaded = await anyio.to_thread.run_sync(load, playground.config, {})
    set_up(loaded.settings.log.level, loaded.settings.log.format)
    hush()  # the terminal is for the story
    if not once:
        await run_daemon(loaded, {}, functools.partial(_trickle, playground, say))
        return 0
    async with opened(loaded.settings) as app, anyio.create_task_group() as group:
        with app.bus.listen() as events:
            group.start_soon(_stop_on_signal, group.cancel_scope)
            group.start_soon(_follow, app.ledger, events, say)
            await app.note_homes()
            await app.start()
            group.start_soon(app.run)
            group.start_soon(ControlServer(loaded.settings.state, functools.partial(answer, app)).serve)
            code = await _once(app, playground, say)
            group.cancel_scope.cancel()
    return code


async def _stop_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


async def _deliver(playground: Playground, delivery: Delivery, say: Say) -> None:
    names = ", ".join(name.rpartition("/")[2] for name in delivery.files)
    await anyio.to_thread.run_sync(playground.upload, delivery)
    say(_line(delivery.user, f"uploads {delivery.what}: {names}"))


async def _trickle(playground: Playground, say: Say, front: Front, ledger: Ledger) -> None:
    """Deliver one thing after another, for ever; numbers go on where an earlier play ended, so that names do too."""
    await front.until_started()
    first = await anyio.to_thread.run_sync(ledger.photos.last_id) + 1
    with front.bus.listen() as events:
        async with anyio.create_task_group() as group:
            group.start_soon(_follow, ledger, events, say)
            for delivery in endless(first):
                await _deliver(playground, delivery, say)
                await anyio.sleep(PAUSE)


async def _once(app: App, playground: Playground, say: Say) -> int:
    """Deliver the fixed set, let all be relayed, and compare the archive with what was sent."""
    for delivery in fixed():
        await _deliver(playground, delivery, say)
    summary = await app.service.sweep((), dry_run=False, say=_silent)
    await anyio.sleep(0.1)  # the last events' lines
    faults = await anyio.to_thread.run_sync(playground.faults)
    say("")
    say(
        f"{count_in_words(summary['relayed'], 'file')} relayed ({size_in_words(summary['bytes'])}), "
        f"{count_in_words(summary['duplicates'], 'duplicate')}, {summary['failed']} failed."
    )
    for fault in faults:
        say(f"wrong: {shown(fault)}")
    if not faults and not summary["failed"]:
        say("The archive holds every content once, the galleries show it, and no original is left behind.")
        return 0
    return 1


async def _silent(_line: str) -> None:
    """Swallow the sweep's own progress: the photos' lines tell it."""


async def _follow(ledger: Ledger, events: Subscription, say: Say) -> None:
    async for event in events:
        line = await _told(ledger, event)
        if line:
            say(line)


async def _told(ledger: Ledger, event: Event) -> str:
    """Give what an event means to somebody who looks on; empty for what they need not know."""
    area, _, what = event.type.partition(".")
    if area == "photo":
        photo = await anyio.to_thread.run_sync(ledger.photos.get, event.data["id"])
        return _line(photo.user, _end(photo)) if photo else ""
    if event.type == "batch.opened":
        return _line("", f"batch {event.data['name']}: {count_in_words(event.data['photos'], 'file')}")
    if area == "issue":
        return _line("", f"{event.data.get('message', '')} {'(over)' if what == 'closed' else ''}".rstrip())
    return ""


def _end(photo: Photo) -> str:
    name = shown(photo.name)
    if photo.state != "done":
        return f"{name}: {photo.state}: {photo.message}"
    took = span_in_words((photo.ended_at or photo.found_at) - photo.found_at)
    way = "is in the archive already as" if photo.duplicate_of is not None else "→"
    return f"{name} {way} {shown(photo.archived_as)}, {_ORIGINAL.get(photo.after, photo.after)}, {took}"


def _line(user: str, text: str) -> str:
    now = datetime.now().astimezone()
    return f"{now:%H:%M:%S}  {user:6} {text}"
