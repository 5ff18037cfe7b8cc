"""Starting the gate, and ending it when it is told to."""

from __future__ import annotations

import logging
import signal
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio

from daemon.clock import Clock
from daemon.gate.denied import Denied
from daemon.gate.door import open_door
from daemon.gate.limits import Limits
from daemon.gate.server import Gate
from daemon.gate.upstream import Upstream
from daemon.text import shown

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from daemon.gate.place import Place
    from daemon.gate.rules import Rules

log = logging.getLogger("daemon.gate")


async def serve(place: Place, allowed: Rules, *, limits: Limits | None = None) -> None:
    """Be the gate until SIGTERM or SIGINT.

    Raises:
        NeedsPerson: ``gate.listen``.

    """
    limits = limits or Limits()
    clock = Clock()
    async with aclosing(Upstream(place.engine, seconds=limits.engine_seconds)) as upstream:
        gate = Gate(allowed, upstream, limits=limits, clock=clock)
        listener = await open_door(place.listen, gid=place.gid)
        try:
            async with listener, anyio.create_task_group() as tasks:
                await tasks.start(_until_told, tasks.cancel_scope)
                tasks.start_soon(_greet, upstream)
                log.info(
                    "listens at %s for exec in %s as %s",
                    shown(str(place.listen)),
                    shown(allowed.container),
                    shown(", ".join(allowed.users)),
                )
                await gate.serve(listener)
        finally:
            place.listen.unlink(missing_ok=True)


async def _until_told(scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()


async def _greet(upstream: Upstream) -> None:
    """Say at the start whether the engine answers; the gate goes on either way, since the engine may come later."""
    try:
        await upstream.version()
    except Denied as denied:
        log.warning("the engine at %s does not answer: %s", shown(upstream.host), shown(denied.why))
