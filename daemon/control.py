"""The control socket: commands called beside a running daemon hand their work over to it and follow to the end.

``state/control.sock`` (0600), one JSON object a line: the request, then ``{"line": …}`` as the work goes on, last
``{"end": …, "exit": n}``. Only who may write into the state folder can connect.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from daemon.errors import NeedsPerson, RelayError, Transient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import SocketStream

log = logging.getLogger(__name__)

NAME = "control.sock"
LONGEST_LINE = 1 << 20


class ControlServer:
    """Listens on the socket and hands each request to ``answer(request, say)``, which gives the end."""

    def __init__(
        self,
        state: str,
        answer: Callable[[dict[str, Any], Callable[[str], Awaitable[None]]], Awaitable[dict[str, Any]]],
    ) -> None:
        self._state = state
        self._answer = answer

    async def serve(self) -> None:
        """Serve until cancelled. The lock on the state folder must be held: a left-over socket is taken away."""
        folder = os.open(self._state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            path = f"/proc/self/fd/{folder}/{NAME}"  # sun_path holds 107 bytes, a state folder's own path may be longer
            with suppress(FileNotFoundError):
                os.unlink(NAME, dir_fd=folder)
            listener = await anyio.create_unix_listener(path, mode=0o600)
            async with listener:
                await listener.serve(self._handle)
        finally:
            os.close(folder)

    async def _handle(self, stream: SocketStream) -> None:
        """Answer one connection; whatever goes wrong with it ends nothing but it."""
        try:
            await self._talk(stream)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, anyio.IncompleteRead, OSError):
            return  # who asked has gone; the work goes on
        except Exception:
            log.exception("a request of the control socket could not be answered")

    async def _talk(self, stream: SocketStream) -> None:
        async with stream:
            try:
                line = await BufferedByteReceiveStream(stream).receive_until(b"\n", LONGEST_LINE)
                request = json.loads(line)

                async def say(text: str) -> None:
                    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                        # Who asked may have gone meanwhile; the work goes on.
                        await stream.send(json.dumps({"line": text}).encode() + b"\n")

                try:
                    end = await self._answer(request, say)
                except RelayError as error:
                    end = {"end": error.as_dict(), "exit": 1}
                except Exception as fault:
                    # One request that fails must not take the daemon along.
                    log.exception("a request of the control socket failed")
                    words = f"a fault of the program ({type(fault).__name__}); the daemon's log says more"
                    end = {"end": {"code": "task.crashed", "message": words, "hint": "please report it"}, "exit": 1}
                await stream.send(json.dumps(end).encode() + b"\n")
            except (ValueError, anyio.DelimiterNotFound):
                await stream.send(b'{"end": {"code": "control.odd", "message": "no JSON"}, "exit": 1}\n')


async def ask(
    state: str, request: dict[str, Any], say: Callable[[str], None], *, within: float | None = None
) -> dict[str, Any] | None:
    """Hand a request to the running daemon and give its end; ``None`` where no daemon listens.

    Raises ``Transient`` ``control.silent`` where it does not answer within ``within`` seconds, or goes away.
    """
    try:
        folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(f"/proc/self/fd/{folder}/{NAME}")
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            return None
        except PermissionError as error:
            connection.close()
            raise NeedsPerson(
                "control.denied",
                f"the running daemon's control socket in {state} may not be used by this user",
                hint="run the command as the user the daemon runs as",
            ) from error
    finally:
        os.close(folder)
    connection.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=connection, limit=LONGEST_LINE)
    try:
        with anyio.fail_after(within):
            writer.write(json.dumps(request).encode() + b"\n")
            await writer.drain()
            while line := await reader.readline():
                message: dict[str, Any] = json.loads(line)
                if "line" in message:
                    say(str(message["line"]))
                else:
                    return message
    except TimeoutError:
        raise Transient("control.silent", "the running daemon does not answer") from None
    except OSError:
        pass  # it went away with our request unread
    finally:
        writer.close()
    raise Transient("control.silent", "the running daemon went away before it was done")
