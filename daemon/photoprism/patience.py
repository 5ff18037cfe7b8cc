"""Waiting for work that may take hours, but not for one who is not there any more."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from daemon.errors import RelayError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    import aiohttp

T = TypeVar("T")

LOOK_EVERY: Final = 60.0
"""Seconds between two looks whether the other side still answers; real ones, like the time limits of calls."""
MISSES: Final = 3
"""So many looks in a row without an answer, and the work is not waited for any longer."""

_IDLE, _BETWEEN, _PROBES = 60, 15, 4


async def while_it_answers(call: Coroutine[Any, Any, T], look: Callable[[], Awaitable[object]]) -> T | None:
    """Give what ``call`` gives, or ``None`` where ``look`` has found nobody there several times while it went on.

    ``look`` raises a ``RelayError`` ``photoprism.unreachable`` where nobody answers; any other answer is a sign of
    life. An import is answered when it is done: a process that hangs, or a machine that was switched off, would else
    be waited for as long as the largest import may take.
    """
    done: list[T] = []
    fault: RelayError | None = None
    async with anyio.create_task_group() as group:

        async def look_again_and_again() -> None:
            misses = 0
            while misses < MISSES:
                # Not by the clock object: what is waited for takes real time, too.
                await anyio.sleep(LOOK_EVERY)
                try:
                    await look()
                except RelayError as error:
                    misses = misses + 1 if error.code == "photoprism.unreachable" else 0
                else:
                    misses = 0
            group.cancel_scope.cancel()

        group.start_soon(look_again_and_again)
        try:
            done.append(await call)
        except RelayError as error:
            fault = error
        group.cancel_scope.cancel()
    if fault is not None:
        raise fault
    return done[0] if done else None


def lasting_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Make a TCP socket that notices within two minutes that the other machine is gone or has forgotten it."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _BETWEEN),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES),
    ):
        made.setsockopt(level, option, value)
    return made
