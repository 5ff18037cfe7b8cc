"""The ntfy server: is it there and well. Nothing is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aiohttp

from daemon.checks.check import Check, failed, ok
from daemon.text import shown

if TYPE_CHECKING:
    from daemon.settings import Settings

NTFY = "ntfy"
WITHIN = 10.0
"""Seconds for the answer."""
_LONGEST_ANSWER = 4096
_HINT = "Is notify.ntfy.url right, and can it be reached from here (name, port, firewall, certificate)?"


async def ntfy(settings: Settings) -> list[Check]:
    """Ask for ``/v1/health`` (docs.ntfy.sh: Health checks), which needs no token; off is well, too."""
    url = settings.notify.ntfy.url
    if not url:
        return [ok(NTFY, "off: notify.ntfy.url is empty")]
    if not settings.notify.ntfy.topic:
        message = "notify.ntfy.url is given, but no topic: no message can be sent"
        return [failed(NTFY, message, "Set notify.ntfy.topic.", "ntfy.no_topic")]
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WITHIN)) as session,
            session.get(f"{url}/v1/health", allow_redirects=False) as answer,
        ):
            status = answer.status
            body = await answer.content.read(_LONGEST_ANSWER)
    except TimeoutError:
        return [failed(NTFY, f"ntfy at {shown(url)} does not answer within {WITHIN:.0f} s", _HINT, "ntfy.unreachable")]
    except (aiohttp.ClientError, OSError) as error:
        why = shown(str(error) or type(error).__name__)
        return [failed(NTFY, f"ntfy at {shown(url)} cannot be reached: {why}", _HINT, "ntfy.unreachable")]
    if status == 200 and _healthy(body):
        return [ok(NTFY, f"ntfy at {shown(url)} answers and is well")]
    message = f"{shown(url)} does not answer as a healthy ntfy does (status {status})"
    return [failed(NTFY, message, _HINT, "ntfy.odd_answer")]


def _healthy(body: bytes) -> bool:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("healthy") is True
