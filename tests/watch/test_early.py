"""The first watch: it hears before anybody reads it, and is taken over only where it is the one that is wanted."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from daemon.watch.early import Early
from daemon.watch.inotify import Watcher
from tests.uploads import make_data_dir
from tests.watch.sinks import until
from tests.watch.test_watchers import Heard, running

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ROOT = "alice/files/InstantUpload"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_data_dir(tmp_path / "data", ["alice", "bob"], samples_too=False)
    (tmp_path / "data" / ROOT / "2026").mkdir(parents=True)
    (tmp_path / "data/bob/files/Photos").mkdir(parents=True)
    return tmp_path / "data"


def of_alice(homes: Iterable[str]) -> dict[str, tuple[str, ...]]:
    return {user: ("InstantUpload", "Photos") for user in homes if user == "alice"}


def early(data: Path, mode: str = "auto") -> Early:
    one = Early(str(data), of_alice, mode)
    one.wait(10)
    return one


async def test_what_comes_before_anybody_reads_is_heard(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    first = early(data)
    (data / ROOT / "2026/x.jpg").write_bytes(b"x")
    heard, one = Heard(), Watcher(str(data), step=0.02, early=first)
    one.set_roots([ROOT])
    async with running(one, heard):
        # Nobody lists anything here: only the kernel's queue can have it.
        await until(lambda: heard.present == {f"{ROOT}/2026/x.jpg"})
        (data / ROOT / "y.jpg").write_bytes(b"x")
        await until(lambda: f"{ROOT}/y.jpg" in heard.present)
    assert [record.getMessage() for record in caplog.records] == ["watching 2 folders"]


async def test_over_other_roots_it_is_ended(data: Path) -> None:
    first = early(data)
    made = first._made
    assert made is not None
    heard, one = Heard(), Watcher(str(data), step=0.02, early=first)
    one.set_roots([ROOT, "bob/files/Photos"])
    async with running(one, heard):
        (data / "bob/files/Photos/x.jpg").write_bytes(b"x")
        await until(lambda: heard.present == {"bob/files/Photos/x.jpg"})
        assert one.directories == 3
    assert made.engine._bell == -1


@pytest.mark.parametrize("put_back", [True, False])
def test_over_a_folder_that_is_another_one_now_it_is_ended(data: Path, put_back: bool) -> None:
    first = early(data)
    shutil.move(data / ROOT, data / "aside")
    if put_back:
        (data / ROOT).mkdir()
    assert first.take(str(data), (ROOT,)) is None
    assert first._made is None


def test_it_is_made_of_nothing_where_nothing_can_be_watched(tmp_path: Path, data: Path) -> None:
    assert early(data, "poll")._made is None
    assert early(tmp_path / "elsewhere")._made is None
    (data / ".ncdata").unlink()
    assert early(data)._made is None


def test_nobody_takes_it_any_more_when_it_is_closed(data: Path) -> None:
    first = early(data)
    made = first._made
    assert made is not None
    first.close()
    assert made.engine._bell == -1
    assert first.take(str(data), (ROOT,)) is None


def test_closed_before_it_stands_it_ends_by_itself(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    make = Early._make

    def late(one: Early) -> object:
        found = make(one)
        made.append(found)
        one.close()
        return found

    monkeypatch.setattr(Early, "_make", late)
    first = early(data)
    assert first._made is None
    assert made[0] is not None
    assert made[0].engine._bell == -1
