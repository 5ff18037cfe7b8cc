"""A home of a million real photos: listed, left alone, looked through, then relayed one by one by a real daemon.

``make million`` (``ARGS="--files 100000"`` for fewer, ``--minutes 30`` to stop the daemon after so many and look what
stands where then). Ten photos a folder, every tenth one the same as one before it; the archive is the folder. At the
end each content must stand in the archive once, and nothing else may: it is read again, all of it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from blake3 import blake3

from daemon.demo import samples
from tests.bench.measure import cpu_seconds, memory
from tests.bench.scene import FOLDER, PROGRAM, USER, Scene

if TYPE_CHECKING:
    from collections.abc import Callable

EACH = 10
"""Photos in each folder."""
AGAIN = 10
"""One photo in so many is the same as the one before it."""
FIRST = datetime(2019, 1, 1, tzinfo=UTC)
EVERY = 30.0
"""Seconds between two looks."""
MIB = 1 << 20
HEAD = " minutes    ended      MiB   peak    fds  threads   ledger  B/photo   CPU s"


class Million:
    """One run in a folder of its own."""

    def __init__(self, root: Path, files: int, say: Callable[[str], None]) -> None:
        self.scene = Scene(root / "scene", root / "archive")
        self.files, self.say = files, say
        self.contents: set[bytes] = set()
        self.memories: list[int] = []
        self.descriptors: list[int] = []
        self.began = time.monotonic()

    def make(self) -> None:
        """Make the home; its photos are of minutes one after the other."""
        self.scene.make(settle="1s", more=self._settings(existing=False))
        for folder in range(-(-self.files // EACH)):
            where = self.scene.source / f"{folder // 1000:04}" / f"{folder % 1000:04}"
            where.mkdir(parents=True)
            for number in range(folder * EACH, min(self.files, (folder + 1) * EACH)):
                seed = number - 1 if number % AGAIN == AGAIN - 1 else number
                taken = FIRST + timedelta(minutes=seed)
                photo = samples.jpeg(taken, seed)
                path = where / f"IMG_{number:07}.jpg"
                path.write_bytes(photo)
                os.utime(path, (int(taken.timestamp()),) * 2)
                self.contents.add(blake3(photo).digest())

    @staticmethod
    def _settings(*, existing: bool) -> dict[str, dict[str, object]]:
        users = {"include": {USER: {"folders": [FOLDER]}}, "new": "exclude", "existing": existing, "after": "delete"}
        return {"users": users}

    def run(self, seconds: float) -> dict[str, int]:
        """Start the daemon over that home, have all of it relayed, stop it after so many seconds at most."""
        with self.scene.daemon(patience=1800) as (pid, started):
            self._until(lambda: bool(self._asked("SELECT 1 FROM homes WHERE baseline_at IS NOT NULL")))
            listed = self._asked("SELECT COUNT(*) FROM baseline")
            self.say(
                f"well {started:.1f} s after the start; {listed:,} files listed, {time.monotonic() - self.began:.0f} s"
            )
            self.say(f"memory {self._memory(pid)}, ledger {self._ledger() / MIB:.1f} MiB")
            began = time.monotonic()
            self._command("sweep")
            self.say(f"a sweep with nothing new: {time.monotonic() - began:.1f} s, memory {self._memory(pid)}")
            assert self._asked("SELECT COUNT(*) FROM photos") == 0, "what stood there was to be left alone"
            self._existing()
            self.say(HEAD)
            end = time.monotonic() + seconds
            with (self.scene.root / "sweep.out").open("wb") as out:
                sweep = subprocess.Popen(
                    [PROGRAM, "--config", self.scene.config, "sweep"], stdin=subprocess.DEVNULL, stdout=out, stderr=out
                )
                try:
                    while sweep.poll() is None and time.monotonic() < end:
                        self._look(pid)
                        with contextlib.suppress(subprocess.TimeoutExpired):
                            sweep.wait(min(EVERY, max(0.1, end - time.monotonic())))
                finally:
                    sweep.send_signal(signal.SIGTERM)
                    sweep.wait(60)
            self.say((self.scene.root / "sweep.out").read_text(errors="replace")[-300:].strip())
            self._look(pid)
        return self.counts()

    def _existing(self) -> None:
        """Have what stood there relayed too, as a person would: in the file, which the daemon reads by itself."""
        settings = yaml.safe_load(self.scene.config.read_text()) | self._settings(existing=True)
        fresh = self.scene.config.with_suffix(".new")
        fresh.write_text(yaml.safe_dump(settings))
        fresh.replace(self.scene.config)
        time.sleep(3)

    def _command(self, *words: str) -> None:
        subprocess.run(
            [PROGRAM, "--config", self.scene.config, *words], stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True
        )

    def _look(self, pid: int) -> None:
        ended = self._asked("SELECT COUNT(*) FROM photos WHERE state = 'done'")
        photos = self._asked("SELECT COUNT(*) FROM photos")
        ledger = self._ledger()
        self.memories.append(memory(pid))
        self.descriptors.append(len(list(Path(f"/proc/{pid}/fd").iterdir())))
        self.say(
            f"{(time.monotonic() - self.began) / 60:8.1f} {ended:8,} {self.memories[-1] / MIB:8.1f}"
            f" {memory(pid, 'VmHWM') / MIB:6.0f} {self.descriptors[-1]:6}"
            f" {len(list(Path(f'/proc/{pid}/task').iterdir())):8} {ledger / MIB:8.1f}"
            f" {ledger / max(1, photos):8.0f} {cpu_seconds(pid):7.0f}"
        )

    def _memory(self, pid: int) -> str:
        return f"{memory(pid) / MIB:.0f} MiB (at most {memory(pid, 'VmHWM') / MIB:.0f})"

    def _ledger(self) -> int:
        return sum(path.stat().st_size for path in (self.scene.root / "state").glob("ledger.db*"))

    def _asked(self, query: str) -> int:
        """Ask the ledger for one number, without writing to it; 0 where it is not there yet."""
        with contextlib.suppress(sqlite3.OperationalError):
            path = f"file:{self.scene.root}/state/ledger.db?mode=ro"
            with contextlib.closing(sqlite3.connect(path, uri=True, timeout=30)) as ledger:
                found = ledger.execute(query).fetchone()
                return int(found[0]) if found else 0
        return 0

    def _until(self, holds: Callable[[], bool], patience: float = 1800) -> None:
        end = time.monotonic() + patience
        while not holds():
            assert time.monotonic() < end, (self.scene.root / "log").read_text(errors="replace")[-3000:]
            time.sleep(0.2)

    def counts(self) -> dict[str, int]:
        """Read all that stands anywhere, and give what came out."""
        home, archive = _contents(self.scene.source), _contents(self.scene.archive)
        ended = self._asked("SELECT COUNT(*) FROM photos WHERE state = 'done'")
        return {
            "photos": self.files,
            "contents": len(self.contents),
            "ended": ended,
            "in the archive": archive.total(),
            "lost": len(self.contents - set(home) - set(archive)),
            "twice in the archive": archive.total() - len(archive),
            "in the archive and nobody's": len(set(archive) - self.contents),
            # One that stops in the middle of a batch may have its photos in both places.
            "left at home, though ended": max(0, home.total() - (self.files - ended)),
            "faults in the log": (self.scene.root / "log").read_text(errors="replace").count("Traceback"),
        }


MUST_BE_NONE = (
    *("lost", "twice in the archive", "in the archive and nobody's", "left at home, though ended"),
    "faults in the log",
)


def _contents(folder: Path) -> Counter[bytes]:
    return Counter(
        blake3(Path(where, name).read_bytes()).digest() for where, _, names in os.walk(folder) for name in names
    )


def relay(root: Path, files: int, seconds: float, say: Callable[[str], None]) -> dict[str, int]:
    """Make a home of so many files, relay it, and give what came out."""
    million = Million(root, files, say)
    million.make()
    say(f"{files:,} photos of {len(million.contents):,} contents made in {time.monotonic() - million.began:.0f} s")
    million.began = time.monotonic()
    counts = million.run(seconds)
    for name, count in counts.items():
        say(f"{count:10,}  {name}")
    return counts


def main() -> int:
    """Run it from the command line; 1 where something was lost or done twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.million", description=__doc__)
    parser.add_argument("--files", type=int, default=1_000_000, help="photos in the home (1000000)")
    parser.add_argument("--minutes", type=float, default=24 * 60.0, help="relay for so long at most")
    parser.add_argument("--dir", type=Path, default=None, help="where to make the world; 10 GB (a temporary folder)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="photon-relay-million-", dir=given.dir) as folder:
        counts = relay(Path(folder), given.files, given.minutes * 60, lambda line: print(line, flush=True))
    wrong = [name for name in MUST_BE_NONE if counts[name]]
    print(f"WRONG: {', '.join(wrong)}" if wrong else "all well", flush=True)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
