"""From the end of the settle time to a photo that stands where the archive takes it from."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from inotify_simple import INotify, flags

from daemon.demo import samples
from tests import uploads
from tests.bench.figures import Figure
from tests.bench.scene import FOLDER, USER, Scene
from tests.e2e.world import TOKEN, Prism

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.bench import Bench

SETTLE = 1.0
SIZE = 3_000_000


class Arrivals:
    """Notes when a name that is not hidden appears in a folder, with ``deep`` in one below it too."""

    def __init__(self, folder: Path, *, deep: bool) -> None:
        self._deep = deep
        self._events = INotify()
        self._events.add_watch(folder, flags.CREATE | flags.MOVED_TO)
        self._paths = {1: folder}
        self._came = threading.Event()
        self.at = 0.0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while True:
                for event in self._events.read():
                    now = time.time()
                    if self._deep and event.mask & flags.ISDIR and not event.name.startswith("."):
                        path = self._paths[event.wd] / event.name
                        with contextlib.suppress(OSError):  # a test of rights, away again
                            self._paths[self._events.add_watch(path, flags.CREATE | flags.MOVED_TO)] = path
                    if event.name.startswith(".") or (event.mask & flags.ISDIR and event.mask & flags.CREATE):
                        continue
                    if not self._came.is_set():
                        self.at = now
                        self._came.set()

    def expect(self) -> None:
        """Forget what has come so far."""
        self._came.clear()

    def wait(self, patience: float) -> float:
        """Give the wall time of the first arrival since `expect`."""
        if not self._came.wait(patience):
            raise RuntimeError("nothing has come")
        return self.at


def figures(bench: Bench) -> Iterator[Figure]:
    """Upload photo after photo, each into a program at rest."""
    count = bench.of(100, 12)
    for via in ("photoprism", "folder"):
        late = measure(bench.root / via, via, count)
        where = "import" if via == "photoprism" else "the folder archive"
        yield Figure(f"settled to visible in {where}, median", statistics.median(late) * 1000, "ms", 50, runs=count)
        worst = sorted(late)[max(0, -(-99 * len(late) // 100) - 1)]
        yield Figure(f"settled to visible in {where}, 99th percentile", worst * 1000, "ms", 200, runs=count)


def measure(root: Path, via: str, count: int) -> list[float]:
    """Give the seconds between the end of each photo's settle time and its arrival."""
    scene, late = Scene(root / "scene", root / "archive"), []
    (root / "originals").mkdir(parents=True)
    prism = Prism(root, scene.archive, root / "originals")
    more = {}
    if via == "photoprism":
        more = {
            "archive": {"via": via},
            "photoprism": {
                "url": prism.url,
                "token": TOKEN,
                "import": str(scene.archive),
                "originals": str(root / "originals"),
            },
        }
    scene.make(settle=f"{SETTLE:.0f}s", more=more)
    with contextlib.ExitStack() as stack:
        if via == "photoprism":
            prism.start()
            stack.callback(prism.kill)
        stack.callback(scene.remove)
        stack.enter_context(scene.daemon())
        time.sleep(2)
        arrivals = Arrivals(scene.archive, deep=via == "folder")
        for seed in range(count):
            # At another moment of whatever beats inside.
            time.sleep(0.5 + seed * 0.037 % 1.0)
            taken = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=seed)
            arrivals.expect()
            uploads.put(scene.data / USER, f"{FOLDER}/IMG_{seed:04}.jpg", samples.jpeg(taken, seed, SIZE), taken)
            quiet = (scene.source / f"IMG_{seed:04}.jpg").stat().st_ctime_ns / 1e9
            late.append(arrivals.wait(60) - quiet - SETTLE)
    return late
