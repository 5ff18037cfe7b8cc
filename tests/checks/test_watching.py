"""What is to be watched, and what the kernel lets us watch."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from daemon.checks import watching
from daemon.checks.check import Check, Level
from daemon.clock import Clock
from daemon.watch.limits import Limits, read_limits

if TYPE_CHECKING:
    from tests.checks.conftest import House


def look(house: House, mode: str = "auto") -> list[Check]:
    return watching.watching(house.settings(watch={"mode": mode}), Clock())


def allow(monkeypatch: pytest.MonkeyPatch, watches: int | None) -> None:
    monkeypatch.setattr(watching, "read_limits", lambda: Limits(watches, 128, 16384))


def test_directories_are_counted_as_the_watch_counts_them(house: House) -> None:
    for path in ("2026/11", ".thumbnails/1", "@eaDir"):
        (house.folder("alice") / path).mkdir(parents=True)
    (house.data / "bob/files/Archived").mkdir()
    house.folder("bob", "Other/inner")
    house.folder("admin")
    [found] = look(house)
    assert found.level is Level.OK
    # alice: InstantUpload, 2026, 11; bob: InstantUpload
    assert found.message.startswith("4 directories are watched")


def test_nothing_to_watch_yet(house: House) -> None:
    settings = house.settings(users={"include": {}})
    assert [check.message for check in watching.watching(settings, Clock())] == ["there is no folder to be watched yet"]


def test_polling_by_wish(house: House) -> None:
    assert "watch.mode is poll" in look(house, "poll")[0].message


@pytest.mark.parametrize(
    ("watches", "mode", "level"),
    [
        (None, "auto", Level.OK),
        (6, "auto", Level.OK),
        (5, "auto", Level.WARNING),  # 4 of 5, while a watch is renewed
        (4, "inotify", Level.WARNING),
        (3, "auto", Level.WARNING),
        (3, "inotify", Level.FAILED),
    ],
)
def test_the_limit_is_warned_of_from_80_percent(
    house: House, monkeypatch: pytest.MonkeyPatch, watches: int | None, mode: str, level: Level
) -> None:
    allow(monkeypatch, watches)
    [found] = look(house, mode)
    assert found.level is level
    if level is not Level.OK:
        assert found.code == "watch.limit"
        assert "sysctl -w fs.inotify.max_user_watches=524288" in found.hint
        assert ("looking again and again" in found.message) is (watches == 3 and mode == "auto")


def test_network_file_systems_are_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = str(house.folder("alice"))
    monkeypatch.setattr(watching, "silent_kind", lambda path: "nfs4" if path == alice else None)
    silent, heard = look(house)
    assert (silent.level, "nfs4" in silent.message, "alice" in silent.message) == (Level.OK, True, True)
    assert heard.message.startswith("1 directory is watched")
    silent, heard = look(house, "inotify")
    assert (silent.level, silent.code) == (Level.FAILED, "watch.silent")
    assert "auto" in silent.hint
    assert heard.message.startswith("2 directories are watched")


class Hurried(Clock):
    now_at = 0.0

    def monotonic(self) -> float:
        self.now_at += watching.WALK
        return self.now_at


def test_a_tree_too_large_to_count_is_told_as_at_least(house: House) -> None:
    for number in range(5):
        (house.folder("alice") / str(number)).mkdir()
    [found] = watching.watching(house.settings(), Hurried())
    assert found.message.startswith("at least 2 directories are watched")


def test_instances_are_tried_by_doing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert watching.instances_left()
    # Without room for descriptors the kernel gives the same answer (EMFILE) as without room for instances.
    script = (
        "import os, resource\n"
        "from daemon.checks.watching import instances_left\n"
        "assert instances_left()\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0) + 2,) * 2)\n"
        "print(instances_left(), instances_left())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
    monkeypatch.setattr(watching, "instances_left", lambda: False)
    [_, found] = look(house)
    assert (found.level, found.code) == (Level.WARNING, "watch.limit")
    assert "fs.inotify.max_user_instances" in found.hint
    assert str(read_limits().instances) in found.message
