"""A running daemon takes saved settings up: at once, without a restart, and no photo is lost or done twice."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.files.pace import PACE
from daemon.front import Front
from daemon.lifetime import run_daemon
from daemon.settings_file import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from daemon.app import App

JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000") + b"\0" * 64


@pytest.fixture
def file(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    for folder in ("Photos", "Camera"):
        (data / "alice" / "files" / folder).mkdir(parents=True)
    (data / ".ncdata").touch()
    (tmp_path / "archive").mkdir()
    file = tmp_path / "photon-relay.yaml"
    file.write_text(
        f"nextcloud: {{data: {data}, occ: {{via: off}}}}\n"
        "users: {include: {alice: {}}, folders: [Photos], after: delete}\n"
        f"archive: {{via: folder, folder: {{path: {tmp_path / 'archive'}, template: '{{name}}{{ext}}'}}}}\n"
        "watch: {settle: 300ms}\n"
        "relay: {min_free: 0}\n"
        'ui: {listen: "127.0.0.1:0"}\n'
        "state: st\n"
    )
    return file


@pytest.fixture(autouse=True)
def _log_as_before() -> object:
    root, ours = logging.getLogger(), logging.getLogger("daemon")
    before = list(root.handlers), root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


@asynccontextmanager
async def running(file: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[], App]]:
    fronts: list[Front] = []
    real = Front.__init__

    def noted(self: Front, *args: Any, **more: Any) -> None:
        real(self, *args, **more)
        fronts.append(self)

    monkeypatch.setattr(Front, "__init__", noted)
    async with anyio.create_task_group() as group:
        group.start_soon(run_daemon, load(file, {}), {})
        await until(lambda: bool(fronts) and fronts[0].started())

        def app() -> App:
            found = fronts[0]._app
            assert found is not None
            return found

        await app().watch.ready()
        yield app
        group.cancel_scope.cancel()


async def until(there: Callable[[], bool], seconds: float = 5) -> None:
    with anyio.fail_after(seconds):
        while not there():  # noqa: ASYNC110 - what is waited for has no event
            await anyio.sleep(0.02)


async def test_photos_before_while_and_after_the_folders_change_are_relayed_once(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, archive = tmp_path / "data" / "alice" / "files", tmp_path / "archive"
    async with running(file, monkeypatch) as app:
        before = app()
        (home / "Photos" / "one.jpg").write_bytes(JPEG + b"1")
        (home / "Camera" / "two.jpg").write_bytes(JPEG + b"2")
        file.write_text(file.read_text().replace("[Photos]", "[Photos, Camera]"))
        await until(lambda: app().current.settings.users.folders == ("Photos", "Camera"), 2)
        (home / "Camera" / "three.jpg").write_bytes(JPEG + b"3")
        await until(lambda: {one.name for one in archive.iterdir()} == {"one.jpg", "two.jpg", "three.jpg"}, 15)
        counts = app().ledger.photos.counts()
        assert sum(counts.values()) == 3
        assert app() is before, "only what changed is built anew"


async def test_the_schedule_and_the_log_count_at_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(file, monkeypatch) as app:
        await until(lambda: app().sweeper.status()["next"] is not None)
        first = app().sweeper.status()["next"]
        file.write_text(file.read_text().replace("300ms}", "300ms, sweep: every 3h}") + "log: {level: debug}\n")
        await until(lambda: app().sweeper.status()["next"] != first, 2.5)
        assert logging.getLogger("daemon").level == logging.DEBUG


async def test_parts_that_are_built_anew_take_the_log_level_and_keep_the_state(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(file, monkeypatch) as app:
        before = app()
        config = before.service.config
        assert config is not None
        text = file.read_text().replace("via: off", "via: off, timeout: 29m").replace("state: st", "state: other")
        file.write_text(text + "log: {level: debug}\n")
        await until(lambda: config.restart_needed, 3)
        await until(lambda: app() is not before and app().service.config is config)
        assert logging.getLogger("daemon").level == logging.DEBUG
        assert app().current.settings.state == str(tmp_path / "st")
        assert not (tmp_path / "other").exists()
        assert [issue.code for issue in app().issues.all()] == ["config.restart"]
        found = await config.patch({"watch": {"batch": 7}}, None, "page")
        assert found["in_force"]
        assert app().current.settings.watch.batch == 7
        assert [issue.code for issue in app().issues.all()] == ["config.restart"]


async def test_a_wrong_file_changes_nothing_and_its_mending_is_told_once(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(file, monkeypatch) as app:
        good = file.read_text()
        told: list[tuple[str, str]] = []
        config = app().service.config
        assert config is not None

        async def listen() -> None:
            with app().bus.listen() as events:
                async for event in events:
                    about = event.data.get("about") == "configuration"
                    told.extend([(event.type, str(event.data.get("message")))] if about else [])

        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            file.write_text(good.replace("300ms", "soon"))
            await until(lambda: "settle" in str(config.state()["faults"]), 2)
            file.write_text(good.replace("300ms", "300ms, nonsense: 1"))
            await until(lambda: "nonsense" in str(config.state()["faults"]), 2)
            assert app().current.settings.watch.settle == 0.3
            _written(file, good).replace(file)
            await until(lambda: len(told) == 2, 2)
            await anyio.sleep(1)
            group.cancel_scope.cancel()
        assert [kind for kind, _ in told] == ["issue.opened", "issue.closed"]
        assert f"{file}:4: watch.settle" in told[0][1]


async def test_an_emptied_file_is_no_settings(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(file, monkeypatch) as app:
        good = file.read_text()
        config = app().service.config
        assert config is not None
        file.write_bytes(b"")
        await until(lambda: not config.state()["valid"], 3)
        assert "is empty" in config.state()["faults"][0]["message"]
        assert app().current.settings.users.decision("alice") == "include"
        file.write_text(good)
        await until(lambda: config.state()["valid"], 3)


def _written(file: Path, text: str) -> Path:
    new = file.with_name("new")
    new.write_text(text)
    return new


async def test_limits_count_at_once_and_hold_nobody_up_at_the_end(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, str]] = []

    def stand_back(nice: int, io: str) -> list[str]:
        asked.append((nice, io))
        return []

    monkeypatch.setattr("daemon.app.set_priority", stand_back)
    text = file.read_text()
    async with running(file, monkeypatch):
        assert asked == [], "a priority that nobody set is not touched"
        assert PACE._rate == 0
        limits = "min_free: 0, bandwidth: 1MiB, pause_above: 99, nice: 5, io: low"
        file.write_text(text.replace("min_free: 0", limits))
        await until(lambda: (PACE._rate, PACE._above) == (1 << 20, 99))
        await until(lambda: asked == [(5, "low")])
    assert (PACE._rate, PACE._above) == (0, 0)
