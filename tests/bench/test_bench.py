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
from tests.bench.races import table
from tests.bench.scene import Scene, make_photos, photos_in

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
@pytest.mark.parametrize("name", [contenders.RSYNC, contenders.LOOP])
def test_the_others_move_everything(tmp_path: Path, name: str) -> None:
    scene = Scene(tmp_path / "scene", tmp_path / "archive")
    scene.make()
    payload = make_photos(scene.source, 3, 100_000)
    cost = measure.run(contenders.command(name, scene), tmp_path / "report")
    assert photos_in(scene.archive) == 3
    assert photos_in(scene.source) == 0
    assert cost.read >= payload, "both read every byte at least once"


def test_the_table_compares() -> None:
    rates = dict(zip(contenders.NAMES[:3], (50.0, 100.0, 25.0), strict=True))
    lines = table([contenders.Result(name, rate, 1, 2, 3, 4) for name, rate in rates.items()]).splitlines()
    assert [line.split()[-7:-4] for line in lines[1:]] == [
        ["50.0", "0.50", "2.00"],
        ["100.0", "1.00", "4.00"],
        ["25.0", "0.25", "1.00"],
    ]


@pytest.mark.skipif(shutil.which("rsync") is None, reason="needs rsync: apt-get install rsync")
def test_a_small_race_is_run_to_its_end(tmp_path: Path) -> None:
    payload = make_photos(tmp_path / "master", 5, 100_000)
    results = contenders.race(tmp_path, tmp_path, tmp_path / "master", 5, payload, 1)
    assert [one.name for one in results] == [contenders.RELAY, contenders.RELAY_ALONE, *contenders.names()[1:]]
    relay, alone, *_ = results
    assert alone.rate > relay.rate
    assert relay.read >= 1, "every byte was read to be hashed"
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
