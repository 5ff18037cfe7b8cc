"""``/healthz`` and ``/readyz``: is it alive, and does all of it run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from ui.context import CONTEXT
from ui.routes import Route

if TYPE_CHECKING:
    from ui.context import Context

_MISSING = (".mount_missing", "archive.no_folder")
"""How the codes end of what means: a mount is not there, so nothing can be relayed."""


async def alive(_request: web.Request) -> web.Response:
    """Say that the event loop answers, and nothing else."""
    return web.json_response({"ok": True})


def reasons(context: Context) -> list[dict[str, Any]]:
    """Give what keeps the daemon from doing all of its work, empty where nothing does."""
    service = context.service
    if service is None:
        return [{"about": "daemon", "code": "daemon.starting", "message": "its parts are being built"}]
    found: list[dict[str, Any]] = []
    if not context.started:
        found.append({"about": "daemon", "code": "daemon.starting", "message": "the relay has not begun yet"})
    found += [
        {"about": name, "code": "task.stopped", "message": f"the loop {name} does not run"}
        for name in service.health()["stopped"]
    ]
    for issue in service.open_issues():
        if str(issue["code"]).endswith(_MISSING):
            found.append({key: issue[key] for key in ("about", "code", "message")})
    return found


async def ready(request: web.Request) -> web.Response:
    """Say whether all loops run and the mounts are there; 503 with the reasons where not."""
    why = reasons(request.app[CONTEXT])
    return web.json_response({"ready": not why, "reasons": why}, status=503 if why else 200)


def routes() -> list[Route]:
    """Give the routes outside of ``/api/v1``."""
    return [Route("GET", "/healthz", alive, "none"), Route("GET", "/readyz", ready, "read")]
