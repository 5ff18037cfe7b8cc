"""The listening socket: tried until it can be opened, moved when the settings move it, bounded in connections."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import socket
from typing import TYPE_CHECKING, Any

from daemon.errors import NeedsPerson, RelayError
from daemon.pauses import pause
from daemon.text import shown
from ui.wire import Wire

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from daemon.clock import Clock
    from daemon.wake import Wake
    from ui.places import Places

log = logging.getLogger(__name__)

BACKLOG = 128
LOOK = 30.0
"""Seconds between two looks whether the certificate's files have changed."""


class Listener:
    """Listens where the settings say and hands connections to the server, for as long as ``run`` runs."""

    def __init__(
        self,
        address: Callable[[], tuple[str, int]],
        tls: Callable[[], Awaitable[ssl.SSLContext | None]],
        trouble: Callable[[RelayError | None], None],
        clock: Clock,
        places: Places,
        changed: Wake,
    ) -> None:
        self._address = address
        self._tls = tls
        self._trouble = trouble
        self._clock = clock
        self._places = places
        self._changed = changed
        self.listening: list[tuple[str, int]] = []
        """Where it listens now; empty while it cannot."""

    async def run(self, server: web.Server) -> None:
        """Listen until cancelled. A port in use or a certificate that cannot be read is told, and tried again."""
        failures = 0
        while True:
            address = self._address()
            try:
                context = await self._tls()
                listening = await self._open(server, address, context)
            except RelayError as error:
                self._trouble(error)
            except (OSError, ValueError, OverflowError) as error:
                self._trouble(of_fault(address, error))
            else:
                failures = 0
                self._trouble(None)
                try:
                    await self._while_same(address, context)
                finally:
                    self.listening = []
                    listening.close()
                continue
            await self._until_moved(address, pause(failures))
            failures += 1

    async def _open(
        self, server: web.Server, address: tuple[str, int], context: ssl.SSLContext | None
    ) -> asyncio.Server:
        loop = asyncio.get_running_loop()

        def connection() -> asyncio.Protocol:
            return Wire(server, loop, self._places)

        extra: dict[str, Any] = (
            {} if context is None else {"ssl": context, "ssl_handshake_timeout": 10.0, "ssl_shutdown_timeout": 3.0}
        )
        opened: asyncio.Server = await loop.create_server(
            connection, *address, backlog=BACKLOG, reuse_address=True, **extra
        )
        self.listening = [one.getsockname()[:2] for one in opened.sockets]
        scheme = "http" if context is None else "https"
        log.info("the page is served on %s", ", ".join(f"{scheme}://{_written(*one)}" for one in self.listening))
        return opened

    async def _while_same(self, address: tuple[str, int], context: ssl.SSLContext | None) -> None:
        """Wait until the settings want another address, or http instead of https."""
        while self._address() == address:
            seen = self._changed.count
            await self._changed.wait(seen, LOOK if context is not None else math.inf)
            try:
                if await self._tls() is not context:
                    return
            except RelayError as error:
                self._trouble(error)  # the certificate in use serves on

    async def _until_moved(self, address: tuple[str, int], seconds: float) -> None:
        deadline = self._clock.monotonic() + seconds
        seen = self._changed.count
        while self._address() == address and (left := deadline - self._clock.monotonic()) > 0:
            await self._changed.wait(seen, left)
            seen = self._changed.count


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def of_fault(address: tuple[str, int], error: Exception) -> NeedsPerson:
    """Say in words why an address cannot be listened on."""
    where = _written(*address)
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        why, hint = "another program listens there", "end that program, or give ui.listen another port"
    elif number == errno.EADDRNOTAVAIL:
        why, hint = "this machine has no such address", "give ui.listen an address of this machine, such as 0.0.0.0"
    elif number in {errno.EACCES, errno.EPERM}:
        why, hint = "it is not allowed to this user", "ports below 1024 need rights: give ui.listen a higher one"
    elif isinstance(error, socket.gaierror):
        why, hint = "that name is not known", "give ui.listen an address of this machine"
    else:
        why, hint = shown(str(error)), "give ui.listen another address"
    return NeedsPerson(
        "ui.listen", f"the page cannot be served on {where}: {why}; photos are relayed all the same", hint=hint
    )
