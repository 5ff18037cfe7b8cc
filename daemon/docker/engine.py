"""A small part of the Docker API: list the containers, run one command in one of them.

These are all the requests that are ever made, so that a gate in front of the socket can allow them and nothing else:
``GET /version`` (which API version), ``GET /containers/json?all=1``, ``POST /containers/<id>/exec`` (``User``, ``Cmd``
as a list, never ``Privileged``, no input, no terminal), ``POST /exec/<id>/start`` (upgraded to a stream) and
``GET /exec/<id>/json`` (the exit code).
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import aiodocker
import aiohttp
import anyio
from aiodocker.exceptions import DockerError

from daemon.docker.bounded import HeadAndTail
from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from aiodocker.execs import Exec

DEFAULT_HOST: Final = "unix:///var/run/docker.sock"
REQUEST_SECONDS: Final = 30.0
"""For single requests; the output of a command has its own time limit."""

EXIT_CODE_WITHIN: Final = 5.0
"""Seconds in which the engine must know the exit code once the output has ended; it lags a little behind."""

_CANNOT_CONNECT: Final = 900
"""The status that aiodocker makes up for a connection that could not be made."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the engine lists it; ``state`` is ``running``, ``exited``, ``paused`` and so on."""

    id: str
    name: str
    state: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a command in a container said; 126 and 127 are the engine's own for "cannot be started"."""

    exit_code: int
    stdout: str
    stderr: str


class Overdue(TimeoutError):
    """Raised for a command that outlived its time limit: nothing ends it from here, it goes on in the container."""

    def __init__(self, made: Exec) -> None:
        super().__init__()
        self.made = made


class Engine:
    """The engine at ``host`` (default ``DOCKER_HOST``, else the usual socket); connects when first needed.

    ``request_seconds`` is the limit for a single request. Belongs to the event loop that used it first.
    """

    def __init__(self, host: str | None = None, *, request_seconds: float = REQUEST_SECONDS) -> None:
        self._timeout = aiohttp.ClientTimeout(total=request_seconds, sock_connect=min(10.0, request_seconds))
        self.host = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        self._client: aiodocker.Docker | None = None

    async def aclose(self) -> None:
        """Close the connections; the next call opens them again."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @asynccontextmanager
    async def _docker(self, deed: str) -> AsyncIterator[aiodocker.Docker]:
        """Hand out the client, and turn its faults into ours."""
        try:
            if self._client is None:
                self._client = aiodocker.Docker(url=self.host, timeout=self._timeout)
            yield self._client
        except DockerError as error:
            raise _fault(self.host, deed, error) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(self.host, type(error).__name__) from error
        except (ValueError, AssertionError, TypeError, KeyError) as error:
            # aiodocker's ways of not understanding an address or an answer.
            raise _unreachable(self.host, str(error) or "an answer that is none of Docker's") from error

    async def containers(self) -> list[Container]:
        """List all containers, those that do not run too.

        Raises:
            Transient: ``docker.unreachable``, ``docker.failed``.
            NeedsPerson: ``docker.forbidden``.

        """
        async with self._docker("list the containers") as docker:
            # The raw answer: a state or a label that the wrapper does not know must not hide a container.
            return [_container(item._container) for item in await docker.containers.list(all=1)]

    async def exec(self, container: Container, argv: Sequence[str], *, user: str, seconds: float) -> ExecResult:
        """Run ``argv`` in the container as ``user`` (empty = the image's) and wait for its end.

        Raises:
            Overdue: it did not end within ``seconds``.
            Transient: ``docker.unreachable``, ``docker.failed``; ``docker.container_missing``, it is gone, does not
                run or is paused, and nothing was run.
            NeedsPerson: ``docker.forbidden``; ``docker.not_utf8`` for an argument that the API cannot carry.

        """
        for item in argv:
            if not _is_utf8(item):
                raise NeedsPerson(
                    "docker.not_utf8",
                    f"{shown(item)} is not UTF-8 and cannot be sent through the Docker API. It is left out.",
                    hint="Rename the file or folder (convmv helps with many).",
                )
        out, err = HeadAndTail(), HeadAndTail()
        overdue = False
        async with self._docker(f"run a command in {container.name}") as docker:
            made: Exec = await docker.containers.container(container.id).exec(list(argv), user=user, tty=False)
            with anyio.move_on_after(seconds) as limit:
                async with made.start(detach=False) as stream:
                    while (message := await stream.read_out()) is not None:
                        (err if message.stream == 2 else out).add(message.data)
            overdue = limit.cancelled_caught
            code = None if overdue else await _exit_code(made)
        if overdue:
            raise Overdue(made)
        if code is None:
            raise Transient("docker.failed", f"The engine lost sight of a command in {shown(container.name)}.")
        return ExecResult(code, out.text(), err.text())

    async def runs_on(self, overdue: Overdue) -> bool:
        """Tell whether a command that outlived its time limit is still running; one that nobody knows is not."""
        try:
            async with self._docker("look at a command"):
                return bool((await overdue.made.inspect()).get("Running"))
        except RelayError as error:
            if error.code == "docker.unreachable":
                raise
            return False


async def _exit_code(made: Exec) -> int | None:
    with anyio.move_on_after(EXIT_CODE_WITHIN):
        while True:
            found = await made.inspect()
            if not found.get("Running") and isinstance(found.get("ExitCode"), int):
                return int(found["ExitCode"])
            await anyio.sleep(0.05)
    return None


def _container(item: Mapping[str, Any]) -> Container:
    names = item.get("Names") or []
    labels = item.get("Labels")
    return Container(
        id=str(item.get("Id", "")),
        name=str(names[0]).lstrip("/") if names else str(item.get("Id", ""))[:12],
        state=str(item.get("State", "")),
        labels={str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {},
    )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _unreachable(host: str, why: str) -> Transient:
    return Transient(
        "docker.unreachable",
        f"Docker cannot be reached at {shown(host)}: {shown(why)}. It is tried again by itself.",
        hint="Is the exec gate or the Docker socket there, and may this user open it? DOCKER_HOST says where it is.",
        host=host,
    )


def _fault(host: str, deed: str, error: DockerError) -> RelayError:
    """Turn an answer of the engine that is no success into our error."""
    said = shown(str(error.message))
    if error.status == _CANNOT_CONNECT:
        return _unreachable(host, said)
    if error.status == 403:
        return NeedsPerson(
            "docker.forbidden",
            f"Docker's gate does not allow to {deed}: {said}",
            hint="The exec gate's own settings say which container, which users and which commands are allowed.",
        )
    if error.status in {404, 409}:
        return missing(f"Docker cannot {deed}: {said}.")
    return Transient("docker.failed", f"Docker could not {deed}: {said} It is tried again.", status=error.status)


def missing(what: str) -> Transient:
    """Make the error for a container that is not there, does not run or is paused."""
    return Transient(
        "docker.container_missing",
        f"{what} It is tried again by itself.",
        hint="Is Nextcloud's container running on this machine? nextcloud.occ.container is its name, its Swarm or "
        "Compose service, or label=value. In a swarm both must run on the same node.",
    )
