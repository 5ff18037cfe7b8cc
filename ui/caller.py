"""Who calls, as text for the audit and the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web


def who(request: web.Request) -> str:
    """Give ``page 192.168.1.7``: the way in, and the address it came from."""
    return f"page {request.remote or '?'}"


def key_of(request: web.Request) -> str:
    """Give the name of the session or token that a request came in with; empty where it needed none."""
    return ""
