"""Log-in, log-out, sessions and their ends, each as a real request."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from cryptography.fernet import Fernet

from daemon.service.doors import ABSOLUTE, IDLE
from tests.ui.doors.world import HASH, HOME, LAN, PASSWORD, Caller
from ui.keys import ROTATE
from ui.passwords import hash_password

if TYPE_CHECKING:
    from tests.ui.doors.conftest import Make

WITH: dict[str, Any] = {**LAN, "password_hash": HASH}


async def test_nothing_without_a_log_in_but_the_page_and_the_log_in(page: Make) -> None:
    world = await page(**WITH)
    stranger = world.caller(HOME)
    await stranger.greet()
    for method, path in (
        ("GET", "/api/v1/status"),
        ("GET", "/metrics"),
        ("GET", "/api/v1/live"),
        ("POST", "/api/v1/pause"),
        ("PUT", "/api/v1/config"),
        ("GET", "/api/v1/sessions"),
        ("GET", "/api/v1/tokens"),
        ("PUT", "/api/v1/password"),
        ("DELETE", "/api/v1/sessions"),
    ):
        found = await stranger.ask(method, path)
        assert (found.status, found.code) == (401, "session.needed"), path
    for path in ("/", "/static/app.js", "/api/v1/session"):
        assert (await stranger.get(path)).status == 200
    assert world.seen == ["GET /", "GET /static/app.js"]
    assert (await world.caller().get("/healthz")).status == 200


async def test_log_in_and_out(page: Make) -> None:
    world = await page(**WITH)
    caller = world.caller(HOME)
    before = (await caller.greet()).json
    assert not before["authenticated"]
    assert (before["scope"], before["protection"], before["password_set"]) == ("none", "password", True)
    found = await caller.log_in()
    assert found.status == 200
    assert found.json["authenticated"]
    assert (await caller.get("/api/v1/status")).json == {
        "kind": "session",
        "scope": "admin",
        "address": HOME,
        "body": 0,
    }
    assert (await caller.ask("POST", "/api/v1/pause")).status == 200
    assert (await caller.ask("DELETE", "/api/v1/session")).status == 200
    assert (await caller.get("/api/v1/status")).status == 401
    assert [line["deed"] for line in world.ledger.audit.lines()] == ["logout", "login"]


async def test_a_replayed_cookie_is_worth_nothing_after_the_log_out(page: Make) -> None:
    world = await page(**WITH)
    caller = world.caller(HOME)
    await caller.log_in()
    stolen = dict(caller.cookies)
    await caller.ask("DELETE", "/api/v1/session")
    thief = world.caller("10.0.0.66")
    thief.cookies = stolen
    assert (await thief.get("/api/v1/status")).status == 401


async def test_a_log_in_has_a_new_id_whatever_the_cookie_was_before(page: Make) -> None:
    world = await page(**WITH)
    caller = world.caller(HOME)
    await caller.greet()
    planted = dict(caller.cookies)
    await caller.log_in()
    first = dict(caller.cookies)
    assert first != planted
    victim = world.caller(HOME)
    victim.cookies = planted
    assert (await victim.get("/api/v1/status")).status == 401
    assert (await caller.log_in()).status == 200
    assert (await caller.get("/api/v1/status")).status == 200
    again = world.caller(HOME)
    again.cookies = first
    assert (await again.get("/api/v1/status")).status == 401, "the session before ends with the new log-in"


async def test_nobody_can_make_a_cookie(page: Make) -> None:
    world = await page(**WITH)
    caller = world.caller(HOME)
    await caller.log_in()
    [(name, good)] = caller.cookies.items()
    for bad in ("", "x", good[:-4] + "AAAA", good[:20], "A" * 5000, "%00", '{"id": 1}'):
        other = world.caller(HOME)
        other.cookies = {name: bad}
        assert (await other.get("/api/v1/status")).status == 401


async def test_a_session_ends_when_nobody_uses_it_and_for_all_in_the_end(page: Make) -> None:
    world = await page(**WITH)
    caller = world.caller(HOME)
    await caller.log_in()
    world.clock.ahead = IDLE - 60
    assert (await caller.get("/api/v1/status")).status == 200
    world.clock.ahead += IDLE + 60
    assert (await caller.get("/api/v1/status")).status == 401
    await caller.log_in()
    began = world.clock.ahead
    while world.clock.ahead < began + ABSOLUTE - 86400:
        assert (await caller.get("/api/v1/status")).status == 200
        world.clock.ahead += 86400 * 3
    world.clock.ahead = began + ABSOLUTE + 1
    assert (await caller.get("/api/v1/status")).status == 401


async def test_a_session_survives_a_restart(page: Make) -> None:
    world = await page(**WITH)
    caller = world.caller(HOME)
    await caller.log_in()
    world.restarted()
    world.doors._keys = None
    assert (await caller.get("/api/v1/status")).status == 200


async def test_old_keys_open_what_they_sealed_and_new_ones_seal(page: Make) -> None:
    world = await page(**WITH)
    await world.caller(HOME).greet()
    keys = world.state / "keys.json"
    assert keys.stat().st_mode & 0o777 == 0o600
    [old] = re.findall(r'"key": "(.*?)"', keys.read_text())
    world.clock.ahead = ROTATE - 3600
    caller = world.caller(HOME)
    await caller.log_in()
    [(_, cookie)] = caller.cookies.items()
    assert Fernet(old).decrypt_at_time(_padded(cookie), 60, int(world.clock.wall()))
    world.clock.ahead += 2 * 3600
    await world.doors.open()
    assert (await caller.get("/api/v1/status")).status == 200
    [new, still] = re.findall(r'"key": "(.*?)"', keys.read_text())
    assert still == old
    assert keys.stat().st_mode & 0o777 == 0o600
    await caller.log_in()
    [(_, cookie)] = caller.cookies.items()
    assert Fernet(new).decrypt_at_time(_padded(cookie), 60, int(world.clock.wall()))


def _padded(cookie: str) -> bytes:
    return cookie.encode() + b"=" * (-len(cookie) % 4)


async def test_a_changed_password_ends_all_sessions(page: Make) -> None:
    world = await page(**WITH)
    one, two = world.caller(HOME), world.caller("192.168.1.51")
    await one.log_in()
    await two.log_in()
    world.set(**{**WITH, "password_hash": hash_password("another one altogether")})
    for caller in (one, two):
        assert (await caller.get("/api/v1/status")).status == 401
    world.set(**WITH)
    assert (await one.get("/api/v1/status")).status == 401, "what has ended stays so"


async def test_a_password_changed_while_the_daemon_stood_still_ends_them_too(page: Make) -> None:
    world = await page(**WITH)
    caller = world.caller(HOME)
    await caller.log_in()
    world.set(**{**WITH, "password_hash": hash_password("another one altogether")})
    world.restarted()
    assert (await caller.get("/api/v1/status")).status == 401


async def test_a_removed_password_ends_them_too(page: Make) -> None:
    world = await page(**WITH)
    caller = world.caller(HOME)
    await caller.log_in()
    world.set(**LAN)
    found = await caller.get("/api/v1/status")
    assert found.json["kind"] == "nobody"
    world.set(**WITH)
    assert (await caller.get("/api/v1/status")).status == 401


async def test_the_list_of_sessions_and_their_end(page: Make) -> None:
    world = await page(**WITH)
    here, there = world.caller(HOME, **{"User-Agent": "Firefox \u202e"}), world.caller("192.168.1.51")
    await here.log_in()
    await there.log_in()
    found = (await here.get("/api/v1/sessions")).json["sessions"]
    assert {one["address"]: one["current"] for one in found} == {HOME: True, "192.168.1.51": False}
    [other] = [one["id"] for one in found if not one["current"]]
    assert (await here.ask("DELETE", f"/api/v1/sessions/{other}")).status == 200
    assert (await there.get("/api/v1/status")).status == 401
    assert (await here.get("/api/v1/status")).status == 200
    assert (await here.ask("DELETE", f"/api/v1/sessions/{other}")).status == 404
    assert (await here.ask("DELETE", "/api/v1/sessions")).status == 200
    assert (await here.get("/api/v1/status")).status == 401


async def live(caller: Caller) -> aiohttp.ClientWebSocketResponse:
    session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
    caller.world.sockets.push_async_callback(session.close)
    cookie = "; ".join(f"{name}={value}" for name, value in caller.cookies.items())
    headers = {"X-Forwarded-For": caller.address, "Cookie": cookie, **caller.headers}
    socket = await session.ws_connect(f"{caller.world.url}/api/v1/live", headers=headers)
    assert await socket.receive_str() == "hello"
    return socket


async def test_log_out_everywhere_and_a_new_password_close_websockets_at_once(page: Make) -> None:
    world = await page(**WITH)
    for end in ("log out", "everywhere", "password"):
        caller = world.caller(HOME)
        await caller.log_in()
        socket = await live(caller)
        match end:
            case "log out":
                await caller.ask("DELETE", "/api/v1/session")
            case "everywhere":
                await caller.ask("DELETE", "/api/v1/sessions")
            case _:
                body = {"password": "another one altogether", "current": PASSWORD}
                assert (await caller.ask("PUT", "/api/v1/password", body)).status == 200
        async with asyncio.timeout(2):
            assert (await socket.receive()).data == 4401, end


async def test_who_asks_nothing_is_shut_out_all_the_same(page: Make) -> None:
    """The loop notices what no request does: a password changed by hand, an address taken off the list."""
    world = await page(**WITH)
    watch = asyncio.create_task(world.doors.run())
    try:
        caller = world.caller(HOME)
        await caller.log_in()
        for change, code in (
            ({"password_hash": hash_password("another one altogether")}, 4401),
            ({"allow": ["10.0.0.0/8"]}, 4403),
        ):
            socket = await live(caller)
            world.set(**{**WITH, **change})
            async with asyncio.timeout(4):
                assert (await socket.receive()).data == code
            world.set(**WITH)
            await caller.log_in()
    finally:
        watch.cancel()


async def test_the_new_password_counts_at_once_and_the_caller_stays(page: Make) -> None:
    world = await page(**WITH)
    caller, other = world.caller(HOME), world.caller("192.168.1.51")
    await caller.log_in()
    await other.log_in()
    cookies = dict(caller.cookies)
    found = await caller.ask("PUT", "/api/v1/password", {"password": "a brand new one", "current": PASSWORD})
    assert found.status == 200
    caller.csrf = found.json["csrf"]
    assert caller.cookies != cookies
    assert (await caller.get("/api/v1/status")).status == 200
    assert (await other.get("/api/v1/status")).status == 401
    [(phc, who)] = world.config.written
    assert phc.startswith("$argon2id$")
    assert who == f"page {HOME}"
    assert (await other.log_in()).status == 401
    world.set(**{**WITH, "password_hash": phc})  # the file has been read again
    assert (await caller.get("/api/v1/status")).status == 200
    assert (await other.log_in("a brand new one")).status == 200


async def test_the_password_now_is_needed_for_a_new_one(page: Make) -> None:
    world = await page(**WITH)
    caller = world.caller(HOME)
    await caller.log_in()
    for current in ("", "wrong", PASSWORD + " "):
        found = await caller.ask("PUT", "/api/v1/password", {"password": "a brand new one", "current": current})
        assert found.status == 401
    assert not world.config.written


@pytest.mark.parametrize("password", ["sh0rt", "aaaaaaaaaaaa", "password123", "x" * 1025, "ä" * 513])
async def test_bad_passwords_are_not_taken(page: Make, password: str) -> None:
    world = await page()
    caller = world.caller()
    await caller.greet()
    found = await caller.ask("PUT", "/api/v1/password", {"password": password})
    assert found.status == 422
    assert password not in found.text
    assert not world.config.written


async def test_while_parts_are_built_nobody_is_let_in_by_mistake(page: Make) -> None:
    world = await page(**WITH)
    world.up = False
    caller = world.caller(HOME)
    for path in ("/api/v1/status", "/api/v1/session", "/metrics"):
        found = await caller.get(path)
        assert (found.status, found.code) == (503, "daemon.starting")
        assert found.headers["Retry-After"]
    assert (await caller.get("/static/app.js")).status == 200
    assert not [one for one in world.seen if "api" in one]


async def test_secrets_are_told_nobody(page: Make, caplog: pytest.LogCaptureFixture) -> None:
    world = await page(**WITH)
    caller = world.caller(HOME)
    found = await caller.log_in()
    answers = [found, await caller.log_in("a wrong password"), await caller.get("/api/v1/sessions")]
    token = (await caller.ask("POST", "/api/v1/tokens", {"name": "x", "scope": "read"})).json["token"]
    answers += [await caller.get("/api/v1/tokens"), await caller.get("/api/v1/session")]
    told = caplog.text + "".join(answer.text for answer in answers) + str(world.ledger.audit.lines())
    content = b"".join(path.read_bytes() for path in world.state.glob("ledger.db*"))
    identity = next(iter(caller.cookies.values()))
    for secret in (PASSWORD, "a wrong password", HASH, token, identity):
        assert secret not in told
        assert secret.encode() not in content
