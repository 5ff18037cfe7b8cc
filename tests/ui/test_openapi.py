"""The description of the API is complete and true: what it says is served, and answers are as it says, to any input."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from tests.e2e.world import ROOT
from tests.ui.doors.world import HASH, PASSWORD
from tests.ui.house import House
from ui.api import openapi
from ui.api.routes import DESCRIBED

if TYPE_CHECKING:
    from aiohttp import web

DOCUMENT = openapi.describe(DESCRIBED)
CONFIG = Path(__file__).with_name("schemathesis.toml")


def test_the_document_is_valid() -> None:
    validate(DOCUMENT, cls=OpenAPIV31SpecValidator)


def test_names_are_unique_and_each_operation_says_what_it_is() -> None:
    operations = [one for path in DOCUMENT["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names)
    for one in operations:
        assert one["summary"]
        assert one["tags"]
        assert {"400", "401", "403", "421", "429", "503"} <= one["responses"].keys()


def test_where_there_may_be_nothing_to_give_the_document_says_so() -> None:
    answers = DOCUMENT["paths"]["/api/v1/photos/{id}/thumbnail"]["get"]["responses"]
    assert answers["204"] == {"description": "There is none to be had."}
    assert set(answers["200"]["content"]) == {"image/jpeg", "image/png", "image/webp", "image/gif"}


def test_all_that_is_served_is_described_and_the_other_way_round(tmp_path: Path) -> None:
    served = {
        (route.method.lower(), "/api/v1" + str(resource.canonical).removeprefix("/api/v1"))
        for resource in _application(tmp_path).router.resources()
        for route in resource
        if str(resource.canonical).startswith("/api/v1/") and route.method != "HEAD"
    }
    described = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert served - {("get", "/api/v1/openapi.json")} == described


def _application(folder: Path) -> web.Application:
    from daemon.clock import Clock
    from daemon.events import Bus
    from daemon.settings import Settings
    from daemon.wake import Wake
    from ui.server import Page

    settings = Settings.model_validate({"state": str(folder)})
    page = Page(
        settings=lambda: settings,
        service=lambda: None,
        started=lambda: False,
        changed=Wake(),
        bus=Bus(),
        clock=Clock(),
        trouble=lambda _error: None,
    )
    return page.application()


async def test_the_document_is_served_to_everybody(house: House) -> None:
    async with house.session.get("/api/v1/openapi.json") as answer:
        assert answer.status == 200
        assert await answer.json() == DOCUMENT
        tag = answer.headers["ETag"]
    async with house.session.get("/api/v1/openapi.json", headers={"If-None-Match": tag}) as answer:
        assert answer.status == 304


@pytest.mark.slow
@pytest.mark.timeout(420)
async def test_answers_are_as_described_to_any_input(tmp_path: Path) -> None:
    house = House(tmp_path / "playground")
    # What a stray request may change must not take the page away from the one who tests it.
    fixed = {
        "PHOTON_RELAY__UI__LISTEN": f"127.0.0.1:{house.port}",
        "PHOTON_RELAY__STATE": str(house.playground.root / "state"),
        "PHOTON_RELAY__UI__OPEN": "false",
        "PHOTON_RELAY__UI__PASSWORD_HASH": HASH,
        "PHOTON_RELAY__UI__ALLOW": "[]",
    }
    words = [sys.executable, "-m", "daemon", "run", "--config", str(house.playground.config)]
    log = tmp_path / "daemon.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            words, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=sink, stdout=sink, env=os.environ | fixed
        )
    try:
        token = await _token(house)
        found = await asyncio.to_thread(_schemathesis, house.url, token, tmp_path)
        assert found.returncode == 0, f"{found.stdout}\n{found.stderr}"
        assert process.poll() is None
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()


async def _token(house: House) -> str:
    async with aiohttp.ClientSession(house.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as house.session:
        await _log_in(house)
        await house.until_ready()
        for delivery in _some():
            house.playground.upload(delivery)
        status, made = await house.ask("POST", "/tokens", json={"name": "schemathesis", "scope": "admin", "days": 1})
        assert status == 201, made
        while (await house.get("/status"))["photos"]["done"] < 3:  # noqa: ASYNC110  it is another process
            await asyncio.sleep(0.1)
        return str(made["token"])


async def _log_in(house: House) -> None:
    for _ in range(400):
        with suppress(aiohttp.ClientConnectionError):
            status, found = await house.ask("POST", "/session", json={"password": PASSWORD})
            if status == 200:
                house.csrf = found["csrf"]
                return
            assert status == 503, found
        await asyncio.sleep(0.05)
    raise AssertionError("nobody could log in")


def _some() -> list[Any]:
    from daemon.demo.playground import fixed

    return fixed()[:3]


def _schemathesis(url: str, token: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Let it try each operation with valid and invalid input; the WebSocket is no request of its kind."""
    words = [str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(CONFIG)]
    words += ["run", f"{url}/api/v1/openapi.json"]
    words += ["--exclude-path", "/api/v1/live", "--phases", "examples,coverage,fuzzing", "--max-examples", "12"]
    words += ["--header", f"Authorization: Bearer {token}", "--no-shrink", "--continue-on-failure", "--seed", "1"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=400)
