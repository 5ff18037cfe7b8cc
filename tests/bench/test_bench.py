"""The benchmark measures what it says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.bench import contenders, lists, measure, sweeping
from tests.bench.contenders import RELAY, SHA1SUM
from tests.bench.races import named, table
from tests.bench.scene import Scene, make_photos, marks

if TYPE_CHECKING:
    from pathlib import Path


def test_bytes_of_children_are_counted(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(3_000_000))
    # Not cat: a newer one uses copy_file_range, which overlayfs counts a second time for the layer below.
    cost = measure.run(["sh", "-c", f"dd bs=64k if={source} of={tmp_path}/copy"], tmp_path / "report")
    assert 3_000_000 <= cost.read < 3_200_000
    assert 3_000_000 <= cost.written < 3_010_000
    assert 0 < cost.seconds < 10


def test_a_failed_command_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="oh no"):
        measure.run(["sh", "-c", "echo oh no >&2; exit 3"], tmp_path / "report")


def test_cpu_and_memory_are_those_of_the_process() -> None:
    code = (
        "from time import process_time as spent\n"
        "held = bytearray(50_000_000)\n"
        "while spent() < 0.4: pass\n"
        "print(flush=True)\n"
        "input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert 0.2 < measure.cpu_seconds(process.pid) < 3
        assert measure.memory(process.pid) > 50_000_000
        woken = measure.Wakeups(process.pid)
        assert woken.count() == 0, "it waits for us"
        process.communicate(b"\n")


def test_the_wakeups_of_threads_that_end_are_counted() -> None:
    code = (
        "import threading, time\n"
        "input()\n"
        "thread = threading.Thread(target=lambda: [time.sleep(0.05) for _ in range(40)])\n"
        "thread.start(); thread.join(); print(flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        woken = measure.Wakeups(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        for _ in range(15):
            time.sleep(0.1)
            woken.count()
        process.stdout.readline()
        assert 15 < woken.count() < 60
        process.communicate(b"\n")


@pytest.mark.skipif(shutil.which("rsync") is None, reason="needs rsync: apt-get install rsync")
@pytest.mark.parametrize("name", [name for name in contenders.names() if name not in (RELAY, SHA1SUM)])
def test_the_others_move_everything(tmp_path: Path, name: str) -> None:
    scene = Scene(tmp_path / "scene", tmp_path / "archive")
    scene.make()
    payload = make_photos(scene.source, 3, 100_000)
    brought = marks(scene.source, 100_000)
    assert len(brought) == 3, "each is known by its own bytes"
    cost = measure.run(contenders.command(name, scene), tmp_path / "report")
    contenders.check(name, scene, brought, 100_000)
    if name in (contenders.RSYNC, contenders.LOOP, contenders.ELODIE):
        assert cost.read >= payload, "they read every byte at least once"


def test_a_photo_that_another_has_overwritten_has_not_arrived(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scene", tmp_path / "archive")
    scene.make()
    make_photos(scene.source, 3, 100_000)
    first, second, third = sorted(scene.source.iterdir())
    brought = marks(scene.source, 100_000)
    with pytest.raises(RuntimeError, match="3 photos left, 0 of 3 arrived"):
        contenders.check("a rival", scene, brought, 100_000)
    copy = third.read_bytes()
    first.rename(scene.archive / "20200101-000000.jpg")
    second.replace(scene.archive / "20200101-000000.jpg")  # as two photos of one second would be
    third.rename(scene.archive / "20200101-020000.jpg")
    (scene.archive / "20200101-020000-2.jpg").write_bytes(copy)
    assert len(list(scene.archive.iterdir())) == 3
    with pytest.raises(RuntimeError, match="0 photos left, 2 of 3 arrived"):
        contenders.check("a rival", scene, brought, 100_000)


def test_a_photo_is_known_again_with_more_metadata_but_not_when_it_was_cut(tmp_path: Path) -> None:
    make_photos(tmp_path, 1, 100_000)
    [photo] = tmp_path.iterdir()
    whole, brought = photo.read_bytes(), marks(tmp_path, 100_000)
    photo.write_bytes(whole[:2] + b"\xff\xe1\x00\x06more" + whole[2:])
    assert marks(tmp_path, 100_000) == brought
    photo.write_bytes(whole[:-1])
    assert marks(tmp_path, 100_000) != brought


def test_who_is_not_here_does_not_race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert contenders.names() == contenders.NAMES
    (tmp_path / "phockup").touch(0o755)
    assert contenders.names() == (*contenders.NAMES, contenders.PHOCKUP)


def test_a_row_says_what_its_rival_does_not_do() -> None:
    few = contenders.photos_for(contenders.PHOCKUP, 2000)
    assert few < 2000 == contenders.photos_for(RELAY, 2000)
    assert contenders.photos_for(contenders.PHOCKUP, 60) == 60
    slow = contenders.Result(contenders.PHOCKUP, few, 9.0, 1, 2, 3, 4)
    assert named(slow, 2000, linked=True).endswith(f", with {few} photos")
    assert named(slow, few, linked=True) == contenders.PHOCKUP
    quick = contenders.Result(contenders.RCLONE, 60, 900.0, 0, 0, 0, 0)
    assert "reads nothing" in named(quick, 60, linked=True)
    assert named(quick, 60, linked=False) == contenders.RCLONE


def test_the_table_compares() -> None:
    rates = dict(zip(contenders.NAMES[:3], (50.0, 100.0, 25.0), strict=True))
    lines = table([contenders.Result(name, 60, rate, 1, 2, 3, 4) for name, rate in rates.items()]).splitlines()
    assert [line.split()[-7:-4] for line in lines[1:]] == [
        ["50.0", "0.50", "2.00"],
        ["100.0", "1.00", "4.00"],
        ["25.0", "0.25", "1.00"],
    ]


@pytest.mark.skipif(shutil.which("rsync") is None, reason="needs rsync: apt-get install rsync")
def test_a_small_race_is_run_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = contenders.FOUND | {contenders.LOOP: contenders.Found("bash", "races with three photos here", most=3)}
    monkeypatch.setattr(contenders, "NAMES", (RELAY, contenders.RSYNC, SHA1SUM))
    monkeypatch.setattr(contenders, "FOUND", found)
    payload = make_photos(tmp_path / "master", 5, 100_000)
    results = contenders.race(tmp_path, tmp_path, tmp_path / "master", 5, payload, 1)
    assert [one.name for one in results] == [RELAY, contenders.RELAY_ALONE, *contenders.names()[1:]]
    relay, alone, *_, loop = results
    assert alone.rate > relay.rate
    assert relay.read >= 1, "every byte was read to be hashed"
    assert (relay.count, loop.count) == (5, 3)
    assert 1 <= loop.read < 1.5, "per byte of the three photos"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["cost.json", "master"]


def test_a_page_of_a_hundred_thousand_photos_takes_no_longer_than_it_may(tmp_path: Path) -> None:
    lists.fill(tmp_path / "state", 100_000)
    found = lists.pages(tmp_path / "state", 100_000)
    assert len(found) > 15
    # The quickest of several: another process on the machine is no fault of the query.
    assert [one.name for one in found if one.best > lists.LIMIT] == []
    assert "over the limit" in lists.table([lists.Took("slow", 0.04, 0.051, 0.06)])


def test_a_sweep_with_nothing_new_is_quicker_than_a_full_one(tmp_path: Path) -> None:
    found = sweeping.sweeps(tmp_path, 300)
    assert found.ordinary < found.full
    assert found.find > 0
