"""Rate, number, size and time."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from daemon.clock import Clock
from daemon.docker.engine import Container
from daemon.gate.bodies import Exec
from daemon.gate.denied import Denied
from daemon.gate.execs import Execs
from daemon.gate.limits import Bucket, Limits
from tests.gate.conftest import UPGRADE, exec_body, request
from tests.gate.engine_standin import OURS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.gate.conftest import Scene

EXEC = f"/containers/{OURS}/exec"


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(5):
        while not holds():  # noqa: ASYNC110 - the gate tells nobody but its log
            await anyio.sleep(0.01)


class Ticking(Clock):
    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time


def test_a_bucket_fills_again_but_not_over() -> None:
    clock = Ticking()
    bucket = Bucket(2.0, 3, clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.time += 0.5
    assert [bucket.take() for _ in range(2)] == [True, False]
    clock.time += 1000
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


WHERE, WHAT = Container(OURS, "nextcloud", "running"), Exec(("php", "occ", "status"), "www-data")


def test_execs_are_forgotten() -> None:
    clock, limits = Ticking(), Limits()
    execs = Execs(limits, clock)
    ours = execs.add(WHERE, WHAT)
    clock.time += limits.unstarted_seconds - 1
    assert execs.look(ours).what == "nextcloud as www-data: php occ status"
    clock.time += 2
    with pytest.raises(Denied):
        execs.take(ours)
    ours = execs.add(WHERE, WHAT)
    made = execs.take(ours)
    clock.time += 10 * limits.exec_seconds
    assert execs.look(ours) is made
    # Asked for before its output has wholly gone out.
    made.ended = True
    assert execs.look(ours) is made
    execs.left(made, ended=True)
    clock.time += limits.known_seconds - 1
    assert execs.look(ours) is made
    clock.time += 2
    with pytest.raises(Denied):
        execs.look(ours)


def test_execs_are_not_without_number() -> None:
    execs = Execs(replace(Limits(), known=3), Ticking())
    first = execs.add(WHERE, WHAT)
    execs.left(execs.take(first), ended=True)
    for _ in range(3):
        execs.add(WHERE, WHAT)
    with pytest.raises(Denied):
        execs.look(first)
    with pytest.raises(Denied) as caught:
        execs.add(WHERE, WHAT)
    assert caught.value.status == 429


def test_one_that_nobody_listens_to_counts_until_it_ends() -> None:
    clock = Ticking()
    execs = Execs(Limits(), clock)
    made = execs.take(execs.add(WHERE, WHAT))
    execs.left(made, ended=False)
    clock.time += 100_000
    execs.add(WHERE, WHAT)
    assert execs.running() == [made]
    made.ended = True
    assert execs.running() == []


class TestSlow:
    @pytest.fixture
    def limits(self) -> Limits:
        return replace(Limits(), request_seconds=0.3)

    @pytest.mark.parametrize(
        "data", [b"", b"GET /ver", request("POST", EXEC, exec_body())[:-5]], ids=["nothing", "head", "body"]
    )
    async def test_slow_clients(self, scene: Scene, data: bytes) -> None:
        began = time.monotonic()
        if data:
            assert (await scene.raw(data)).status == 408
        else:
            async with await anyio.connect_unix(scene.path) as stream:
                assert b" 408 " in await stream.receive()
        assert time.monotonic() - began < 3
        assert scene.engine.requests == []

    async def test_a_byte_at_a_time(self, scene: Scene) -> None:
        async with await anyio.connect_unix(scene.path) as stream:
            try:
                for byte in request("GET", "/version"):
                    await stream.send(bytes([byte]))
                    await anyio.sleep(0.02)
            except anyio.BrokenResourceError:
                pass
            assert b" 408 " in await stream.receive()

    async def test_a_client_that_goes(self, scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
        for data in (b"", b"GET /ver", request("GET", "/version")):
            async with await anyio.connect_unix(scene.path) as stream:
                if data:
                    await stream.send(data)
        assert (await scene.ask("GET", "/version")).status == 200
        assert not [record for record in caplog.records if record.exc_info]


class TestMany:
    @pytest.fixture
    def limits(self) -> Limits:
        return replace(Limits(), connections=3)

    async def test_many_connections(self, scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
        streams = [await anyio.connect_unix(scene.path) for _ in range(3)]
        await anyio.sleep(0.05)
        for _ in range(50):
            assert (await scene.ask("GET", "/version")).status in {429, 0}
        assert scene.engine.requests == []
        assert 0 < len(caplog.records) < 10
        for stream in streams:
            await stream.aclose()
        await anyio.sleep(0.05)
        assert (await scene.ask("GET", "/version")).status == 200


class TestRates:
    @pytest.fixture
    def limits(self) -> Limits:
        return replace(
            Limits(),
            requests_burst=8,
            requests_rate=0.1,
            creates_burst=2,
            creates_rate=0.1,
            lists_burst=2,
            lists_rate=0.1,
        )

    async def test_many_lists(self, scene: Scene) -> None:
        answers = [(await scene.ask("GET", "/containers/json?all=1")).status for _ in range(4)]
        assert answers == [200, 200, 429, 429]
        assert sum(target.endswith("/containers/json?all=1") for _, target, _ in scene.engine.requests) == 2

    async def test_many_requests_and_many_execs(self, scene: Scene) -> None:
        answers = [(await scene.create()).status for _ in range(4)]
        assert answers == [201, 201, 429, 429]
        answers = [(await scene.ask("GET", "/version")).status for _ in range(6)]
        assert answers[:4] == [200] * 4
        assert set(answers[4:]) <= {429, 0}
        assert scene.engine.asked() == []


class TestRunning:
    @pytest.fixture
    def limits(self) -> Limits:
        return replace(Limits(), running=2)

    async def test_many_at_once(self, scene: Scene) -> None:
        scene.engine.hang = scene.engine.running = True
        ids = [await scene.made() for _ in range(3)]
        streams = []
        for ours in ids[:2]:
            stream = await anyio.connect_unix(scene.path)
            streams.append(stream)
            await stream.send(request("POST", f"/exec/{ours}/start", {"Tty": False}, **UPGRADE))
            assert b" 101 " in await stream.receive()
        assert (await scene.start(ids[2])).status == 429
        for stream in streams:
            await stream.aclose()
        await until(lambda: scene.engine.gone == 2)
        # Nobody listens, but they still run in the container.
        assert (await scene.start(ids[2])).status == 429
        scene.engine.hang = scene.engine.running = False
        assert (await scene.start(ids[2])).status == 101

    async def test_those_that_ended_do_not_count(self, scene: Scene) -> None:
        for _ in range(5):
            assert (await scene.start(await scene.made())).status == 101


class TestOutput:
    @pytest.fixture
    def limits(self) -> Limits:
        return replace(Limits(), output_bytes=1_000_000, output_rate=4_000_000, write_seconds=0.3, exec_seconds=1.0)

    async def test_too_much(self, scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
        scene.engine.flood = 1000
        said = await scene.start(await scene.made())
        assert said.status == 101
        assert 900_000 < len(said.body) < 1_010_000
        assert "more output than 1000000 bytes" in caplog.text

    async def test_too_fast(self, scene: Scene) -> None:
        scene.engine.flood = 30
        began = time.monotonic()
        said = await scene.start(await scene.made())
        assert len(said.body) > 30 * 32768
        assert time.monotonic() - began > 0.2

    async def test_too_long(self, scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
        scene.engine.hang = True
        began = time.monotonic()
        assert (await scene.start(await scene.made())).status == 101
        assert 0.9 < time.monotonic() - began < 5
        assert "longer than 1 s" in caplog.text

    async def test_a_reader_that_does_not_read(self, scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
        scene.engine.flood = 30
        ours = await scene.made()
        async with await anyio.connect_unix(scene.path) as stream:
            await stream.send(request("POST", f"/exec/{ours}/start", {"Tty": False}, **UPGRADE))
            await until(lambda: "too slowly" in caplog.text)

    async def test_input_is_refused(self, scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
        scene.engine.hang = True
        ours = await scene.made()
        async with await anyio.connect_unix(scene.path) as stream:
            await stream.send(request("POST", f"/exec/{ours}/start", {"Tty": False}, **UPGRADE))
            assert b" 101 " in await stream.receive()
            await stream.send(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: "has no input" in caplog.text)


async def test_an_engine_that_is_not_there(tmp_path: Path, scene: Scene) -> None:
    (tmp_path / "engine.sock").unlink()
    assert (await scene.ask("GET", "/_ping")).status == 503
    assert (await scene.ask("GET", "/containers/json?all=1")).status == 503
    assert (await scene.create()).status == 503
