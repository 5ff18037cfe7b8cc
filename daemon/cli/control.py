"""Commands that hand over to a running daemon where there is one, and else do the work themselves."""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from daemon.cli.garbage import look_seldom
from daemon.control import ask
from daemon.errors import RelayError, Transient
from daemon.ledger.ledger import Ledger
from daemon.lifetime import Locked, answer, opened
from daemon.logs import set_up
from daemon.service import status_of
from daemon.settings_file import load
from daemon.settings_torn import load_at_start
from daemon.text import count_in_words, size_in_words

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from daemon.settings import Settings

STARTS_WITHIN = 30.0
"""Seconds for which a command waits for a daemon that is starting."""


def sweep(arguments: Namespace) -> int:
    """Do one sweep, relay what it finds, and print a summary."""
    settings = load_at_start(arguments.config, os.environ, sweep=True).settings
    set_up("warning" if sys.stdout.isatty() else settings.log.level, settings.log.format)
    look_seldom()
    request = {"do": "sweep", "users": arguments.user, "dry_run": arguments.dry_run}
    end = anyio.run(partial(_hand_over_or_do, settings, request, _progress()))
    if "message" in end["end"]:
        return _error(end)
    print(_summary(end["end"]))
    for trouble in end["end"].get("troubles", []):
        hint = f"\n    {trouble['hint']}" if trouble["hint"] else ""
        count = count_in_words(trouble["photos"], "photo")
        print(f"  {count} {trouble['state']}: {trouble['message']} [{trouble['code']}]{hint}")
    return int(end["exit"])


def restore(arguments: Namespace) -> int:
    """Put photos or a whole batch back."""
    settings = load(arguments.config, os.environ).settings
    set_up("warning", settings.log.format)
    request = {"do": "restore", "photos": arguments.photos}
    if arguments.batch is not None:
        request = {"do": "restore", "batch": arguments.batch}
    end = anyio.run(partial(_hand_over_or_do, settings, request, print))
    return _error(end) if "message" in end["end"] else int(end["exit"])


def status(arguments: Namespace) -> int:
    """Print how things are: from the running daemon, or from the ledger alone."""
    settings = load(arguments.config, os.environ).settings
    found = anyio.run(_status, settings)
    if arguments.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for line in _status_lines(found):
            print(line)
    return 0


async def _hand_over_or_do(settings: Settings, request: dict[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
    """Have the running daemon do it; where none runs, do it here with the same parts."""
    end = await _asked(settings, request, say)
    if end is not None:
        return end
    try:
        async with opened(settings) as app:

            async def tell(text: str) -> None:
                say(text)

            if request.get("dry_run"):
                # Nothing runs: what waits from before would go on, and who has a home would be written down.
                return await answer(app, request, tell)
            app.homekeeper.only = frozenset(request.get("users", ())) or None
            await app.note_homes()
            await app.start()
            async with anyio.create_task_group() as group:
                group.start_soon(partial(app.run, schedule=False))
                with anyio.move_on_after(30.0):
                    await app.watch.ready()
                try:
                    done = await answer(app, request, tell)
                except RelayError as error:
                    # Raised out of the group it would come out as a group of one; a daemon answers it so too.
                    done = {"end": error.as_dict(), "exit": 1}
                group.cancel_scope.cancel()
            return done
    except Locked:
        # A daemon that has just started holds the lock and does not listen yet.
        for _ in range(20):
            await anyio.sleep(0.5)
            end = await _asked(settings, request, say)
            if end is not None:
                return end
        raise Transient("control.silent", f"another process holds {settings.state}, but does not answer") from None


async def _asked(settings: Settings, request: dict[str, Any], say: Callable[[str], None]) -> dict[str, Any] | None:
    """Have the running daemon do it, and wait a while for one that has only just started; ``None`` where none runs."""
    until = time.monotonic() + STARTS_WITHIN
    while True:
        end = await ask(settings.state, request, say)
        if end is None or end["end"].get("code") != "daemon.starting" or time.monotonic() > until:
            return end
        await anyio.sleep(0.5)


async def _status(settings: Settings) -> dict[str, Any]:
    end = await ask(settings.state, {"do": "status"}, print, within=30.0)
    if end is not None:
        return {"running": True, **end["end"]}
    if not await anyio.Path(settings.state, "ledger.db").exists():
        return {"running": False, "photos": {}, "troubles": [], "last_batch": None, "last_sweep": None, "sweep": {}}
    ledger = await anyio.to_thread.run_sync(Ledger, settings.state)
    try:
        found = await anyio.to_thread.run_sync(status_of, ledger, time.time())
    finally:
        await anyio.to_thread.run_sync(ledger.close)
    return {"running": False, **found}


def _progress() -> Callable[[str], None]:
    """Give a function that shows the newest line in place on a terminal, and every line elsewhere."""
    if not sys.stdout.isatty():
        return partial(print, flush=True)

    def show(text: str) -> None:
        sys.stdout.write(f"\r\x1b[2K{text[:200]}")
        if text.count(": ") > 1:
            sys.stdout.write("\n")
        sys.stdout.flush()

    return show


def _summary(end: dict[str, Any]) -> str:
    if end.get("dry_run"):
        return f"{count_in_words(end['files'], 'file')} looked at; nothing was touched"
    words = [f"{count_in_words(end['relayed'], 'photo')} relayed ({size_in_words(end['bytes'])})"]
    if end["duplicates"]:
        words.append(count_in_words(end["duplicates"], "duplicate"))
    words += [
        f"{end[key]} {word}"
        for key, word in (("refused", "refused"), ("waiting", "waiting"), ("held", "held for you"))
        if end[key]
    ]
    start = "\r\x1b[2K" if sys.stdout.isatty() else ""
    return start + ", ".join(words)


def _status_lines(found: dict[str, Any]) -> list[str]:
    lines = ["running" if found["running"] else "not running"]
    counts = {state: count for state, count in found["photos"].items() if count}
    lines.append("photos: " + (", ".join(f"{count} {state}" for state, count in counts.items()) or "none yet"))
    lines += [f"  {one['photos']} {one['state']}: {one['message']} [{one['code']}]" for one in found["troubles"]]
    if found["last_batch"]:
        batch = found["last_batch"]
        lines.append(f"last batch: {batch['id']} ({batch['state']}), {batch['photos']} photos, {batch['created_at']}")
    if found["last_sweep"]:
        lines.append(f"last sweep: {found['last_sweep']['ended_at']} ({found['last_sweep']['reason']})")
    if found.get("sweep", {}).get("next"):
        lines.append(f"next sweep: {found['sweep']['next']}")
    if found.get("watch"):
        watch = found["watch"]
        lines.append(f"watch: {watch['mode']}, {watch['directories']} folders, proved alive: {watch['verified_at']}")
    for issue in found.get("issues", []):
        lines.append(f"! {issue['about']}: {issue['message']} [{issue['code']}]")
        if issue["hint"]:
            lines.append(f"    {issue['hint']}")
    return lines


def _error(end: dict[str, Any]) -> int:
    error = end["end"]
    print(f"photon-relay: {error['message']} [{error['code']}]", file=sys.stderr)
    if error.get("hint"):
        print(f"  {error['hint']}", file=sys.stderr)
    return int(end["exit"])
