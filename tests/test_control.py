# ruff: noqa: ASYNC110 - what is waited for is in another task
from __future__ import annotations

import json
import os
import stat
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.control import ControlServer, ask
from daemon.errors import NeedsPerson, RelayError, Transient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path


async def echo(request: dict[str, Any], say: Callable[[str], Awaitable[None]]) -> dict[str, Any]:
    for number in range(int(request.get("lines", 0))):
        await say(f"line {number}")
    if request.get("fault") == "ours":
        raise NeedsPerson("some.fault", "a person must look", hint="look")
    if request.get("fault") == "the program's":
        raise RuntimeError("a fault")
    return {"end": {"request": request}, "exit": 0}


@asynccontextmanager
async def serving(state: Path, answer: Any = echo) -> AsyncIterator[None]:
    async with anyio.create_task_group() as group:
        group.start_soon(ControlServer(str(state), answer).serve)
        with anyio.fail_after(5):
            while await ask(str(state), {}, print, within=5) is None:
                await anyio.sleep(0.01)
        yield
        group.cancel_scope.cancel()


async def test_a_request_is_answered_line_by_line_to_its_end(tmp_path: Path) -> None:
    said: list[str] = []
    async with serving(tmp_path):
        end = await ask(str(tmp_path), {"do": "it", "lines": 3}, said.append, within=5)
    assert said == ["line 0", "line 1", "line 2"]
    assert end == {"end": {"request": {"do": "it", "lines": 3}}, "exit": 0}


async def test_nobody_listens(tmp_path: Path) -> None:
    assert await ask(str(tmp_path / "none"), {}, print) is None
    assert await ask(str(tmp_path), {}, print) is None
    async with serving(tmp_path):
        pass
    assert (tmp_path / "control.sock").exists()
    assert await ask(str(tmp_path), {}, print) is None, "a socket that a killed daemon left is nobody"
    async with serving(tmp_path):
        assert await ask(str(tmp_path), {}, print, within=5) is not None


async def test_only_its_owner_may_connect(tmp_path: Path) -> None:
    async with serving(tmp_path):
        assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600


async def test_the_path_of_the_state_folder_may_be_longer_than_a_sockets(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    async with serving(deep):
        assert await ask(str(deep), {}, print, within=5) is not None


async def test_an_error_of_ours_is_told_with_its_code(tmp_path: Path) -> None:
    async with serving(tmp_path):
        end = await ask(str(tmp_path), {"fault": "ours"}, print, within=5)
    assert end == {"end": {"code": "some.fault", "message": "a person must look", "hint": "look"}, "exit": 1}


async def test_a_fault_of_the_program_in_one_request_ends_that_request_alone(tmp_path: Path) -> None:
    async with serving(tmp_path):
        end = await ask(str(tmp_path), {"fault": "the program's"}, print, within=5)
        assert end is not None
        assert end["exit"] == 1
        assert end["end"]["code"] == "task.crashed"
        assert await ask(str(tmp_path), {}, print, within=5) is not None, "it goes on listening"


@pytest.mark.parametrize("sent", [b"no JSON\n", b"[1, 2]\n", b"", b"x" * 2_000_000, b'"words"\n', b"\xff\xfe\n"])
async def test_odd_requests_do_no_harm(tmp_path: Path, sent: bytes) -> None:
    async with serving(tmp_path):
        stream = await anyio.connect_unix(f"{tmp_path}/control.sock")
        async with stream:
            with anyio.move_on_after(2):
                try:
                    await stream.send(sent)
                    await stream.send_eof()
                    while True:
                        await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    pass
        assert await ask(str(tmp_path), {}, print, within=5) is not None


async def test_who_asks_may_go_away_and_the_work_goes_on(tmp_path: Path) -> None:
    began, done = anyio.Event(), anyio.Event()

    async def long(request: dict[str, Any], say: Callable[[str], Awaitable[None]]) -> dict[str, Any]:
        if request.get("do") == "long":
            began.set()
            await anyio.sleep(0.2)
            for _ in range(3):
                await say("half way")
                await anyio.sleep(0.02)
            done.set()
        return {"end": {}, "exit": 0}

    async with serving(tmp_path, long):
        stream = await anyio.connect_unix(f"{tmp_path}/control.sock")
        await stream.send(json.dumps({"do": "long"}).encode() + b"\n")
        await began.wait()
        await stream.aclose()
        with anyio.fail_after(5):
            await done.wait()
        assert await ask(str(tmp_path), {}, print, within=5) is not None


async def test_a_daemon_that_does_not_answer_in_time(tmp_path: Path) -> None:
    async def never(request: dict[str, Any], say: Any) -> dict[str, Any]:
        if request:
            await anyio.sleep_forever()
        return {"end": {}, "exit": 0}

    async with serving(tmp_path, never):
        with pytest.raises(Transient) as caught:
            await ask(str(tmp_path), {"do": "it"}, print, within=0.1)
    assert caught.value.code == "control.silent"


async def test_a_daemon_that_goes_away_in_the_middle(tmp_path: Path) -> None:
    async def rude(stream: anyio.abc.SocketStream) -> None:
        # Closed with the request unread: the kernel answers with a reset.
        await stream.aclose()

    folder = os.open(tmp_path, os.O_RDONLY)
    listener = await anyio.create_unix_listener(f"{tmp_path}/control.sock")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, rude)
        for _ in range(5):
            with pytest.raises(RelayError) as caught:
                await ask(str(tmp_path), {"do": "it"}, print, within=5)
            assert caught.value.code == "control.silent"
        group.cancel_scope.cancel()
    os.close(folder)
