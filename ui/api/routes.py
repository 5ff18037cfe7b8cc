"""All operations below ``/api/v1``, and the document that describes them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from aiohttp import web

from ui.api import config, doors, logs, openapi, photos, runs, status, users
from ui.api.live import live
from ui.api.operations import PREFIX
from ui.routes import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SERVED = (
    *status.OPERATIONS,
    *users.OPERATIONS,
    *photos.OPERATIONS,
    *runs.OPERATIONS,
    *config.OPERATIONS,
    *logs.OPERATIONS,
)
"""What is served here."""
DESCRIBED = (*SERVED, *doors.OPERATIONS)
"""What the document tells of: also what the doors serve."""


def routes() -> list[Route]:
    """Give the routes of the API without those of the doors."""
    return [
        *(operation.route for operation in SERVED),
        Route("GET", f"{PREFIX}/live", live, "read"),
        Route("GET", f"{PREFIX}/openapi.json", _document(), "none"),
    ]


def _document() -> Callable[[web.Request], Awaitable[web.Response]]:
    content = json.dumps(openapi.describe(DESCRIBED), ensure_ascii=False).encode()
    headers = {
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        "Cache-Control": "no-cache",
        "Content-Type": "application/json",
    }

    async def document(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers={"ETag": headers["ETag"], "Cache-Control": "no-cache"})
        return web.Response(body=content, headers=headers)

    return document
