"""``GET /api/v1/live``: the WebSocket. What goes over it is the hub's; here is how one connection lives and ends."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from aiohttp import WSMsgType, web

from ui.caller import caller
from ui.client import Client
from ui.context import CONTEXT

if TYPE_CHECKING:
    import asyncio

    from ui.live import Hub

log = logging.getLogger(__name__)

MAX_MESSAGE = 64 << 10
HEARTBEAT = 25.0
"""Seconds between two pings; who does not answer within half of it is gone."""
SEND = 20.0
"""Seconds for one frame to be taken by the client's side, after which it is given up."""
LEVELS = frozenset({"debug", "info", "warning", "error"})


async def live(request: web.Request) -> web.StreamResponse:
    """Serve one connection until one side ends it."""
    hub = request.app[CONTEXT].hub
    if not web.WebSocketResponse().can_prepare(request):
        raise web.HTTPBadRequest
    client = Client(caller(request))
    if hub.full(client.who) or hub.closing:
        raise web.HTTPServiceUnavailable(headers={"Retry-After": "10"})
    # No compression: it would have to be done anew for every client.
    socket = web.WebSocketResponse(
        heartbeat=HEARTBEAT, max_msg_size=MAX_MESSAGE, compress=False, timeout=2.0, autoping=True
    )
    try:
        await hub.join(client, since_of(request))
        await socket.prepare(request)
        async with anyio.create_task_group() as group:
            group.start_soon(_send, hub, client, socket, request.transport)
            await _receive(client, socket)
            group.cancel_scope.cancel()
    finally:
        hub.leave(client)
    return socket


def since_of(request: web.Request) -> int | None:
    """Give the number of the last frame that the client has seen; ``None`` where it says none, or nonsense."""
    text = request.query.get("since", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


async def _send(hub: Hub, client: Client, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
    with suppress(ConnectionError, RuntimeError):  # the client has gone; the reading side ends the connection
        while (frame := await client.next(hub.snapshot)) is not None:
            with anyio.move_on_after(SEND) as patience:
                await socket.send_frame(frame, WSMsgType.TEXT)
            if patience.cancelled_caught:
                log.debug("a live client (%s) takes nothing any more", client.who.audit)
                break
            if socket.closed:
                return
        code, reason = client.ended or (1013, "too slow")
        with anyio.move_on_after(3.0):
            await socket.close(code=code, message=reason.encode())
    if transport is not None:
        transport.abort()  # whoever reads nothing gives no answer to a closing frame either


async def _receive(client: Client, socket: web.WebSocketResponse) -> None:
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            continue
        try:
            wish = json.loads(message.data)
        except (ValueError, RecursionError):
            continue
        if isinstance(wish, dict) and "log" in wish:
            level = wish["log"]
            # As for GET /log: who may only look sees how things are, not the log.
            wanted = isinstance(level, str) and level in LEVELS and client.who.may("control")
            client.log_level = level if wanted else None
