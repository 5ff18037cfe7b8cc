"""The recipes of docs/forking.md, word for word, put into a copy of the program: it relays photos with all of them.

Immich, Gotify and Jellyfin are played by a server that knows the few requests that the recipes make.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aiohttp import web

from daemon.demo.samples import jpeg
from tests import uploads
from tests.docs.reading import ROOT, blocks
from tests.e2e import world as worlds
from tests.relay.world import TAKEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = ROOT / "docs" / "forking.md"
KEY = "a-key-of-the-reader"


@pytest.fixture
def fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the program with every recipe in it."""
    folder = tmp_path / "fork"
    for part in ("daemon", "ui", "config"):
        shutil.copytree(ROOT / part, folder / part)
    (folder / "tests" / "e2e").mkdir(parents=True)
    for name in ("__init__.py", "e2e/__init__.py", "e2e/hasty.py"):
        shutil.copy(ROOT / "tests" / name, folder / "tests" / name)
    text = PAGE.read_text()
    named = re.findall(r"`(daemon/\w+/\w+\.py)`:\n\n```python\n(.*?)```", text, re.DOTALL)
    assert len(named) == len(blocks("python", [PAGE])) == 4
    for path, code in named:
        assert not (folder / path).exists(), path
        (folder / path).write_text(code)
    changes = "".join(block.text for block in blocks("diff", [PAGE]))
    # What stands around them may have changed a little since.
    how = ["git", "apply", "-C1", "--whitespace=nowarn", "-"]
    ran = subprocess.run(how, cwd=folder, input=changes, capture_output=True, text=True)
    assert ran.returncode == 0, f"docs/forking.md does not fit the program any more: {ran.stderr}"
    shutil.copy(ROOT / "pyproject.toml", folder)
    ruff = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache"], cwd=folder, capture_output=True, text=True
    )
    assert ruff.returncode == 0, ruff.stdout
    monkeypatch.setattr(worlds, "ROOT", folder)  # where the program is started
    return folder


class Others:
    """Immich, Gotify and Jellyfin behind one port, in a thread of their own."""

    def __init__(self) -> None:
        self.assets: dict[str, bytes] = {}
        self.damaged: list[bytes] = []
        self.messages: list[dict[str, Any]] = []
        self.told: list[str] = []
        self.deaf = 1
        """How often Jellyfin fails first."""
        self.port = worlds.free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    async def ping(self, request: web.Request) -> web.Response:
        return web.json_response({"res": "pong"})

    async def check(self, request: web.Request) -> web.Response:
        self.right(request, "x-api-key")
        results = []
        for asked in (await request.json())["assets"]:
            there = self.of(asked["checksum"])
            found = {"action": "reject", "reason": "duplicate", "assetId": there, "isTrashed": False}
            results.append({"id": asked["id"], **(found if there else {"action": "accept"})})
        return web.json_response({"results": results})

    async def upload(self, request: web.Request) -> web.Response:
        self.right(request, "x-api-key")
        form = await request.post()
        part = form["assetData"]
        assert isinstance(part, web.FileField)
        content = part.file.read()
        digest = hashlib.sha1(content).hexdigest()
        assert digest == request.headers["x-immich-checksum"]
        assert {"fileCreatedAt", "fileModifiedAt", "deviceId", "deviceAssetId"} <= set(form)
        there = self.of(digest)
        if there:
            return web.json_response({"id": there, "status": "duplicate"})
        name = f"asset-{len(self.assets)}"
        self.assets[name] = content
        return web.json_response({"id": name, "status": "created"}, status=201)

    async def original(self, request: web.Request) -> web.Response:
        self.right(request, "x-api-key")
        content = self.assets[request.match_info["id"]]
        return web.Response(body=content[:-1] + b"?" if content in self.damaged else content)

    async def message(self, request: web.Request) -> web.Response:
        self.right(request, "X-Gotify-Key")
        self.messages.append(await request.json())
        return web.json_response({"id": len(self.messages)})

    async def updated(self, request: web.Request) -> web.Response:
        self.right(request, "X-Emby-Token")
        if self.deaf:
            self.deaf -= 1
            raise web.HTTPServiceUnavailable
        self.told += [one["Path"] for one in (await request.json())["Updates"]]
        return web.Response(status=204)

    def of(self, digest: str) -> str:
        return next((name for name, one in self.assets.items() if hashlib.sha1(one).hexdigest() == digest), "")

    @staticmethod
    def right(request: web.Request, header: str) -> None:
        if request.headers.get(header) != KEY:
            raise web.HTTPUnauthorized

    async def serve(self, stop: asyncio.Event, ready: threading.Event) -> None:
        application = web.Application(client_max_size=1 << 26)
        application.add_routes(
            [
                web.get("/api/server/ping", self.ping),
                web.post("/api/assets/bulk-upload-check", self.check),
                web.post("/api/assets", self.upload),
                web.get("/api/assets/{id}/original", self.original),
                web.post("/message", self.message),
                web.post("/Library/Media/Updated", self.updated),
            ]
        )
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        ready.set()
        await stop.wait()
        await runner.cleanup()


@pytest.fixture
def others() -> Iterator[Others]:
    made, ready, loop, stop = Others(), threading.Event(), asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(made.serve(stop, ready)))
    thread.start()
    assert ready.wait(10)
    yield made
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def shot(seed: int) -> bytes:
    return jpeg(TAKEN, seed)


def test_a_fork_holds_screenshots_tells_gotify_and_jellyfin(fork: Path, others: Others, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with worlds.World(tmp_path / "one") as world:
        del world.settings["photoprism"]
        world.configure(
            archive={"via": "folder", "folder": {"path": str(world.originals)}},
            notify={"ntfy": {"url": others.url, "topic": "none", "token": KEY, "levels": {"success": "default"}}},
            ui={"url": "https://relay.example.org"},
        )
        world.start(environment={"JELLYFIN_URL": others.url, "JELLYFIN_KEY": KEY})
        uploads.put(world.data / "alice", "InstantUpload/IMG_1.jpg", shot(1), TAKEN)
        uploads.put(world.data / "alice", "InstantUpload/Screenshot_2.jpg", shot(2), TAKEN)
        world.until(lambda: sorted(world.states().values()) == ["done", "held"], "the two photos")
        world.until(lambda: len(others.messages) >= 2, "the messages")
        told = {message["title"]: message for message in others.messages}
        assert any("held" in title for title in told), told
        assert all(message["extras"]["client::notification"]["click"]["url"] for message in told.values())
        assert {message["priority"] for message in told.values()} == {6, 8}
        # The first call failed: the job waited, and Jellyfin was told all the same before the photo was done.
        assert (others.deaf, others.told) == (0, ["/media/2026/11"])
        photo = world.photo("Screenshot_2.jpg")
        assert photo["code"] == "inspect.held"


def test_a_fork_relays_to_immich_and_believes_it_nothing(fork: Path, others: Others, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    with worlds.World(tmp_path / "two") as world:
        del world.settings["photoprism"]
        key = tmp_path / "two" / "immich-key"
        key.write_text(KEY)
        [said] = [yaml.safe_load(block.text) for block in blocks("yaml", [PAGE])]
        assert said["immich"].keys() == {"url", "api_key_file"}
        world.settings["nextcloud"]["album"] |= said["nextcloud"]["album"]
        world.configure(archive=said["archive"], immich={"url": others.url, "api_key_file": str(key)})
        others.assets["asset-from-before"] = shot(1)
        others.damaged.append(shot(2))
        world.start()
        for number in (1, 2, 3):
            uploads.put(world.data / "alice", f"InstantUpload/IMG_{number}.jpg", shot(number), TAKEN)
        world.until(lambda: _by_number(world, "state").items() >= {1: "archived", 3: "archived"}.items(), "the proofs")
        world.until(lambda: _by_number(world, "code")[2] == "archive.broken", "the damaged asset")
        assert _standing(world) == {"IMG_1.jpg", "IMG_2.jpg", "IMG_3.jpg"}
        assert others.assets[_by_number(world, "archived_as")[3].decode()] == shot(3)
        assert _by_number(world, "archived_as")[1] == b"asset-from-before"
        # The minute that Immich's disk is given to write has passed.
        world.kill()
        with contextlib.closing(sqlite3.connect(world.state / "ledger.db")) as db:
            assert db.execute("UPDATE photos SET next_try = 0 WHERE state = 'archived'").rowcount == 2
            db.commit()
        world.start()
        world.until(lambda: _by_number(world, "state").items() >= {1: "done", 3: "done"}.items(), "the releases")
        assert _standing(world) == {"IMG_2.jpg"}
        assert world.run("restore", str(_by_number(world, "id")[3]), hasty=False).returncode == 0
        assert (world.data / "alice/files/InstantUpload/IMG_3.jpg").read_bytes() == shot(3)


def _by_number(world: worlds.World, column: str) -> dict[int, Any]:
    return {int(re.findall(rb"IMG_(\d)", photo["path"])[0]): photo[column] for photo in world.photos()}


def _standing(world: worlds.World) -> set[str]:
    return {path.name for path in (world.data / "alice/files/InstantUpload").iterdir()}
