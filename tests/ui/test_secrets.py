"""No secret that the daemon knows comes out of it: not by the page, the log, the audit trail, or a file others read."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from yarl import URL

from daemon.demo.playground import fixed
from tests.ui.doors.world import HASH, PASSWORD
from tests.ui.house import House
from ui.api import openapi
from ui.api.routes import DESCRIBED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WRONG = "wrong-try-0d5c9e"
SECRETS = {
    "PhotoPrism's token": "photoprism-token-7f3a91",
    "ntfy's token": "tk_ntfytoken4c8812",
    "ntfy's password": "ntfy-password-52b0ee",
    "ntfy's password as it is sent": "cmVsYXk6bnRmeS1wYXNzd29yZC01MmIwZWU=",
    "the key of a hook": "hook-secret-e9d417",
    "the token of another relay": "prt_other-relay-61aa38",
    "the password": PASSWORD,
    "a wrong try": WRONG,
    "the password's hash": HASH,
    "the salt and hash alone": HASH.rsplit("$", 1)[1],
}
GETS = [path for path, methods in openapi.describe(DESCRIBED)["paths"].items() if "get" in methods]
QUERIES = {"/api/v1/config/schedule": "?expression=0+3+*+*+*", "/api/v1/photos/export": "?format=csv"}
UNASKED = {"/api/v1/live"}
"""Only as a WebSocket, below."""


@asynccontextmanager
async def _echo() -> AsyncIterator[str]:
    """Serve what says no to everything, and repeats all that it was sent: headers, path and body."""

    async def again(request: web.Request) -> web.Response:
        said = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
        return web.Response(status=403, text=f"{request.raw_path}\n{said}\n{await request.text()}")

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", again)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _enter(house: House) -> None:
    for _ in range(400):
        try:
            status, found = await house.ask("POST", "/session", json={"password": PASSWORD})
        except OSError:
            status, found = 503, {}
        if status == 200:
            house.csrf = found["csrf"]
            await house.until_ready()
            return
        await asyncio.sleep(0.05)
    raise AssertionError(found)


def _ntfy(url: str, *, by_token: bool) -> dict[str, Any]:
    how = {"token": SECRETS["ntfy's token"]} if by_token else {"user": "relay", "password": SECRETS["ntfy's password"]}
    return {"url": url, "topic": "photos", **how}


@pytest.mark.parametrize("by_token", [True, False], ids=["token", "password"])
async def test_no_secret_comes_out(
    tmp_path: Path, by_token: bool, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    house = House(tmp_path / "playground")
    told: dict[str, bytes] = {}
    async with _echo() as url:
        house.configure(
            photoprism={"url": url, "token": SECRETS["PhotoPrism's token"]},
            notify={"ntfy": _ntfy(url, by_token=by_token)},
            ui={
                "password_hash": HASH,
                "others": [{"name": "attic", "url": url, "token": SECRETS["the token of another relay"]}],
            },
            log={"level": "debug"},
        )
        text = house.playground.config.read_text()
        secret = SECRETS["the key of a hook"]
        house.playground.config.write_text(f'{text}hooks:\n- {{on: "*", url: "{url}", secret: "{secret}"}}\n')
        async with house.open(ready=False):
            await _enter(house)
            await _use(house, told)
            made = dict(SECRETS)
            made["an API token"] = told.pop("the new token").decode()
            [cookie] = [one.value for one in house.session.cookie_jar]
            made["the session's cookie"] = cookie
            await _ask_all(house, told)
            told["the lines of the audit trail"] = str(house.ledger.audit.lines()).encode()
    told["the log"] = caplog.text.encode()
    captured = capfd.readouterr()
    told["what is written to the console"] = (captured.out + captured.err).encode()
    state = house.playground.root / "state"
    for file in state.rglob("*"):
        if file.is_file() and file.parent.name != "versions":  # these are the settings file, and shut, as seen below
            told[f"the file {file.name}"] = file.read_bytes()
    assert {"the file ledger.db"} <= told.keys()
    found = [(what, where) for what, secret in made.items() for where, text in told.items() if secret.encode() in text]
    assert found == []
    _shut(state)


async def _use(house: House, told: dict[str, bytes]) -> None:
    """Do what touches secrets, rightly and wrongly: they must not come back in answers and errors either."""
    house.playground.upload(fixed()[0])
    while (await house.get("/status"))["photos"]["done"] < 1:  # noqa: ASYNC110  whenever the photo arrives
        await asyncio.sleep(0.1)
    status, found = await house.ask("POST", "/tokens", json={"name": "x", "scope": "read"})
    assert status in {200, 201}, found
    told["the new token"] = str(found["token"]).encode()
    await house.ask("PATCH", "/config", json={"watch": {"settle": "2s"}})
    standing = (await house.get("/config"))["yaml"]
    ntfy = "http://127.0.0.1:9"
    tries: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("POST", "/session", {"json": {"password": WRONG}}),
        ("PUT", "/password", {"json": {"new": WRONG, "current": WRONG}}),
        ("PUT", "/password", {"json": {"new": "x", "current": PASSWORD}}),
        ("POST", "/notify/test", {}),
        ("POST", "/checks", {}),
        ("PATCH", "/config", {"json": {"notify": {"ntfy": {"url": ntfy}}}}),
        ("PATCH", "/config", {"json": {"photoprism": {"url": ntfy}}}),
        ("PATCH", "/config", {"json": {"photoprism": "nothing of this kind"}}),
        ("PATCH", "/config", {"json": {"watch": {"settle": "3s"}}, "headers": {"If-Match": '"stale"'}}),
        ("PUT", "/config", {"json": {"yaml": f"{standing}\nnonsense: ["}}),
        ("PUT", "/config", {"json": {"yaml": standing.replace("settle:", "setle:")}}),
        ("POST", "/config/validate", {"json": {"yaml": f"{standing}\n\t- nonsense"}}),
        ("POST", "/config/diff", {"json": {"yaml": ""}}),
        ("POST", "/config/diff", {"json": {"changes": {"photoprism": {"albums": ["x"]}}}}),
    )
    for number, (method, path, body) in enumerate(tries):
        status, answer = await house.ask(method, path, **body)
        told[f"{number}: {method} {path} ({status})"] = str(answer).encode()


async def _ask_all(house: House, told: dict[str, bytes]) -> None:
    ids = {
        "/users/{id}": "alice",
        "/photos/{id}": str((await house.get("/photos"))["photos"][0]["id"]),
        "/batches/{id}": str((await house.get("/batches"))["batches"][0]["id"]),
    }
    ids["/photos/{id}/thumbnail"] = ids["/photos/{id}"]
    paths = ["/metrics", "/", "/healthz", "/readyz", "/api/v1/openapi.json"]
    for path in GETS:
        if path in UNASKED:
            continue
        known = ids.get(path.removeprefix("/api/v1"), "1")
        paths.append(path.replace("{id}", known) + QUERIES.get(path, ""))
        if known != "1":
            paths.append(path.replace("{id}", "999999"))  # the answer that there is no such thing
    paths += [f"/api/v1/config/versions/{one['id']}" for one in (await house.get("/config/versions"))["versions"]]
    answered = []
    for path in paths:
        async with house.session.get(URL(path, encoded=True)) as answer:
            told[f"GET {path}"] = await answer.read()
            answered += [path] if answer.status == 200 else []
            head = str([(name, value) for name, value in answer.headers.items() if name != "Set-Cookie"])
            told[f"head of {path}"] = head.encode()
    assert len(answered) > len(GETS) - 4, set(paths) - set(answered)
    assert "/api/v1/log/download" in answered
    async with house.session.ws_connect("/api/v1/live") as live:
        told["the live snapshot"] = (await live.receive()).data.encode()
        await live.send_json({"log": "debug"})
        await house.ask("POST", "/pause")
        await house.ask("POST", "/resume")
        for number in range(3):
            told[f"live frame {number}"] = (await live.receive()).data.encode()


def _shut(state: Path) -> None:
    """See that nobody else on the machine can read what the daemon keeps."""
    modes = {str(one.relative_to(state)): one.stat().st_mode & 0o777 for one in (*state.rglob("*"), state)}
    raw = [one for one in (state / "versions").glob("*.yaml") if HASH.encode() in one.read_bytes()]
    assert raw
    assert modes["versions"] == 0o700
    open_ = {name: oct(mode) for name, mode in modes.items() if mode & 0o077 and (state / name).is_file()}
    assert open_ == {}
