"""Blocking looks at disks that may never answer, in threads that nobody has to wait for."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import anyio

from daemon.errors import Transient

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_NAME = "check-aside"
MOST = 64
"""Threads that may hang at the same time; each repeated look at a mount that does not answer leaves one."""


async def aside(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking function in a thread of its own and give its result; cancelled, leave the thread behind.

    A worker thread of anyio will not do: at its end the interpreter waits for those, and a look at a network mount
    whose server has gone ends with the server's return. A thread left behind still ends its function, and so removes
    what that has made. Raises ``Transient`` ``checks.hanging`` where too many hang already.
    """
    if sum(thread.name == _NAME for thread in threading.enumerate()) >= MOST:
        raise Transient(
            "checks.hanging",
            "earlier checks still wait for a disk or a mount that does not answer",
            hint="Look at the network mounts; restart the program when they are well again.",
        )
    loop = asyncio.get_running_loop()
    done = anyio.Event()
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            errors.append(error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=work, name=_NAME, daemon=True).start()
    await done.wait()
    if errors:
        raise errors[0]
    return results[0]
