"""A gate on a real socket, before a stand-in engine or a real one."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import pytest_asyncio

from daemon.clock import Clock
from daemon.gate.door import open_door
from daemon.gate.limits import Limits
from daemon.gate.rules import Rules
from daemon.gate.server import Gate
from daemon.gate.upstream import Upstream
from tests.docker.conftest import api, engine, images, start
from tests.gate.engine_standin import OURS, StandinEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = ["api", "engine", "images", "start"]

RULES = Rules("nextcloud", users=("www-data", "33", "33:33"))


@asynccontextmanager
async def gate_before(
    engine_host: str, listen: Path, rules: Rules = RULES, limits: Limits | None = None
) -> AsyncIterator[None]:
    """Run a gate on the socket ``listen``, in a task of its own: a fixture begins and ends in different tasks."""
    open_, stop = asyncio.Event(), asyncio.Event()

    async def run(limits: Limits) -> None:
        async with aclosing(Upstream(engine_host, seconds=limits.engine_seconds)) as upstream:
            gate = Gate(rules, upstream, limits=limits, clock=Clock())
            async with await open_door(listen, gid=None) as listener, anyio.create_task_group() as tasks:
                tasks.start_soon(gate.serve, listener)
                open_.set()
                await stop.wait()
                tasks.cancel_scope.cancel()

    task = asyncio.create_task(run(limits or Limits()))
    await open_.wait()
    try:
        yield
    finally:
        stop.set()
        await task


@dataclass
class Said:
    """An answer as it came."""

    status: int
    head: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Scene:
    """A stand-in engine, a gate before it, and a client that sends whatever it likes."""

    engine: StandinEngine
    path: Path

    async def raw(self, data: bytes, *, eof: bool = False) -> Said:
        """Send bytes, and give the answer."""
        async with await anyio.connect_unix(self.path) as stream:
            try:
                await stream.send(data)
                if eof:
                    await stream.send_eof()
            except anyio.BrokenResourceError:
                pass
            got = b""
            try:
                while True:
                    got += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass
        head, _, body = got.partition(b"\r\n\r\n")
        text = head.decode()
        return Said(int(text.split(" ")[1]) if text else 0, text, body)

    async def ask(self, method: str, target: str, body: Any = None, **fields: str) -> Said:
        return await self.raw(request(method, target, body, **fields))

    async def create(self, of: str = OURS, **changed: Any) -> Said:
        return await self.ask("POST", f"/v1.41/containers/{of}/exec", exec_body(of=of, **changed))

    async def made(self, **changed: Any) -> str:
        said = await self.create(**changed)
        assert said.status == 201, said
        return str(said.json["Id"])

    async def start(self, ours: str) -> Said:
        return await self.ask("POST", f"/exec/{ours}/start", {"Detach": False, "Tty": False}, **UPGRADE)


UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
STATUS = ["php", "occ", "status", "--output=json"]


def exec_body(*, of: str = OURS, drop: tuple[str, ...] = (), **changed: Any) -> dict[str, Any]:
    """Give what aiodocker sends."""
    body = {
        "Container": of, "Privileged": False, "Tty": False, "AttachStdin": False, "AttachStdout": True,
        "AttachStderr": True, "Cmd": STATUS, "Env": None, "WorkingDir": "", "detachKeys": "", "User": "www-data",
    }  # fmt: skip
    return {key: value for key, value in (body | changed).items() if key not in drop}


def request(method: str, target: str, body: Any = None, **fields: str) -> bytes:
    """Give a request; ``body`` is bytes, or made JSON."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    said = {"Host": "docker"}
    if body is not None:
        said |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
    said |= {name.replace("_", "-"): value for name, value in fields.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + data


@pytest.fixture
def limits() -> Limits:
    """Give the limits in force; a test may set others."""
    return Limits()


@pytest.fixture
def rules() -> Rules:
    """Give the rules in force; a test may set others."""
    return RULES


@pytest_asyncio.fixture(loop_scope="function")
async def scene(tmp_path: Path, limits: Limits, rules: Rules) -> AsyncIterator[Scene]:
    """Give a gate before a stand-in engine."""
    standin = StandinEngine()
    server = await standin.serve(tmp_path / "engine.sock")
    try:
        async with gate_before(f"unix://{tmp_path}/engine.sock", tmp_path / "gate.sock", rules, limits):
            yield Scene(standin, tmp_path / "gate.sock")
    finally:
        server.close()
