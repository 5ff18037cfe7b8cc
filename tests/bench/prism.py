"""With PhotoPrism: what of the time is ours, where it takes 200 ms for a photo."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from typing import TYPE_CHECKING

from tests.bench.contenders import RELAY, command
from tests.bench.figures import Figure
from tests.bench.scene import Scene, make_photos
from tests.e2e.world import TOKEN, Prism

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.bench import Bench

EACH = 0.2
SIZE = 3_000_000


def figures(bench: Bench) -> Iterator[Figure]:
    """Sweep photos into the stand-in and take its own time off."""
    count, runs = bench.of(200, 20), min(bench.runs, 3)
    make_photos(bench.root / "master", count, SIZE)
    ours = statistics.median(seconds(bench.root / "prism", bench.root / "master", count) for _ in range(runs))
    nothing = statistics.median(seconds(bench.root / "prism", bench.root / "none", 0) for _ in range(runs))
    shutil.rmtree(bench.root / "master")
    share = (ours - nothing - count * EACH) / (count * EACH)
    yield Figure(f"our share beside PhotoPrism's time, {count} photos at 200 ms", share, "%", 0.05, runs=runs)


def seconds(root: Path, master: Path, count: int) -> float:
    """Give the seconds of a sweep, the program's start and end included."""
    root.mkdir()
    master.mkdir(exist_ok=True)
    scene, originals = Scene(root / "scene", root / "import"), root / "originals"
    originals.mkdir()
    prism = Prism(root, scene.archive, originals)
    places = {"url": prism.url, "token": TOKEN, "import": str(scene.archive), "originals": str(originals)}
    scene.make(more={"archive": {"via": "photoprism"}, "photoprism": places})
    shutil.copytree(master, scene.source, dirs_exist_ok=True)
    prism.start()
    try:
        prism.traps(seconds_per_photo=EACH)
        began = time.monotonic()
        subprocess.run(command(RELAY, scene), check=True, capture_output=True, stdin=subprocess.DEVNULL)
        took = time.monotonic() - began
        if sum(one.is_file() for one in originals.rglob("*.jpg")) != count:
            raise RuntimeError("not all photos arrived")
        return took
    finally:
        prism.kill()
        shutil.rmtree(root)
