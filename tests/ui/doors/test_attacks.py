"""Attacks, each a real request against real doors; every one fails where its protection is switched off."""

from __future__ import annotations

import asyncio
import io
import re
import resource
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.ui.doors.world import HASH, HOME, LAN, PASSWORD, World

if TYPE_CHECKING:
    from tests.ui.doors.conftest import Make

WITH: dict[str, Any] = {**LAN, "password_hash": HASH}
PATHS = ("/", "/static/app.js", "/metrics", "/api/v1/status", "/api/v1/session", "/api/v1/live", "/api/v1/nothing")


# -- addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
async def test_the_list_stands_before_everything(page: Make, path: str) -> None:
    world = await page(**LAN, allow=["192.168.1.0/24"])
    found = await world.caller("192.168.2.50").get(path)
    assert (found.status, found.code) == (403, "access.address")
    assert not world.seen
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    refused = await world.caller("192.168.2.50", **upgrade, **{"Sec-WebSocket-Key": "A" * 22 + "=="}).get(path)
    assert refused.status == 403
    assert (await world.caller(HOME).get("/static/app.js")).status == 200


async def test_the_list_stands_before_the_log_in(page: Make) -> None:
    world = await page(**WITH, allow=["192.168.1.0/24"])
    assert (await world.caller("192.168.2.50").log_in()).code == "access.address"
    assert (await world.caller(HOME).log_in()).status == 200


@pytest.mark.parametrize(
    "forged",
    [
        {"X-Forwarded-For": "192.168.1.50"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Real-IP": "192.168.1.50"},
        {"Forwarded": "for=192.168.1.50"},
        {"X-Client-IP": "192.168.1.50", "CF-Connecting-IP": "192.168.1.50", "True-Client-IP": "192.168.1.50"},
        {"X-Forwarded-Host": "127.0.0.1", "X-Original-URL": "/healthz", "X-Rewrite-URL": "/healthz"},
    ],
)
async def test_without_a_trusted_proxy_no_header_is_an_address(page: Make, forged: dict[str, str]) -> None:
    world = await page(listen="0.0.0.0:8080", allow=["192.168.1.0/24"])
    assert (await world.caller(**forged).get("/api/v1/status")).code == "access.address"


@pytest.mark.parametrize(
    "lines",
    [
        ["192.168.1.50, 10.0.0.66"],
        ["192.168.1.50", "10.0.0.66"],
        ["192.168.1.50, 10.0.0.66, 127.0.0.1"],
        ["192.168.1.50:80, [2001:db8::66]:80"],
        ["192.168.1.50, ::ffff:10.0.0.66"],
        ["192.168.1.50, garbage"],
        ["192.168.1.50,"],
        ["192.168.1.50 10.0.0.66"],
        ["192.168.1.50\t"] * 3 + ["x"],
        ["127.0.0.1," * 70 + "127.0.0.1"],
    ],
)
async def test_behind_a_trusted_proxy_the_clients_own_words_do_not_count(page: Make, lines: list[str]) -> None:
    world = await page(**LAN, allow=["192.168.1.0/24"])
    headers = "".join(f"X-Forwarded-For: {line}\r\n" for line in lines)
    found = await world.raw(f"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode())
    assert found.startswith(b"HTTP/1.1 403"), found
    assert not world.seen


async def test_healthz_is_always_answered_to_this_machine_and_to_nobody_else(page: Make) -> None:
    world = await page(**WITH, allow=["192.168.1.0/24"])
    assert (await world.caller().get("/healthz", headers={"Host": "anything.example"})).status == 200
    assert (await world.caller().get("/metrics")).status == 403
    for path in ("/healthz/", "//healthz", "/healthz/../metrics", "/HEALTHZ", "/%68ealthz/x"):
        found = await world.raw(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        assert found.startswith(b"HTTP/1.1 403"), path


async def test_a_loopback_page_behind_an_unknown_proxy_changes_nothing(page: Make) -> None:
    world = await page()
    for headers in ({"X-Forwarded-For": HOME}, {"Forwarded": "for=x"}, {"Via": "1.1 proxy"}, {"X-Real-IP": HOME}):
        caller = world.caller(**headers)
        assert (await caller.greet()).json["scope"] == "read"
        assert (await caller.ask("POST", "/api/v1/pause")).code == "access.read_only"
    caller = world.caller()
    assert (await caller.greet()).json["scope"] == "admin"
    assert (await caller.ask("POST", "/api/v1/pause")).status == 200


# -- names and other sites ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/api/v1/status", "/api/v1/session", "/metrics"])
async def test_a_name_pointed_here_by_a_stranger_is_refused(page: Make, path: str) -> None:
    world = await page(open=True, **LAN, hosts=["relay.example"])
    found = await world.caller(HOME).get(path, headers={"Host": "evil.example:8080"})
    assert found.status == 421
    assert "ui.hosts: [evil.example]" in found.text
    assert "relay.example" not in found.text, "a stranger's page could read which names there are"
    assert not world.seen
    for host in ("relay.example", "RELAY.example.:80", "localhost", "192.168.1.9:8080", "[fd00::1]:8080"):
        assert (await world.caller(HOME).get("/api/v1/status", headers={"Host": host})).status == 200


@pytest.mark.parametrize(
    "head",
    [
        "GET http://127.0.0.1/api/v1/status HTTP/1.1\r\nHost: evil.example",
        "GET http://evil.example/api/v1/status HTTP/1.1\r\nHost: 127.0.0.1",
        "GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example",
        "GET /api/v1/status HTTP/1.1\r\nHost: evil.example\r\nHost: 127.0.0.1",
        "GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1@evil.example",
        "GET /api/v1/status HTTP/1.1\r\nHost: evil.example#127.0.0.1",
        "GET /api/v1/status HTTP/1.1\r\nHost: ",
        "GET /api/v1/status HTTP/1.1\r\nX: y",
        "GET /api/v1/status HTTP/1.0",
        "GET /api/v1/status HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: 127.0.0.1",
        "GET /api/v1/status HTTP/1.1\r\nHost: <script>alert(1)</script>",
        "CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1",
    ],
)
async def test_tricks_with_names(page: Make, head: str) -> None:
    world = await page(open=True, **LAN)
    found = await world.raw(f"{head}\r\nConnection: close\r\n\r\n".encode())
    assert re.match(rb"HTTP/1\.[01] 4\d\d", found), found
    assert b"<script>" not in found
    assert not world.seen


OTHERS = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "https://127.0.0.1"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", OTHERS)
@pytest.mark.parametrize("ui", [{}, {"open": True, **LAN}, WITH])
async def test_another_sites_page_gets_nothing(page: Make, headers: dict[str, str], ui: dict[str, Any]) -> None:
    """Even where it somehow has the token: Origin alone is enough to refuse, and so is Sec-Fetch-Site."""
    world = await page(**ui)
    caller = world.caller(HOME if ui else "")
    if "password_hash" in ui:
        await caller.log_in()
    else:
        await caller.greet()
    for method, path in (
        ("POST", "/api/v1/pause"),
        ("PUT", "/api/v1/config"),
        ("GET", "/api/v1/status"),
        ("DELETE", "/api/v1/session"),
        ("GET", "/metrics"),
    ):
        found = await caller.ask(method, path, headers=headers)
        assert (found.status, found.code) == (403, "access.cross_site"), (method, path)
    found = await caller.ask("POST", "/api/v1/session", {"password": PASSWORD}, headers=headers)
    assert (found.status, found.code) == (403, "access.cross_site")
    assert not world.seen
    own = {"Origin": world.url, "Sec-Fetch-Site": "same-origin"}
    assert (await caller.ask("POST", "/api/v1/pause", headers=own)).status == 200


@pytest.mark.parametrize("headers", OTHERS)
async def test_a_websocket_from_another_site(page: Make, headers: dict[str, str]) -> None:
    world = await page()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            await session.ws_connect(f"{world.url}/api/v1/live", headers=headers)
        assert error.value.status == 403
        assert not world.seen
        async with session.ws_connect(f"{world.url}/api/v1/live", headers={"Origin": world.url}) as socket:
            assert await socket.receive_str() == "hello"


async def test_a_websocket_without_a_session(page: Make) -> None:
    world = await page(**WITH)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            await session.ws_connect(f"{world.url}/api/v1/live", headers={"Origin": world.url})
        assert error.value.status == 401


@pytest.mark.parametrize("ui", [{}, {"open": True, **LAN}, {"allow": ["192.168.0.0/16"], **LAN}, WITH])
async def test_nothing_changes_without_the_csrf_token(page: Make, ui: dict[str, Any]) -> None:
    """Also where no password is set: any page in the owner's browser could send the request otherwise."""
    world = await page(**ui)
    caller, other = (world.caller(HOME if ui else "") for _ in range(2))
    for one in (caller, other):
        await (one.log_in() if "password_hash" in ui else one.greet())
    right = caller.csrf
    for wrong in ("", other.csrf, right[:-1], right + "x", "\xff" * 43, "null"):
        found = await caller.ask("POST", "/api/v1/pause", headers={"X-CSRF-Token": wrong})
        assert (found.status, found.code) == (403, "session.csrf"), wrong
    cookies, caller.cookies = caller.cookies, {}
    expected = 401 if "password_hash" in ui else 403
    assert (await caller.ask("POST", "/api/v1/pause", headers={"X-CSRF-Token": right})).status == expected
    caller.cookies = cookies
    assert not world.seen
    assert (await caller.ask("POST", "/api/v1/pause")).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_form_cannot_log_in(page: Make, kind: str) -> None:
    world = await page(**WITH)
    found = await world.caller(HOME).ask(
        "POST", "/api/v1/session", data=f'{{"password": "{PASSWORD}"}}'.encode(), headers={"Content-Type": kind}
    )
    assert found.status == 415


async def test_get_changes_nothing(page: Make) -> None:
    world = await page()
    caller = world.caller()
    await caller.greet()
    for path in ("/api/v1/pause", "/api/v1/config?_method=PUT", "/api/v1/act/x", "/api/v1/password"):
        for headers in ({}, {"X-HTTP-Method-Override": "POST"}):
            assert (await caller.get(path, headers=headers)).status == 405
    assert not world.seen


async def test_a_signed_link_is_its_own_proof_but_the_list_holds(page: Make) -> None:
    world = await page(**WITH, allow=["192.168.1.0/24"])
    elsewhere = {"Origin": "https://ntfy.example", "Sec-Fetch-Site": "cross-site"}
    assert (await world.caller(HOME).ask("POST", "/api/v1/act/x", headers=elsewhere)).status == 200
    assert (await world.caller("10.0.0.1").ask("POST", "/api/v1/act/x")).status == 403


async def test_a_route_that_nobody_gave_a_scope_is_shut(page: Make) -> None:
    world = await page()
    caller = world.caller()
    await caller.greet()
    assert (await caller.get("/api/v1/forgotten")).code == "access.unlisted"
    assert not world.seen


# -- cookies --------------------------------------------------------------------------------------------------------


async def test_the_cookie_on_http_and_on_https(page: Make) -> None:
    world = await page(**WITH)
    caller = world.caller(HOME)
    [line] = (await caller.log_in()).set_cookie
    name, *rest = line.split("; ")
    assert name.startswith("photon-relay=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=2592000"} == set(rest)
    assert PASSWORD not in line
    secure = world.caller(HOME, **{"X-Forwarded-Proto": "https"})
    found = await secure.log_in()
    [line] = found.set_cookie
    name, *rest = line.split("; ")
    assert name.startswith("__Host-photon-relay=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=2592000", "Secure"} == set(rest)
    assert found.json["secure"]
    assert "Strict-Transport-Security" in found.headers
    [line] = (await secure.ask("DELETE", "/api/v1/session")).set_cookie
    assert "Secure" in line


async def test_nobody_but_a_trusted_proxy_says_https(page: Make) -> None:
    world = await page(listen="0.0.0.0:8080", password_hash=HASH)
    found = await world.caller(**{"X-Forwarded-Proto": "https"}).log_in()
    assert not found.json["secure"]
    assert "Secure" not in found.set_cookie[0]
    assert "Strict-Transport-Security" not in found.headers


async def test_a_cookie_from_http_is_no_session_on_https(page: Make) -> None:
    world = await page(**WITH)
    caller = world.caller(HOME)
    await caller.log_in()
    caller.headers = {"X-Forwarded-Proto": "https"}
    assert (await caller.get("/api/v1/status")).status == 401


# -- guessing -------------------------------------------------------------------------------------------------------


async def test_guessing_a_password_becomes_slow(page: Make) -> None:
    world = await page(**WITH)
    thief = world.caller("10.0.0.66")
    found = [await thief.log_in(f"guess number {number}") for number in range(8)]
    assert {one.status for one in found[:3]} == {401}
    assert {one.status for one in found[3:]} == {429}
    assert int(found[3].headers["Retry-After"]) >= 1
    assert (await thief.log_in()).status == 429, "not even the right one"
    assert (await world.caller(HOME).log_in()).status == 200
    world.clock.ahead += 2
    assert (await thief.log_in("wrong")).status == 401
    world.clock.ahead += 1.2
    assert (await thief.log_in("wrong")).status == 429, "the pauses grow"
    deeds = [line["deed"] for line in world.ledger.audit.lines()]
    assert deeds.count("login failed") == 4
    assert deeds.count("login") == 1


async def test_a_flood_of_strangers_does_not_keep_the_owner_out(page: Make) -> None:
    world = await page(**WITH)
    owner = world.caller(HOME)
    await owner.log_in()
    await owner.ask("DELETE", "/api/v1/session")
    strangers = [await world.caller(f"10.0.{number}.1").log_in("wrong") for number in range(30)]
    assert strangers[-1].status == 429
    assert (await world.caller("10.9.9.9").log_in()).status == 429, "all strangers together are slowed down"
    assert (await owner.log_in()).status == 200, "a browser that has logged in before is not"
    thieves = world.caller(HOME)
    for _ in range(5):
        await thieves.log_in("wrong")
    assert (await thieves.log_in()).status == 429
    await owner.ask("DELETE", "/api/v1/session")
    assert (await owner.log_in()).status == 200, "nor by a thief behind the same proxy"


async def test_a_flood_of_log_ins_costs_little_memory(page: Make) -> None:
    world = await page(**WITH)
    await world.caller(HOME).log_in("wrong")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = await asyncio.gather(*(world.caller(f"10.0.{number}.1").log_in("wrong") for number in range(60)))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert {one.status for one in found} <= {401, 429, 503}
    assert sum(one.status == 401 for one in found) <= 20
    assert grown < 60 * 1024, f"{grown} KiB more for sixty log-ins at once"


async def test_events_tell_of_log_ins(page: Make) -> None:
    world = await page(**WITH)
    with world.bus.listen() as events:
        await world.caller("10.0.0.66").log_in("wrong")
        await world.caller(HOME).log_in()
        async with asyncio.timeout(1):
            told = []
            async for event in events:
                told.append((event.type, event.data))
                if len(told) == 2:
                    break
    assert told == [("login.failed", {"address": "10.0.0.66"}), ("login.ok", {"address": HOME})]


async def test_long_and_odd_passwords(page: Make) -> None:
    world = await page(**WITH)
    for password in ("x" * 2000, "\x00", "\ud800", ""):
        world.clock.ahead += 400
        assert (await world.caller("10.0.0.66").log_in(password)).status == 401
    for body in ({}, {"password": None}, {"password": 7}, {"password": [PASSWORD]}, [PASSWORD], PASSWORD):
        world.clock.ahead += 400
        assert (await world.caller("10.0.0.66").ask("POST", "/api/v1/session", body)).status in {400, 422}


async def test_a_wrong_password_takes_as_long_where_none_is_set(page: Make) -> None:
    """So that nobody learns by a stopwatch what the answer would not say."""
    world = await page(open=True, **LAN)

    async def took() -> float:
        best = 9.0
        for _ in range(4):
            world.clock.ahead += 400
            began = time.perf_counter()
            await world.caller(HOME).log_in("wrong password")
            best = min(best, time.perf_counter() - began)
        return best

    without = await took()
    world.clock.ahead += 400
    assert (await world.caller(HOME).log_in("x")).code == "session.no_password"
    world.set(**WITH)
    assert 0.25 < without / await took() < 4


# -- the one-time code ----------------------------------------------------------------------------------------------


def code_in(text: str) -> str:
    return str(re.findall(r"one-time code: ([A-Z0-9-]+)", text)[-1])


async def test_a_page_that_nothing_protects_shows_and_changes_nothing(
    page: Make, caplog: pytest.LogCaptureFixture
) -> None:
    world = await page(**LAN)
    caller = world.caller(HOME)
    found = (await caller.greet()).json
    assert (found["protection"], found["scope"], found["authenticated"]) == ("none", "read", False)
    assert found["can_set_password"]
    assert (await caller.get("/api/v1/status")).status == 200
    for method, path in (("POST", "/api/v1/pause"), ("PUT", "/api/v1/config"), ("POST", "/api/v1/tokens")):
        assert (await caller.ask(method, path)).code == "access.read_only"
    code = code_in(caplog.text)
    assert re.fullmatch(r"([A-HJ-KM-NP-Z2-9]{4}-){2}[A-HJ-KM-NP-Z2-9]{4}", code)
    answers = [await caller.get(path) for path in ("/api/v1/session", "/api/v1/status", "/")]
    assert not [one for one in answers if code in one.text or code.replace("-", "") in one.text]


async def test_the_code_sets_a_password_once(page: Make, caplog: pytest.LogCaptureFixture) -> None:
    world = await page(**LAN)
    caller, thief = world.caller(HOME), world.caller("10.0.0.66")
    await caller.greet()
    await thief.greet()
    code = code_in(caplog.text)
    body = {"password": "a brand new one"}
    for number in range(6):
        wrong = await thief.ask("PUT", "/api/v1/password", {**body, "code": f"WRONG-{number}"})
        assert wrong.status == (403 if number < 3 else 429)
    assert (await caller.ask("PUT", "/api/v1/password", body)).code == "password.code"
    assert not world.config.written
    found = await caller.ask("PUT", "/api/v1/password", {**body, "code": code.lower().replace("-", " ")})
    assert found.status == 200
    assert found.json["scope"] == "admin"
    caller.csrf = found.json["csrf"]
    assert (await caller.ask("POST", "/api/v1/pause")).status == 200
    assert (await world.caller("10.0.0.67").get("/api/v1/status")).status == 401
    later = world.caller("10.0.0.68")
    await later.greet()
    assert (await later.ask("PUT", "/api/v1/password", {**body, "code": code})).status == 401
    [(phc, _)] = world.config.written
    world.set(**{**LAN, "password_hash": phc})
    assert (await caller.get("/api/v1/status")).status == 200
    world.set(**LAN)
    await later.get("/api/v1/status")
    assert code_in(caplog.text) != code, "without a password again there is a new code"


async def test_the_code_is_not_in_the_log_that_the_page_shows(page: Make) -> None:
    import logging

    from daemon import logs

    kept: list[str] = []
    before = max((line.id for line in logs.ring.lines()), default=0)

    class Ring(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record.getMessage())

    ring = Ring()
    logging.getLogger().addHandler(ring)
    try:
        world = await page(**LAN)
        await world.caller(HOME).greet()
    finally:
        logging.getLogger().removeHandler(ring)
    assert not [line for line in kept if "one-time" in line]
    assert not [line for line in logs.ring.lines(before) if "one-time" in line.text]


# -- tokens ---------------------------------------------------------------------------------------------------------


async def token_of(world: World, scope: str = "read", **more: Any) -> tuple[str, int]:
    owner = world.caller(HOME)
    await owner.log_in()
    found = await owner.ask("POST", "/api/v1/tokens", {"name": "grafana", "scope": scope, **more})
    assert found.status == 201
    await owner.ask("DELETE", "/api/v1/session")
    return found.json["token"], found.json["id"]


@pytest.mark.parametrize(
    ("scope", "may"),
    [("read", [200, 403, 403, 403]), ("control", [200, 200, 403, 403]), ("admin", [200, 200, 200, 200])],
)
async def test_a_token_may_what_its_scope_says(page: Make, scope: str, may: list[int]) -> None:
    world = await page(**WITH)
    token, _ = await token_of(world, scope)
    assert re.fullmatch(r"prt_[A-Za-z0-9_-]{43}", token)
    program = world.caller("10.0.0.5", Authorization=f"Bearer {token}")
    found = [
        (await program.ask(method, path)).status
        for method, path in (
            ("GET", "/api/v1/status"),
            ("POST", "/api/v1/pause"),
            ("PUT", "/api/v1/config"),
            ("GET", "/api/v1/tokens"),
        )
    ]
    assert found == may
    assert not (await program.greet()).set_cookie
    assert (await program.get("/metrics")).json["kind"] == "token"


async def test_a_token_cannot_make_itself_a_home(page: Make) -> None:
    world = await page(**WITH)
    token, identity = await token_of(world, "admin")
    program = world.caller("10.0.0.5", Authorization=f"Bearer {token}")
    for method, path, body in (
        ("POST", "/api/v1/tokens", {"name": "x", "scope": "admin"}),
        ("PUT", "/api/v1/password", {"password": "a brand new one", "current": PASSWORD}),
        ("DELETE", f"/api/v1/tokens/{identity}", None),
    ):
        assert (await program.ask(method, path, body)).code == "token.not_here"


async def test_a_token_ends(page: Make) -> None:
    world = await page(**WITH)
    token, identity = await token_of(world, days=30)
    program = world.caller("10.0.0.5", Authorization=f"Bearer {token}")
    assert (await program.get("/api/v1/status")).status == 200
    owner = world.caller(HOME)
    await owner.log_in()
    [line] = (await owner.get("/api/v1/tokens")).json["tokens"]
    assert (line["used_from"], line["expired"]) == ("10.0.0.5", False)
    assert token not in str(line)
    world.clock.ahead = 30 * 86400 - 60
    assert (await program.get("/api/v1/status")).status == 200
    world.clock.ahead = 30 * 86400 + 60
    assert (await program.get("/api/v1/status")).code == "token.wrong"
    world.clock.ahead = 0
    world.restarted()
    assert (await program.get("/api/v1/status")).status == 200
    assert (await owner.ask("DELETE", f"/api/v1/tokens/{identity}")).status == 200
    assert (await program.get("/api/v1/status")).code == "token.wrong"
    assert (await owner.ask("DELETE", f"/api/v1/tokens/{identity}")).status == 404


@pytest.mark.parametrize("shown", ["prt_" + "A" * 43, "prt_", "x", "", "null", "prt_" + "A" * 9000])
@pytest.mark.parametrize("ui", [{}, WITH])
async def test_a_wrong_token_is_not_taken_for_none(page: Make, shown: str, ui: dict[str, Any]) -> None:
    """On a page where everybody may do everything, too: whoever shows a token means to be checked."""
    world = await page(**ui)
    found = await world.caller(Authorization=f"Bearer {shown}").get("/api/v1/status")
    assert found.status in {400, 401}
    assert not world.seen


@pytest.mark.parametrize(
    "wish",
    [
        {"name": ""},
        {"name": "x" * 81},
        {"name": "x", "scope": "root"},
        {"name": "x", "days": 0},
        {"name": "x", "days": 99999},
    ],
)
async def test_tokens_that_cannot_be(page: Make, wish: dict[str, Any]) -> None:
    world = await page()
    caller = world.caller()
    await caller.greet()
    assert (await caller.ask("POST", "/api/v1/tokens", wish)).status == 422


# -- sizes, times, rates --------------------------------------------------------------------------------------------


async def test_without_a_log_in_only_small_bodies(page: Make) -> None:
    world = await page(**WITH)
    big = {"password": "x" * 100_000}
    assert (await world.caller(HOME).ask("POST", "/api/v1/session", big)).status == 413
    chunked = b"POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    found = await world.raw(chunked + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n")
    assert found.startswith(b"HTTP/1.1 413")
    owner = world.caller(HOME)
    await owner.log_in()
    assert (await owner.ask("PUT", "/api/v1/config", data=io.BytesIO(b"x" * 900_000))).json["body"] == 900_000
    assert (await owner.ask("PUT", "/api/v1/config", data=io.BytesIO(b"x" * 1_100_000))).status == 413


async def test_a_body_that_never_comes(page: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.doors.BODY_TIME", 0.3)
    monkeypatch.setattr("ui.door_handlers.BODY_TIME", 0.3)
    world = await page(**WITH)
    head = b"POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    began = time.monotonic()
    found = await world.raw(head + b"Content-Length: 500\r\n\r\n{")
    assert found.startswith(b"HTTP/1.1 408"), found
    assert time.monotonic() - began < 3


async def test_too_many_requests(page: Make) -> None:
    world = await page(**WITH)
    world.doors.rate.burst = 10
    world.doors.rate.per_second = 0.001
    caller = world.caller(HOME)
    found = [(await caller.get("/static/app.js")).status for _ in range(14)]
    assert found == [200] * 10 + [429] * 4
    assert (await world.caller("192.168.1.51").get("/static/app.js")).status == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
        b"POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/v1/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
        b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\rSet-Cookie: b\r\n\r\n",
        b"GET /api/v1/status\x00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_requests_that_are_none(page: Make, request_: bytes) -> None:
    world = await page(**WITH)
    found = await world.raw(request_)
    assert not found or re.match(rb"HTTP/1\.[01] 4\d\d", found), found
    assert not world.seen


async def test_names_of_sessions_and_tokens_are_only_names(page: Make) -> None:
    world = await page()
    caller = world.caller()
    await caller.greet()
    for path in (
        "/api/v1/sessions/..%2f..%2fetc%2fpasswd",
        "/api/v1/sessions/%0d%0aSet-Cookie:%20x=y",
        "/api/v1/tokens/1%20OR%201=1",
        "/api/v1/tokens/99999999999999999999",
        "/api/v1/tokens/²",
    ):
        found = await caller.ask("DELETE", path)
        assert found.status == 404, path
        assert not found.set_cookie
