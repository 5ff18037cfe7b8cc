"""The page: one aiohttp application, its listener and its live hub, alive while the daemon's parts come and go."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from aiohttp import web

from daemon.text import shown
from ui import health, metrics, security, static_files
from ui.api import errors
from ui.api.routes import routes as api_routes
from ui.context import CONTEXT, Context
from ui.doors import Doors, middlewares, routes
from ui.listener import Listener
from ui.live import Hub
from ui.places import Places
from ui.routes import mount
from ui.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.clock import Clock
    from daemon.errors import RelayError
    from daemon.events import Bus
    from daemon.service import Service
    from daemon.settings import Settings
    from daemon.wake import Wake
    from ui.routes import Route

log = logging.getLogger(__name__)

HANDLER = 60.0
"""Seconds for an answer to be begun; what takes longer runs in the background and is asked for."""
LARGEST = 1 << 20
"""Bytes of the largest body, the configuration's; most addresses take far less."""
FAREWELL = 2.0
"""Seconds at the end for connections to be closed in good manners."""


class Page:
    """Serves the page until cancelled. Nothing here raises: what goes wrong is told through ``trouble``."""

    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        service: Callable[[], Service | None],
        started: Callable[[], bool],
        changed: Wake,
        bus: Bus,
        clock: Clock,
        trouble: Callable[[RelayError | None], None],
    ) -> None:
        self.hub = Hub(bus, service, clock)
        self.doors = Doors(service, settings, clock, settings().state, changed)
        self.doors.on_end(lambda: self.hub.judge(self.doors.verdict))
        self.doors.watched = lambda: bool(self.hub.clients)
        self.hub.on_join = changed.set
        self.context = Context(settings=settings, service=service, started=started, hub=self.hub, clock=clock)
        self._settings = settings
        tls = Tls(settings, settings().state, clock)
        self.doors.own_certificate = tls.is_own
        self.places = Places(lambda: settings().ui.trusted_proxies)
        self.listener = Listener(lambda: settings().ui.address, tls.context, trouble, clock, self.places, changed)

    async def run(self) -> None:
        """Serve until cancelled; then every live connection is told that the daemon goes away."""
        assets = await anyio.to_thread.run_sync(static_files.load)
        app = self.application(static_files.routes(assets))
        runner = web.AppRunner(app, shutdown_timeout=FAREWELL, handler_cancellation=True)
        await runner.setup()
        try:
            server = runner.server
            if server is None:  # pragma: no cover  set up just now
                return
            async with anyio.create_task_group() as group:
                group.start_soon(self.hub.run)
                group.start_soon(self.doors.run)
                await self.listener.run(server)
        finally:
            self.hub.close()
            with anyio.move_on_after(2 * FAREWELL, shield=True):
                await runner.cleanup()

    def application(self, static: list[Route] | None = None) -> web.Application:
        """Give the application, with its routes and everything that stands before them."""
        entrance, *inner = middlewares(self.doors)
        before = [errors.errors, entrance, arrival, *inner, patience]
        app = web.Application(middlewares=before, client_max_size=LARGEST)
        app[CONTEXT] = self.context
        app.on_response_prepare.append(security.hardening(self.doors.wants_hsts))
        mount(app, health.routes())
        mount(app, metrics.routes())
        mount(app, routes(self.doors))
        mount(app, api_routes())
        mount(app, static or [])
        return app


@web.middleware
async def arrival(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Let requests of the API wait for a moment while the parts are built anew; who asks is known by them, too."""
    if request.path.startswith("/api/") and request.path != "/api/v1/live":
        await request.app[CONTEXT].arrive()
    return await handler(request)


@web.middleware
async def patience(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Bound the time for an answer to be begun, and write one line to the log at its lowest level."""
    endless = request.path == "/api/v1/live"
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(None if endless else HANDLER):
        response = await handler(request)
    if log.isEnabledFor(logging.DEBUG):
        took = 1000 * (asyncio.get_running_loop().time() - began)
        log.debug("%s %s %s %d %.1f ms", request.remote, request.method, shown(request.path), response.status, took)
    return response
