"""Hooks: which events they hear, what is sent, and the two ways to send it.

A hook's channel in the outbox is named after what it calls, so that a changed list of hooks sends nothing astray.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
from contextlib import suppress
from subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING

import aiohttp
import anyio

from daemon.clock import iso
from daemon.elsewhere import elsewhere
from daemon.errors import NeedsPerson, Transient
from daemon.text import shown, span_in_words

if TYPE_CHECKING:
    from anyio.abc import Process

    from daemon.ledger.outbox import Parcel
    from daemon.settings.messages import Hook

EVENTS = (
    "photo.done",
    "photo.held",
    "photo.refused",
    "photo.restored",
    "photo.noted",
    "batch.opened",
    "batch.done",
    "issue.opened",
    "issue.closed",
    "sweep.ended",
    "user.new",
    "user.gone",
    "login.failed",
    "config.changed",
)
"""What a hook can hear."""
ALIASES = {"batch.ended": "batch.done"}
SIGNATURE = "X-Photon-Relay-Signature"
TIMESTAMP = "X-Photon-Relay-Timestamp"
MOST_TRIES = 5
"""Tries of a call that answered that it failed; one that cannot be reached is tried until its event is a day old."""
STALE = 86400.0
WAITING = 20_000
"""Events that wait for one hook at most."""
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "HOME", "TMPDIR")
_HEARD = 2000
"""Bytes of a command's complaints that are kept."""


def event_name(type_: str) -> str | None:
    """Give the name under which hooks hear of an event, or ``None`` where they do not."""
    name = ALIASES.get(type_, type_)
    return name if name in EVENTS else None


def hears(hook: Hook, name: str) -> bool:
    """Tell whether a hook wants an event: by its name, ``photo.*`` or ``*``."""
    on = ALIASES.get(hook.on, hook.on)
    return on in {"*", name} or (on.endswith(".*") and name.startswith(on[:-1]))


def channel_of(hook: Hook) -> str:
    """Give the name of a hook's channel."""
    told = json.dumps([hook.on, hook.url, hook.run]).encode()
    return f"hook:{hashlib.sha256(told).hexdigest()[:12]}"


def name_of(hook: Hook) -> str:
    """Give a few words for people on which hook it is."""
    called = hook.url.partition("?")[0] if hook.url else hook.run[0] if hook.run else ""
    return f"hook on {hook.on} ({shown(called, 80)})"


def payload(parcel: Parcel) -> bytes:
    """Give the JSON that a hook gets: the event's name, a number of its own, when it happened, and what it tells."""
    told = {"event": parcel.kind, "id": parcel.id, "at": iso(parcel.created_at), "data": parcel.body}
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Sign a call: HMAC-SHA256 over the time stamp, a dot and the body, so that an old call cannot be sent again."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


async def call(hook: Hook, parcel: Parcel, now: float) -> None:
    """Call a hook once.

    Raises:
        Transient: ``hook.unreachable``, ``hook.failed`` (it answered that it failed; a command's exit code).
        NeedsPerson: ``hook.refused`` (it will not have this event), ``hook.cannot_start``.

    """
    if hook.url:
        await _post(hook, parcel, now)
    else:
        await elsewhere(_run(hook, payload(parcel)))


async def _post(hook: Hook, parcel: Parcel, now: float) -> None:
    body, stamp = payload(parcel), str(int(now))
    headers = {"Content-Type": "application/json", "X-Photon-Relay-Event": parcel.kind, TIMESTAMP: stamp}
    secret = hook.secret.get_secret_value()
    if secret:
        headers[SIGNATURE] = signature(secret, stamp, body)
    who = name_of(hook)
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=hook.timeout)) as session,
            session.post(hook.url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            status, after = answer.status, answer.headers.get("Retry-After", "")
    except TimeoutError:
        raise Transient("hook.unreachable", f"{who} did not answer within {span_in_words(hook.timeout)}") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # aiohttp's words may hold the whole address, and with it a secret in its query.
        why = type(error).__name__
        raise Transient("hook.unreachable", f"{who} cannot be reached ({why})") from None
    if 200 <= status < 300:
        return
    if status in {408, 425, 429} or status >= 500:
        wait = float(after) if after.isascii() and after.isdigit() and len(after) < 7 else None
        raise Transient("hook.failed", f"{who} answered with status {status}", retry_after=wait)
    raise NeedsPerson("hook.refused", f"{who} refused the event with status {status}; it is not sent again")


async def _run(hook: Hook, body: bytes) -> None:
    """Run a command with the event on its standard input, in a session of its own that ends with it."""
    who = name_of(hook)
    try:
        process = await anyio.open_process(
            list(hook.run),
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=PIPE,
            env={key: os.environ[key] for key in _ENVIRONMENT if key in os.environ},
            start_new_session=True,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a command"
        raise NeedsPerson("hook.cannot_start", f"{who} cannot be started: {why}", hint="see hooks[].run") from None
    except OSError as error:
        raise Transient("hook.unreachable", f"{who} cannot be started: {error.strerror}") from None
    heard = bytearray()
    try:
        with anyio.fail_after(hook.timeout):
            async with anyio.create_task_group() as group:
                group.start_soon(_feed, process, body)
                group.start_soon(_listen, process, heard)
                code = await process.wait()
                # What it has left behind may hold its standard error open for ever.
                _kill(process)
    except TimeoutError:
        limit = span_in_words(hook.timeout)
        raise Transient("hook.failed", f"{who} did not end within {limit} and was killed") from None
    finally:
        with anyio.CancelScope(shield=True):
            _kill(process)
            await process.wait()
            await process.aclose()
    if code:
        said = shown(heard.decode(errors="replace").strip(), 300)
        raise Transient("hook.failed", f"{who} ended with exit code {code}{': ' + said if said else ''}")


async def _feed(process: Process, body: bytes) -> None:
    assert process.stdin is not None  # noqa: S101  a pipe
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, BrokenPipeError, ConnectionResetError):
        await process.stdin.send(body)
        await process.stdin.aclose()


async def _listen(process: Process, into: bytearray) -> None:
    assert process.stderr is not None  # noqa: S101  a pipe
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        async for chunk in process.stderr:
            into += chunk[: _HEARD - len(into)]


def _kill(process: Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
