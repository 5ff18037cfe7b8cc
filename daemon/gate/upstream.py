"""The gate's own requests to the engine: these, with these fields, and no others."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import aiodocker
import aiohttp
import anyio
from aiodocker.exceptions import DockerError
from aiodocker.execs import Exec

from daemon.docker.engine import Engine
from daemon.errors import RelayError
from daemon.gate.denied import Denied

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from aiodocker.stream import Message, Stream

    from daemon.docker.engine import Container

NOBODY: Final = "65534:65534"
PASSWD_BYTES: Final = 256 * 1024
STDOUT: Final = 1
STDERR: Final = 2


class Output:
    """The output of an exec, piece by piece."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def read(self) -> Message | None:
        """Give the next piece, ``None`` at the end."""
        try:
            return await self._stream.read_out()
        except (aiohttp.ClientError, OSError):
            return None

    async def aclose(self) -> None:
        """Stop listening; what runs in the container is not ended by that."""
        with anyio.CancelScope(shield=True):
            await self._stream.close()


class Upstream:
    """The engine at ``host``; ``seconds`` is the limit for a single request.

    All methods raise `Denied` with 502 or 503 where the engine has a fault or cannot be reached, and with 404 or 409
    where it says so itself.
    """

    def __init__(self, host: str, *, seconds: float) -> None:
        self.host = host
        self._seconds = seconds
        self._lister = Engine(host, request_seconds=seconds)
        self._client: aiodocker.Docker | None = None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._lister.aclose()
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @asynccontextmanager
    async def _docker(self) -> AsyncIterator[aiodocker.Docker]:
        try:
            if self._client is None:
                timeout = aiohttp.ClientTimeout(total=self._seconds, sock_connect=min(10.0, self._seconds))
                self._client = aiodocker.Docker(url=self.host, timeout=timeout)
            yield self._client
        except DockerError as error:
            if error.status in {404, 409}:
                raise Denied(str(error.message), status=error.status) from error
            # aiodocker's own number for an engine that cannot be reached.
            raise Denied(f"the engine says: {error.message}", status=503 if error.status == 900 else 502) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Denied(f"the engine cannot be reached: {type(error).__name__}", status=503) from error
        except (ValueError, AssertionError, TypeError, KeyError) as error:
            raise Denied("the engine's answer is not understood", status=502) from error

    async def version(self) -> dict[str, str]:
        """Ask for the versions of the API; nothing else about the machine is handed out."""
        async with self._docker() as docker:
            found = await docker.version()
            return {key: str(found[key]) for key in ("ApiVersion", "MinAPIVersion") if key in found}

    async def containers(self) -> list[Container]:
        """List all containers."""
        try:
            return await self._lister.containers()
        except RelayError as error:
            raise Denied(error.message, status=503) from error

    async def create(self, container: str, argv: Sequence[str], user: str) -> str:
        """Make an exec without privileges, input, terminal or environment, and give its id."""
        async with self._docker() as docker:
            return (await docker.containers.container(container).exec(list(argv), user=user, tty=False)).id

    async def start(self, engine_id: str) -> Output:
        """Start an exec and give its output, which must be closed."""
        async with self._docker() as docker:
            stream = Exec(docker, engine_id, tty=False).start(detach=False)
            with anyio.fail_after(self._seconds):
                await stream.__aenter__()
            return Output(stream)

    async def inspect(self, engine_id: str) -> dict[str, Any]:
        """Ask whether an exec runs, and for its exit code."""
        async with self._docker() as docker:
            found = await Exec(docker, engine_id, tty=False).inspect()
            code = found.get("ExitCode")
            return {
                "Running": found.get("Running") is True,
                "ExitCode": code if isinstance(code, int) else None,
                "ProcessConfig": {"tty": False},
            }

    async def passwd(self, container: str) -> str:
        """Read the container's ``/etc/passwd``, as nobody.

        By a command, not by the engine's archive: that mounts all of the container's volumes once more.
        """
        kept = bytearray()
        engine_id = await self.create(container, ["cat", "/etc/passwd"], NOBODY)
        with anyio.move_on_after(self._seconds) as limit:
            async with aclosing(await self.start(engine_id)) as output:
                while (piece := await output.read()) is not None and len(kept) <= PASSWD_BYTES:
                    if piece.stream == STDOUT:
                        kept += piece.data
        if limit.cancelled_caught or not kept or len(kept) > PASSWD_BYTES:
            raise Denied("the container's /etc/passwd cannot be read; allow the user by number instead")
        return kept.decode(errors="replace")
