"""One page shows the relays of other machines: each asked for its summary, none believed more than it must be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from daemon.clock import Clock
from daemon.current import Current
from daemon.service import others
from daemon.service.others import Others
from daemon.settings import Settings
from tests.ui.house import House

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "prt_of-the-other-relay-123456"


async def test_the_page_of_one_relay_shows_another(house: House, tmp_path: Path) -> None:
    # A token that may read, made on the other relay, as one would.
    status, made = await house.ask("POST", "/tokens", json={"name": "the page downstairs", "scope": "read"})
    assert status in {200, 201}, made
    here = House(tmp_path / "downstairs")
    names = [{"name": "attic", "url": house.url, "token": made["token"]}, {"name": "gone", "url": "http://127.0.0.1:9"}]
    here.configure(ui={"others": names})
    async with here.open() as front:
        assert (await front.get("/status"))["page"]["others"] == 2
        [attic, gone] = (await front.get("/others"))["others"]
        assert (attic["name"], attic["trouble"]) == ("attic", "")
        assert attic["summary"]["state"] in {"ok", "warning"}
        assert attic["summary"]["version"] == (await house.get("/summary"))["version"]
        assert (gone["summary"], gone["trouble"]) == (None, "cannot be reached")
        shown = json.dumps(await front.get("/config"))
        assert made["token"] not in shown
        # Whoever sits at the page cannot have tokens sent elsewhere.
        changes = {"ui": {"others": [{**names[0], "url": "http://evil.example"}]}}
        status, refused = await front.ask("PATCH", "/config", json=changes)
        assert (status, refused["error"]["code"]) == (403, "config.by_hand")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html>", "no summary"),
        (200, b"[1, 2]", "no summary"),
        (200, b'{"issues": "many"}', "no summary"),
        (200, b"[" * 40_000, "no summary"),
        (200, b'{"state": "' + b"x" * (others.LARGEST + 1) + b'"}', "no summary"),
        (401, b"{}", "wants an API token"),
        (302, b"", "answered with status 302"),
        (500, b"", "answered with status 500"),
    ],
)
async def test_what_is_no_relay(status: int, body: bytes, words: str) -> None:
    asked: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Authorization"))
        return web.Response(status=status, body=body, headers={"Location": "/elsewhere"} if status == 302 else None)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        [told] = await _list(f"http://127.0.0.1:{port}")
    finally:
        await runner.cleanup()
    assert told["summary"] is None
    assert words in told["trouble"]
    assert asked == [f"Bearer {TOKEN}"]
    assert TOKEN not in str(told)


async def test_names_that_another_machine_gives_are_shown_safely_and_asked_for_once() -> None:
    given: dict[str, Any] = {"state": "ok", "first_issue": "a\x1b[31m\nb", "done_today": 3, "token": "x", "issues": 1}
    asked = 0

    async def answer(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.json_response(given)

    app = web.Application()
    app.router.add_get("/api/v1/summary", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        room = _room(f"http://127.0.0.1:{runner.addresses[0][1]}/")
        [told] = await room.list()
        assert await room.list() == [told]
    finally:
        await runner.cleanup()
    assert asked == 1
    assert told["summary"]["done_today"] == 3
    assert "token" not in told["summary"]
    assert "\x1b" not in told["summary"]["first_issue"]
    assert "\n" not in told["summary"]["first_issue"]


def _room(url: str) -> Others:
    one = {"name": "attic", "url": url, "token": TOKEN}
    return Others(Current(Settings.model_validate({"ui": {"others": [one]}})), Clock())


async def _list(url: str) -> list[dict[str, Any]]:
    return await _room(url).list()
