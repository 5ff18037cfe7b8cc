"""Progress comes from PhotoPrism's WebSocket while there is one, and its absence troubles nobody."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.photoprism.progress import (
    Busy,
    FileIndexed,
    FileStarted,
    ImportCompleted,
    Item,
    LogLine,
    Progress,
    item_of,
)
from tests.photoprism.conftest import TOKEN, TestClock, Trees

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Any

    from daemon.photoprism.client import PhotoPrism
    from tests.standins.photoprism import PhotoPrismStandIn


async def until(true: Callable[[], object]) -> None:
    with anyio.fail_after(5.0):
        while not true():  # noqa: ASYNC110 - what is waited for is in other hands
            await anyio.sleep(0.005)


@contextlib.asynccontextmanager
async def following(
    pp: PhotoPrismStandIn, clock: TestClock, token: str = TOKEN, within: float = 5.0
) -> AsyncIterator[tuple[Progress, list[Item]]]:
    progress = Progress(pp.url, token, clock=clock, authorised_within=within)
    items: list[Item] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(progress.follow, items.append)
        yield progress, items
        tasks.cancel_scope.cancel()


async def test_an_import_can_be_watched(
    client: PhotoPrism, pp: PhotoPrismStandIn, clock: TestClock, trees: Trees
) -> None:
    trees.put("batch/one/a.jpg")
    pp.traps.unindexed = ["b*"]
    trees.put("batch/one/b.jpg")
    async with following(pp, clock) as (progress, items):
        await until(lambda: progress.connected)
        await client.import_folder("batch", timeout=5.0)
        await until(lambda: any(isinstance(each, ImportCompleted) for each in items))
    started = [each for each in items if isinstance(each, FileStarted)]
    assert started == [FileStarted("one/a.jpg", ""), FileStarted("one/b.jpg", "")]
    (indexed,) = [each for each in items if isinstance(each, FileIndexed)]
    assert (trees.originals / indexed.name).is_file()
    (completed,) = [each for each in items if isinstance(each, ImportCompleted)]
    assert completed.path == str(trees.imports / "batch")
    assert any(isinstance(each, LogLine) and each.level == "error" for each in items)
    assert not progress.connected


async def test_busy_is_heard(client: PhotoPrism, pp: PhotoPrismStandIn, clock: TestClock) -> None:
    pp.traps.busy_next = 1
    pp.library.imports = str(pp.originals)
    (pp.originals / "batch").mkdir()
    async with following(pp, clock) as (progress, items):
        await until(lambda: progress.connected)
        await client.import_folder("batch", timeout=5.0)
        await until(lambda: any(isinstance(each, ImportCompleted) for each in items))
    assert Busy("import: already running") in items


async def test_it_connects_again_after_a_restart(pp: PhotoPrismStandIn, clock: TestClock) -> None:
    async with following(pp, clock) as (progress, items):
        await until(lambda: progress.connected)
        await pp.refuse()
        await until(lambda: len(clock.slept) >= 5)
        assert not progress.connected
        assert "cannot be reached" in progress.fault
        await pp.listen()
        await until(lambda: progress.connected)
        assert progress.fault == ""
        pp._publish("log.warn", {"message": "hello"})
        await until(lambda: items)
    assert items == [LogLine("warning", "hello")]
    assert clock.slept[:4] == [2.0, 4.0, 8.0, 16.0]
    assert max(clock.slept) <= 300.0


@pytest.mark.parametrize("how", ["wrong token", "mute"])
async def test_silence_means_not_authorised(pp: PhotoPrismStandIn, clock: TestClock, how: str) -> None:
    pp.traps.websocket = "mute" if how == "mute" else "on"
    async with following(pp, clock, TOKEN if how == "mute" else "wrong", within=0.05) as (progress, items):
        await until(lambda: len(clock.slept) >= 2)
        assert "token" in progress.fault
        assert TOKEN not in progress.fault
    assert clock.slept[:2] == [60.0, 120.0]
    assert items == []


@pytest.mark.parametrize("how", ["off", "500", "hang", "html"])
async def test_no_websocket_there(pp: PhotoPrismStandIn, clock: TestClock, how: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("daemon.photoprism.progress.CONNECT_SECONDS", 0.1)
    if how == "off":
        pp.traps.websocket = "off"
    else:
        pp.traps.outage = how
    async with following(pp, clock, within=0.05) as (progress, items):
        await until(lambda: clock.slept)
        assert ("status 404" in progress.fault) is (how == "off")
        pp.traps.clear()
        await until(lambda: progress.connected)
    assert items == []


async def test_odd_frames_are_passed_over(pp: PhotoPrismStandIn, clock: TestClock) -> None:
    pp.traps.websocket = "odd"
    async with following(pp, clock) as (progress, items):
        await until(lambda: progress.connected)
        pp._broadcast("[]")
        pp._publish("import.file", {"fileName": 7})
        pp._publish("log.info", {"message": "line\nforged \u202e"})
        await until(lambda: len(items) == 2)
    assert items == [FileStarted("", ""), LogLine("info", "line\\u000aforged \\u202e")]


@pytest.mark.parametrize(
    ("event", "data", "item"),
    [
        ("notify.warning", {"message": "index: still running"}, Busy("index: still running")),
        (
            "notify.warning",
            {"message": "läuft", "messageId": "import: already running"},
            Busy("import: already running"),
        ),
        ("notify.success", {"message": "Import completed in 3 s"}, None),
        ("count.photos", {"count": 1}, None),
        ("import.completed", {"path": "/x", "seconds": "?"}, ImportCompleted("/x", 0.0)),
        ("log.fatal", {"message": "x" * 5000}, LogLine("fatal", "x" * 249 + "…" + "x" * 250)),
    ],
)
def test_frames(event: str, data: dict[str, Any], item: Item | None) -> None:
    assert item_of(json.dumps({"event": event, "data": data})) == item


@given(
    st.text(max_size=30)
    | st.builds(
        lambda event, data: json.dumps({"event": event, "data": data}),
        st.sampled_from(["import.file", "index.indexing", "import.completed", "notify.x", "log.error"]) | st.text(),
        st.none()
        | st.dictionaries(
            st.sampled_from(["fileName", "subFolder", "seconds", "message", "path"]),
            st.none() | st.integers() | st.text() | st.lists(st.none()) | st.floats(),
        ),
    )
)
def test_any_frame_is_read_or_passed_over(frame: str) -> None:
    item_of(frame)
