"""The races: a folder of photos moved by the program and by what people use instead."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.bench import contenders
from tests.bench.figures import Figure
from tests.bench.scene import make_photos, second_file_system

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.bench import Bench

MIB = 1 << 20
NOTES = """\
Read and written are bytes by system calls (copy_file_range counts as both, reflink and rename as neither), disk r and
disk w those from and to the block layer, each per byte of the photos. photon-relay proves every byte, writes a ledger
and syncs to disk before it removes; rsync and the loop do not sync. rsync reads and writes twice, since
its two processes pass every byte through a socket."""


def figures(bench: Bench) -> Iterator[Figure]:
    """Race on one file system and across two."""
    count, size = bench.of(150, 50), 2 * MIB
    payload = make_photos(bench.root / "master", count, size)
    bench.note(NOTES)
    yield from _race(bench, bench.root, "one file system", count, payload)
    with second_file_system(bench.root, 3 * payload + 256 * MIB) as (second, what):
        yield from _race(bench, second, f"to {what}", count, payload)
    shutil.rmtree(bench.root / "master")


def _race(bench: Bench, archives: Path, where: str, count: int, payload: int) -> Iterator[Figure]:
    results = contenders.race(bench.root, archives, bench.root / "master", count, payload, bench.runs)
    bench.note(f"\n{where}\n{table(results)}")
    rates = {one.name: one.rate for one in results}
    for rival, goal in ((contenders.RSYNC, 1.5), (contenders.LOOP, 1.0)):
        name = f"{count} photos of {payload / count / MIB:g} MiB, {where}"
        yield Figure(
            name, rates[contenders.RELAY], "photos/s", rates[rival], rival, goal=goal, least=True, runs=bench.runs
        )


def table(results: list[contenders.Result]) -> str:
    """Give the race as lines; the ratio is to the contender named."""
    rates = {one.name: one.rate for one in results}
    heads = ("photos/s", "x rsync", "x loop", "read", "written", "disk r", "disk w")
    lines = [" " * 30 + "".join(f"{head:>10}" for head in heads)]
    for one in results:
        ratios = (one.rate / rates[contenders.RSYNC], one.rate / rates[contenders.LOOP])
        shares = (one.read, one.written, one.disk_read, one.disk_written)
        lines.append(f"{one.name:30}{one.rate:10.1f}" + "".join(f"{value:10.2f}" for value in (*ratios, *shares)))
    return "\n".join(lines)
