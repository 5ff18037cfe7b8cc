"""PhotoPrism, ntfy, exiftool and the running daemon: real HTTP and a real control socket."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from aiohttp import web

from daemon.checks import machine, ntfy
from daemon.checks.check import Check, Level
from daemon.checks.prism import photoprism
from daemon.control import ControlServer
from daemon.photoprism.client import PhotoPrism
from tests.standins.photoprism import PhotoPrismStandIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.checks.conftest import House

TOKEN = "AAAAAA-BBBBBB-CCCCCC-DDDDDD"


@pytest.fixture
async def standin(house: House) -> AsyncIterator[PhotoPrismStandIn]:
    async with PhotoPrismStandIn(house.imports, house.originals, token=TOKEN) as standin:
        yield standin


async def probe(house: House, standin: PhotoPrismStandIn, token: str = TOKEN) -> list[Check]:
    prism = PhotoPrism(standin.url, token, timeout=5.0)
    try:
        return await photoprism(house.settings(photoprism={"url": standin.url, "token": token}), prism)
    finally:
        await prism.close()


async def test_photoprism_is_well_and_imports_nothing(house: House, standin: PhotoPrismStandIn) -> None:
    (house.imports / "waiting").mkdir()
    (house.imports / "waiting/x.jpg").write_bytes(b"x")
    [found] = await probe(house, standin)
    assert (found.name, found.level) == ("PhotoPrism", Level.OK)
    assert "look files up and import" in found.message
    assert (house.imports / "waiting/x.jpg").exists()
    assert standin.rows == []


@pytest.mark.parametrize(
    ("traps", "code"),
    [
        ({"readonly": True}, "photoprism.forbidden"),
        ({"import_disabled": True}, "photoprism.forbidden"),
        ({"outage": "503"}, ""),
        ({"outage": "html"}, "photoprism.odd_answer"),
    ],
)
async def test_what_is_wrong_at_photoprism(
    house: House, standin: PhotoPrismStandIn, traps: dict[str, Any], code: str
) -> None:
    standin.traps.set(traps)
    found = await probe(house, standin)
    assert found
    assert {check.level for check in found} == {Level.FAILED}
    assert code in found[0].code
    assert all(check.code.startswith("photoprism.") for check in found)


async def test_tokens(house: House, standin: PhotoPrismStandIn) -> None:
    standin.add_token("WRONG-SCOPE", scope="photos")
    standin.add_token("NO-USER", scope="files photos", user=False)
    for token in ("UNKNOWN", "WRONG-SCOPE", "NO-USER"):
        found = await probe(house, standin, token)
        assert Level.FAILED in {check.level for check in found}, token
        assert all(token not in check.message + check.hint for check in found)


@pytest.mark.parametrize(
    ("scope", "ends_in", "warned"),
    [
        ("files photos sessions", 29 * 86400, True),
        ("files photos sessions", 60, True),
        ("files photos sessions", 31 * 86400, False),
        ("*", -1, False),
        ("*", 0, False),
        ("files photos", 60, False),  # it may not ask
    ],
)
async def test_an_app_password_that_ends(
    house: House, standin: PhotoPrismStandIn, scope: str, ends_in: int, warned: bool
) -> None:
    standin.add_token("ending", scope=scope, ends_in=ends_in)
    first, *more = await probe(house, standin, "ending")
    assert first.level is Level.OK
    assert ("photoprism auth ls" in first.message) == (scope == "files photos")
    assert [(check.level, check.code) for check in more] == [(Level.WARNING, "photoprism.token_ends")] * warned


async def test_photoprism_is_gone(house: House, standin: PhotoPrismStandIn) -> None:
    await standin.refuse()
    [found] = await probe(house, standin)
    assert (found.level, found.code) == (Level.FAILED, "photoprism.unreachable")
    assert "photoprism.url" in found.hint


async def test_photoprism_is_not_started_anew(house: House) -> None:
    [found] = await photoprism(house.settings(), None)
    assert (found.level, found.code) == (Level.WARNING, "config.restart")


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/v1/health", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def ask_ntfy(house: House, url: str, topic: str = "photos") -> Check:
    settings = house.settings(notify={"ntfy": {"url": url, "topic": topic, "token": "tk_secret"}})
    [found] = await ntfy.ntfy(settings)
    return found


async def test_ntfy_is_well(house: House) -> None:
    asked: list[web.Request] = []

    async def healthy(request: web.Request) -> web.Response:
        asked.append(request)
        return web.json_response({"healthy": True})

    async with serving(healthy) as url:
        assert (await ask_ntfy(house, url)).level is Level.OK
        assert (await ask_ntfy(house, url, topic="")).code == "ntfy.no_topic"
    # Health needs no token, so none goes there.
    assert [request.headers.get("Authorization") for request in asked] == [None]


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, '{"healthy": false}'), (200, "<html>"), (200, "[1]"), (404, "{}"), (500, '{"healthy": true}'), (200, "")],
)
async def test_ntfy_is_not_well(house: House, status: int, body: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    async with serving(answer) as url:
        found = await ask_ntfy(house, url)
    assert (found.level, found.code) == (Level.FAILED, "ntfy.odd_answer")
    assert str(status) in found.message
    assert "notify.ntfy.url" in found.hint


async def test_ntfy_elsewhere_is_not_followed(house: House) -> None:
    async def away(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:9/")

    async with serving(away) as url:
        assert (await ask_ntfy(house, url)).code == "ntfy.odd_answer"


async def test_ntfy_hangs_or_is_gone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: web.Request) -> web.Response:
        await anyio.sleep(30)
        return web.Response()

    monkeypatch.setattr(ntfy, "WITHIN", 0.2)
    async with serving(hang) as url:
        found = await ask_ntfy(house, url)
        assert (found.level, found.code) == (Level.FAILED, "ntfy.unreachable")
        assert "within" in found.message
    found = await ask_ntfy(house, url)
    assert (found.level, found.code) == (Level.FAILED, "ntfy.unreachable")


async def test_ntfy_off(house: House) -> None:
    [found] = await ntfy.ntfy(house.settings())
    assert (found.level, found.message[:3]) == (Level.OK, "off")


def test_exiftool(house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    assert machine.exiftool(house.settings()) == []
    settings = house.settings(archive={"via": "folder"})
    monkeypatch.setenv("PATH", str(tmp_path))
    [found] = machine.exiftool(settings)
    assert (found.level, found.code) == (Level.WARNING, "exiftool.missing")
    (tmp_path / "exiftool").touch(mode=0o755)
    [found] = machine.exiftool(settings)
    assert (found.level, str(tmp_path) in found.message) == (Level.OK, True)


@asynccontextmanager
async def running(
    house: House, answer: Callable[[dict[str, Any], object], Awaitable[dict[str, Any]]]
) -> AsyncIterator[None]:
    """A control socket over the house's state folder, once it takes connections."""
    state = house.root / "state"
    async with anyio.create_task_group() as group:
        group.start_soon(ControlServer(str(state), answer).serve)
        with anyio.fail_after(10):
            while True:
                try:
                    async with await anyio.connect_unix(state / "control.sock") as connection:
                        await connection.send(b'{"do": "health"}\n')
                    break
                except OSError:  # bound, perhaps, and not listening yet
                    await anyio.sleep(0.01)
        yield
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("end", "level", "words"),
    [
        ({"ok": True, "stopped": [], "version": "1.2"}, Level.OK, "running, version 1.2"),
        ({"ok": False, "stopped": ["watch"]}, Level.WARNING, "watch"),
        (None, Level.WARNING, "down"),
    ],
)
async def test_a_daemon_that_runs(house: House, end: object, level: Level, words: str) -> None:
    async def answer(request: dict[str, Any], _: object) -> dict[str, Any]:
        assert request == {"do": "health"}
        return {"end": end, "exit": 0}

    async with running(house, answer):
        [found] = await machine.daemon(house.settings())
    assert (found.level, words in found.message) == (level, True)


@pytest.mark.parametrize(
    ("hidden", "trusted", "codes"),
    [
        ("172.18.0.1", [], ["ui.callers_hidden"]),
        ("172.18.0.1", ["172.18.0.1"], []),  # a proxy, which names who calls
        ("172.18.0.1", ["172.18.0.0/16"], ["ui.callers_hidden"]),
        ("", [], []),
    ],
)
async def test_callers_whom_docker_hides(house: House, hidden: str, trusted: list[str], codes: list[str]) -> None:
    async def answer(_: dict[str, Any], __: object) -> dict[str, Any]:
        return {"end": {"ok": True, "stopped": [], "version": "1.2", "hidden_callers": hidden}, "exit": 0}

    async with running(house, answer):
        first, *more = await machine.daemon(house.settings(ui={"trusted_proxies": trusted}))
    assert first.level is Level.OK
    assert [check.code for check in more] == codes


async def test_a_daemon_that_hangs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "WITHIN", 0.2)

    async def answer(_: dict[str, Any], __: object) -> dict[str, Any]:
        await anyio.sleep(30)
        return {}

    async with running(house, answer):
        [found] = await machine.daemon(house.settings())
    assert (found.level, found.code) == (Level.FAILED, "control.silent")


async def test_no_daemon(house: House) -> None:
    [found] = await machine.daemon(house.settings())
    assert (found.level, "none is running" in found.message) == (Level.OK, True)
    (house.root / "state").rmdir()
    assert [check.level for check in await machine.daemon(house.settings())] == [Level.OK]
