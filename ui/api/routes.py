"""All routes below ``/api/v1``."""

from __future__ import annotations

from aiohttp import web

from ui import now
from ui.api.live import live
from ui.context import CONTEXT
from ui.routes import Route


async def _status(request: web.Request) -> web.Response:
    return web.json_response(await now.snapshot(request.app[CONTEXT].room()))


def routes() -> list[Route]:
    """Give them."""
    return [Route("GET", "/api/v1/live", live, "read"), Route("GET", "/api/v1/status", _status, "read")]
