"""Who calls, as the doors have found out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ui.identity import WHO

if TYPE_CHECKING:
    from aiohttp import web

    from ui.identity import Who


def caller(request: web.Request) -> Who:
    """Give who asks; a request that has not come through the doors has nobody, and that is a fault of the program."""
    return request[WHO]


def who(request: web.Request) -> str:
    """Give who asks as text for the audit: ``page 192.168.1.7``."""
    return caller(request).audit
