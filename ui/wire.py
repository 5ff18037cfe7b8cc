"""One connection's protocol: what is not HTTP at all is answered in our form, and costs no traceback in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ui.access import parse_peer
from ui.api.errors import answer
from ui.security import HEADERS

if TYPE_CHECKING:
    import asyncio

    from aiohttp.web_request import BaseRequest

    from ui.places import Places

log = logging.getLogger(__name__)

KEEPALIVE = 20.0
"""Seconds for which a connection may be idle, or take to send the head of a request."""


STALLED = 60.0
"""Seconds for which somebody may take nothing of what is sent, after which the connection is cut."""


class Wire(web.RequestHandler):
    """Takes a place for its connection, and answers what the application never sees: it could not even be parsed."""

    __slots__ = ("_cut", "_place", "_places")

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop, places: Places) -> None:
        # Bodies stay as they were sent: what is compressed could become any size.
        super().__init__(server, loop=loop, access_log=None, keepalive_timeout=KEEPALIVE, auto_decompress=False)  # type: ignore[arg-type]
        self._places = places
        self._place: str | None = None
        self._cut: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or hang up on whoever is one too many."""
        self._place = self._places.take(parse_peer(transport.get_extra_info("peername")))
        if self._place is not None:
            super().connection_made(transport)
        else:
            cast("asyncio.Transport", transport).abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End, and give the place back."""
        if self._place is not None:
            self._places.give_back(self._place)
            self._place = None
            super().connection_lost(exc)
        self._in_time()

    def pause_writing(self) -> None:
        """Give the other side some time to take what waits for it."""
        super().pause_writing()
        self._soon_cut(self.transport)

    def resume_writing(self) -> None:
        """Go on: something was taken."""
        super().resume_writing()
        if not self._force_close:
            self._in_time()

    def force_close(self) -> None:
        """Close; what is not taken in time is thrown away, for a transport waits without end for it to be taken."""
        transport = self.transport
        super().force_close()
        if transport is not None and transport.get_write_buffer_size():
            self._soon_cut(transport)

    def _soon_cut(self, transport: asyncio.Transport | None) -> None:
        if transport is not None and self._cut is None:
            self._cut = self._loop.call_later(STALLED, transport.abort)

    def _in_time(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Give the answer to what could not be parsed, or to a fault outside of every handler."""
        if isinstance(exc, HttpProcessingError):
            log.debug("%s sent what is no request: %s", request.remote, type(exc).__name__)
            made = answer(status, "request.malformed", "the request is not well formed")
        else:
            log.error("a request from %s could not be answered", request.remote, exc_info=exc)
            made = answer(status, "page.fault", "a fault of the program; its log says more")
        if request.writer.output_size > 0:
            raise ConnectionError("a part of another answer is sent already")
        made.headers.update({**HEADERS, "Server": "photon-relay", "Cache-Control": "no-store"})
        made.force_close()
        return made
