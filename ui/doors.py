"""Everything that stands before the page, in its order: address, name, rate, session, identity, origin, body.

``Doors`` knows who may come in, ``middlewares`` ask it of every request, ``routes`` are the log-in itself.
A route without a scope is refused: whoever forgets to say what it needs has shut it, not opened it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp_session import get_session, session_middleware

from daemon.text import shown
from ui.access import fetched_by_another_site, host_is_ours, host_line, may_enter, origin_is_ours
from ui.api.errors import answer
from ui.door_handlers import Handlers
from ui.doorkeeper import ASKING, Doors, Unauthorized
from ui.identity import WHO, Who, nobody, would_lock_out
from ui.routes import Route, route_of
from ui.sessions import csrf_fits
from ui.throttle import Rate, key_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Middleware

    from ui.identity import Facts

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

__all__ = ["WHO", "Doors", "Who", "middlewares", "routes", "would_lock_out"]

log = logging.getLogger(__name__)

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
SMALL = 8192
"""Bytes of a body that somebody without a log-in may send."""
BODY_TIME = 15.0
"""Seconds for a body to arrive, and one more for each :data:`SLOWEST` bytes."""
SLOWEST = 32 << 10


def routes(doors: Doors) -> list[Route]:
    """Give the routes of log-in, sessions, password and tokens."""
    return Handlers(doors).routes()


def middlewares(doors: Doors) -> list[Middleware]:
    """Give what every request passes, outermost first; it belongs directly behind what turns errors into answers."""
    gate = _Gate(doors)
    return [
        gate.entrance,
        session_middleware(doors.cookies),
        gate.identity,
        gate.body,
    ]


def _middleware(step: Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]) -> Middleware:
    """Give a bound method as a middleware; aiohttp marks the function itself, which a method does not let it."""

    @web.middleware
    async def passed(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await step(request, handler)

    return passed


class _Gate:
    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._told = Rate(burst=3, per_second=1 / 600)
        """Lines in the log about one stranger: a flood of requests must not become a flood of lines."""

    # -- address, name, rate ------------------------------------------------------------------------------------

    @web.middleware
    async def entrance(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in by address first, whatever is asked for; then by the name the page was called."""
        facts = self._doors.facts(request)
        request[WHO] = nobody(facts)
        if request.path == "/healthz" and facts.peer is not None and facts.peer.is_loopback:
            return await handler(request)  # the container asks itself whether it lives
        refusal = self._stranger(facts) or self._wrong_name(request, facts) or self._too_fast(facts)
        if refusal is not None:
            refusal.force_close()
            return refusal
        await self._doors.open()
        return await handler(request)

    def _stranger(self, facts: Facts) -> web.Response | None:
        if may_enter(facts.address, self._doors.settings.ui.allow):
            return None
        if not self._told.take(key_of(facts.address), self._doors.clock.monotonic()):
            log.info("refused %s (by way of %s): not in ui.allow", facts.address, facts.peer)
        return answer(403, "access.address", "this address is not let in", "the list is ui.allow in the configuration")

    def _wrong_name(self, request: web.Request, facts: Facts) -> web.Response | None:
        if not request.raw_path.startswith("/"):
            # `GET http://other/…` names a host of its own, past the header.
            return answer(400, "request.target", "the request's target must be a path")
        if not facts.host:
            return answer(400, "access.host", "the request's Host header is missing or not well formed")
        if host_is_ours(facts.host, self._doors.settings.ui):
            return None
        line = host_line(facts.host)
        hint = f"to allow it, add this line to the configuration: {line}" if line else "call it by its address"
        message = f"this page may not be called `{shown(facts.host, 120)}`"
        if not request.path.startswith("/api/"):
            return web.Response(status=421, text=f"{message}\n{hint}\n")
        return answer(421, "access.host", message, hint)

    def _too_fast(self, facts: Facts) -> web.Response | None:
        if facts.address is not None and facts.address.is_loopback:
            return None
        wait = self._doors.rate.take(key_of(facts.address), self._doors.clock.monotonic())
        if not wait:
            return None
        return answer(429, "request.too_many", "too many requests", **{"Retry-After": str(math.ceil(wait))})

    # -- who, what for, and from which page ---------------------------------------------------------------------

    @web.middleware
    async def identity(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Find out who asks, and refuse what they may not; then what another site made their browser send."""
        facts = self._doors.facts(request)
        if request.match_info.http_exception is not None:
            return await handler(request)  # no such address or method: there is nothing to protect
        route = route_of(request)
        if route is None:
            log.error("%s has no scope: refused", shown(request.path))
            return answer(403, "access.unlisted", "nobody has said who may come here")
        if route.scope == "none" and not request.path.startswith("/api/"):
            return await handler(request)  # the page's own files, and whether it lives
        if route.csrf and (refusal := self._other_site(request, facts)):
            return refusal
        try:
            who = await self._doors.identify(request)
        except Unauthorized:
            return answer(401, "token.wrong", "this API token is not (or no longer) valid", **_BEARER)
        request[WHO] = who
        ASKING.set(who)
        if not who.may(route.scope):
            return self._not_enough(who)
        if route.csrf and who.kind != "token" and request.method not in SAFE:
            given = request.headers.get("X-CSRF-Token", "")
            if not csrf_fits(await get_session(request), given):
                hint = "reload the page (a program takes it from GET /api/v1/session, with the cookie)"
                return answer(403, "session.csrf", "the X-CSRF-Token is missing or not this session's", hint)
        return await handler(request)

    def _other_site(self, request: web.Request, facts: Facts) -> web.Response | None:
        """Refuse what a page of another site has sent, a WebSocket's handshake included.

        Browsers always name the origin where it could do harm; programs, which nobody can talk into a request, do not.
        """
        origins = request.headers.getall("Origin", ())
        ui = self._doors.settings.ui
        ours = all(origin_is_ours(origin, facts.scheme, facts.host_header, ui) for origin in origins)
        if ours and not fetched_by_another_site(request.headers.get("Sec-Fetch-Site")):
            return None
        hint = "" if ours else "behind a proxy with https, set ui.url to the page's address, or ui.trusted_proxies"
        return answer(403, "access.cross_site", "this was sent by a page of another site", hint)

    def _not_enough(self, who: Who) -> web.Response:
        if who.kind == "token":
            return answer(403, "token.scope", f"this API token may only {_MAY[who.scope]}", "make one with more scope")
        if who.scope != "none":
            return answer(
                *(403, "access.read_only", "nothing protects this page, so it changes nothing"),
                "set a password (`photon-relay password`, or here with the one-time code in the log), ui.allow, or"
                " ui.open: true",
            )
        return answer(401, "session.needed", "log in first", **_BEARER)

    # -- the body -----------------------------------------------------------------------------------------------

    @web.middleware
    async def body(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Take the whole body within a time and, without a log-in, a small one only; so nobody ties up a handler."""
        if not request.can_read_body or request.method in SAFE:
            return await handler(request)
        length = request.content_length
        who: Who = request[WHO]
        if who.kind == "nobody" and (length is None or length > SMALL):
            refused = answer(413, "request.too_large", f"without a log-in a body has {SMALL} bytes at most")
            refused.force_close()
            return refused
        try:
            async with asyncio.timeout(BODY_TIME + (length or 0) / SLOWEST):
                await request.read()
        except TimeoutError:
            slow = answer(408, "request.slow", "the request did not arrive in time")
            slow.force_close()
            return slow
        return await handler(request)


_BEARER = {"WWW-Authenticate": "Bearer"}
_MAY = {"none": "do nothing", "read": "look", "control": "look, and set things going", "admin": "do everything"}
