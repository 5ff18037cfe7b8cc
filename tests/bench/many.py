"""Twenty thousand small photos, where the cost is that of each file; and one newcomer behind them."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from daemon.demo import samples
from tests import uploads
from tests.bench.figures import Figure
from tests.bench.latency import Arrivals
from tests.bench.scene import FOLDER, USER, Scene, make_photos, photos_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.bench.bench import Bench

SIZE = 100_000
PACE = 1500.0
SETTLE = 1.0
NEWCOMER = datetime(2019, 1, 1, tzinfo=UTC)
"""In no month that the backlog has, so that its folder in the archive is its own."""


def figures(bench: Bench) -> Iterator[Figure]:
    """Relay a backlog of small photos, and let another photo come while it is relayed."""
    count, runs = bench.of(20_000, 3_000), min(bench.runs, 3)
    make_photos(bench.root / "master", count, SIZE)
    rates = [rate(bench.root, bench.root / "master", count) for _ in range(runs)]
    name = f"{count} photos of 100 kB, from examine to release"
    yield Figure(name, statistics.median(rates), "photos/s", PACE, least=True, runs=runs)
    waits = [newcomer(bench.root, bench.root / "master", count) for _ in range(runs)]
    yield Figure(f"a newcomer behind {count} photos, settled to visible", statistics.median(waits), "s", 2.0, runs=runs)
    shutil.rmtree(bench.root / "master")


def rate(root: Path, master: Path, count: int) -> float:
    """Give the photos a second through the four steps: all have settled, the pause ends, until the last one's end."""
    scene = Scene(root / "scene", root / "archive")
    scene.make(settle=f"{SETTLE:.0f}s")
    with scene.daemon():
        scene.post("pause")
        shutil.copytree(master, scene.source, dirs_exist_ok=True)
        subprocess.run(["sync"], check=True)
        until(lambda: scene.ledger("SELECT COUNT(*) FROM photos WHERE state = 'settled'") == count)
        began = time.time()
        scene.post("resume")
        until(lambda: scene.ledger("SELECT COUNT(*) FROM photos WHERE state <> 'done'") == 0)
        ended = scene.ledger("SELECT MAX(ended_at) FROM photos")
    if (photos_in(scene.source), photos_in(scene.archive)) != (0, count):
        raise RuntimeError("not all photos arrived")
    scene.remove()
    return float(count / (ended - began))


def newcomer(root: Path, master: Path, count: int) -> float:
    """Give the seconds from the end of a photo's settle time to its arrival, while a backlog is relayed."""
    scene = Scene(root / "scene", root / "archive")
    scene.make(settle=f"{SETTLE:.0f}s")
    with scene.daemon():
        uploads.make_folders(scene.archive / "2019/01")
        arrivals = Arrivals(scene.archive / "2019/01", deep=False)
        shutil.copytree(master, scene.source, dirs_exist_ok=True)
        until(lambda: photos_in(scene.archive) > count // 20)
        uploads.put(
            scene.data / USER, f"{FOLDER}/new.jpg", samples.jpeg(NEWCOMER, 7, SIZE), NEWCOMER + timedelta(hours=1)
        )
        quiet = (scene.source / "new.jpg").stat().st_ctime_ns / 1e9
        waited = arrivals.wait(120) - quiet - SETTLE
        if photos_in(scene.archive) >= count:
            raise RuntimeError("the backlog was over before the newcomer came: it measures nothing")
    scene.remove()
    return waited


def until(holds: Callable[[], bool], patience: float = 120) -> None:
    """Wait until something holds."""
    end = time.monotonic() + patience
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError("the backlog is not relayed")
        time.sleep(0.05)
