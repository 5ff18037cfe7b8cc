"""The ntfy server: is it there and well. Nothing is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.checks.check import Check, failed, of_error, ok
from daemon.errors import RelayError
from daemon.notify.ntfy import health
from daemon.text import shown

if TYPE_CHECKING:
    from daemon.settings import Settings

NTFY = "ntfy"
WITHIN = 10.0
"""Seconds for the answer."""


async def ntfy(settings: Settings) -> list[Check]:
    """Ask for the server's health, which needs no token; off is well, too."""
    url = settings.notify.ntfy.url
    if not url:
        return [ok(NTFY, "off: notify.ntfy.url is empty")]
    if not settings.notify.ntfy.topic:
        message = "notify.ntfy.url is given, but no topic: no message can be sent"
        return [failed(NTFY, message, "Set notify.ntfy.topic.", "ntfy.no_topic")]
    try:
        await health(settings.notify.ntfy, within=WITHIN)
    except RelayError as error:
        return [of_error(NTFY, error)]
    return [ok(NTFY, f"ntfy at {shown(url)} answers and is well")]
