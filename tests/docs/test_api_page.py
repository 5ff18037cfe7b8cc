"""The examples of docs/api.md work on a real daemon, one after the other, as a reader would try them."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.demo.playground import fixed
from tests.docs.reading import ROOT, blocks
from tests.ui.house import House

if TYPE_CHECKING:
    from pathlib import Path

PAGE = [ROOT / "docs" / "api.md"]


async def _token(house: House) -> str:
    status, made = await house.ask("POST", "/tokens", json={"name": "docs", "scope": "admin"})
    assert status < 300, made
    return str(made["token"])


async def _listeners(house: House) -> float:
    async with house.session.get("/metrics") as answer:
        (line,) = re.findall(r"^photon_relay_live_clients (.*)$", await answer.text(), re.MULTILINE)
    return float(line)


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl: apt-get install curl")
async def test_the_commands_run(tmp_path: Path) -> None:
    async with House(tmp_path / "playground").open() as house:
        house.playground.upload(fixed()[0])
        await house.until(lambda: house.ledger.photos.counts()["done"] == 1, "the first photo")
        environment = {"PATH": os.environ["PATH"], "RELAY": house.url, "TOKEN": await _token(house)}
        script = "".join(block.text for block in blocks("sh", PAGE))
        assert script.count("curl") >= 12
        ran = await asyncio.to_thread(
            subprocess.run, ["bash", "-euxo", "pipefail"], input=script, env=environment, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr[-2000:]
        assert '"done_today":1' in ran.stdout
        assert (await house.get("/config"))["settings"]["watch"]["settle"] == "20s"


async def test_the_live_example_tells_of_a_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = blocks("python", PAGE)
    space: dict[str, Any] = {}
    exec(block.text, space)  # the documentation's own words
    async with House(tmp_path / "playground").open() as house:
        monkeypatch.setenv("RELAY", house.url)
        monkeypatch.setenv("TOKEN", await _token(house))
        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                group.start_soon(space["follow"], 1)
                while await _listeners(house) < 1:  # noqa: ASYNC110 - the daemon tells it over HTTP alone
                    await anyio.sleep(0.05)
                house.playground.upload(fixed()[0])
        assert "alice IMG_0" in capsys.readouterr().out
