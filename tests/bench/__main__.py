"""Prints the table of figures: ``python -m tests.bench`` (``make bench``)."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import calls, latency, lists, live, living, many, prism, races, sweeping
from tests.bench.bench import Bench
from tests.bench.figures import Figure, table
from tests.bench.scene import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PARTS: dict[str, Callable[[Bench], Iterable[Figure]]] = {
    "race": races.figures,
    "many": many.figures,
    "prism": prism.figures,
    "latency": latency.figures,
    "idle": living.idle_figures,
    "memory": living.memory_figures,
    "sweep": sweeping.figures,
    "lists": lists.figures,
    "calls": calls.figures,
    "live": live.figures,
}
"""Each part of the table; what it measures it gives as rows, and what else is worth a word it notes."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--dir", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--quick", action="store_true", help="the short form: smaller trees, fewer runs")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved runs, of which medians are shown (5)")
    parser.add_argument("--only", nargs="*", choices=PARTS, help="just these parts")
    return parser.parse_args()


def main() -> int:
    """Measure and print; ends with 1 where a goal was not kept."""
    asked = arguments()
    for needed in ("rsync", str(PROGRAM)):
        if shutil.which(needed) is None:
            print(f"{needed} is not here; rsync: apt-get install rsync, the program: make .venv/.dev", file=sys.stderr)
            return 1
    rows: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="photon-relay-bench-", dir=asked.dir) as folder:
        bench = Bench(Path(folder), asked.quick, asked.rounds)
        machine = f"Python {platform.python_version()}, Linux {platform.release()}, {os.cpu_count()} cores"
        for name in asked.only or PARTS:
            began = time.monotonic()
            rows += PARTS[name](bench)
            bench.note(f"({name}: {time.monotonic() - began:.0f} s)")
    print(f"{machine}{', the short form' if asked.quick else ''}\n\n{table(rows)}")
    return 0 if all(row.kept for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
