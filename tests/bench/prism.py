"""With PhotoPrism: what of the time is ours, where it takes 200 ms for a photo."""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import subprocess
from contextlib import closing
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
    """Sweep photos into the stand-in, a process of its own, and take the time off that its own work took."""
    count, runs = bench.of(400, 60), min(bench.runs, 3)
    make_photos(bench.root / "master", count, SIZE)
    shares = [share(bench.root / "prism", bench.root / "master", count) for _ in range(runs)]
    shutil.rmtree(bench.root / "master")
    name = f"our share beside PhotoPrism's time, {count} photos at 200 ms"
    yield Figure(name, statistics.median(shares), "%", 0.05, runs=runs)


def share(root: Path, master: Path, count: int) -> float:
    """Give what passes besides PhotoPrism's own seconds, from the first batch's opening to the last photo's end."""
    root.mkdir()
    scene, originals = Scene(root / "scene", root / "import"), root / "originals"
    originals.mkdir()
    prism = Prism(root, scene.archive, originals)
    places = {"url": prism.url, "token": TOKEN, "import": str(scene.archive), "originals": str(originals)}
    scene.make(more={"archive": {"via": "photoprism"}, "photoprism": places})
    shutil.copytree(master, scene.source, dirs_exist_ok=True)
    subprocess.run(["sync"], check=True)
    prism.start()
    try:
        prism.traps(seconds_per_photo=EACH)
        subprocess.run(command(RELAY, scene), check=True, capture_output=True, stdin=subprocess.DEVNULL)
        if sum(one.is_file() for one in originals.rglob("*.jpg")) != count:
            raise RuntimeError("not all photos arrived")
        own = float(prism.state()["worked"])
        with closing(sqlite3.connect(scene.root / "state/ledger.db")) as ledger:
            [[began]] = ledger.execute("SELECT MIN(created_at) FROM batches").fetchall()
            [[ended]] = ledger.execute("SELECT MAX(ended_at) FROM photos").fetchall()
        return float((ended - began - own) / own)
    finally:
        prism.kill()
        shutil.rmtree(root)
