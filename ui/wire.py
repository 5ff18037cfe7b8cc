"""One connection's protocol: what is not HTTP at all is answered in our form, and costs no traceback in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ui.api.errors import answer
from ui.security import HEADERS

if TYPE_CHECKING:
    import asyncio

    from aiohttp.web_request import BaseRequest

log = logging.getLogger(__name__)

KEEPALIVE = 20.0
"""Seconds for which a connection may be idle, or take to send the head of a request."""


class Wire(web.RequestHandler):
    """Answers what the application never sees: it could not even be parsed."""

    __slots__ = ()

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        # Bodies stay as they were sent: what is compressed could become any size.
        super().__init__(server, loop=loop, access_log=None, keepalive_timeout=KEEPALIVE, auto_decompress=False)  # type: ignore[arg-type]

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
