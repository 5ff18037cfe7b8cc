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
Read and written are bytes by system calls (copy_file_range counts as both, reflink, link and rename as neither), disk
r and disk w those from and to the block layer, each per byte of the photos. photon-relay proves every byte, writes a
ledger and syncs to disk before it removes; the others do not sync. rsync passes every byte through a socket between its
two processes. On one file system the loop renames; it compares nothing afterwards. Who would take minutes for all
photos races with fewer, as the first column says; every rate is per photo."""


def figures(bench: Bench) -> Iterator[Figure]:
    """Race on one file system and across two."""
    count, size = bench.of(2000, 60), 3 * MIB
    payload = make_photos(bench.root / "master", count, size)
    bench.note(NOTES)
    for name, found in contenders.FOUND.items():
        here = name in contenders.names()
        bench.note(f"{name}: {found.about}" if here else f"{name} is not here and does not race")
    yield from _race(bench, bench.root, "one file system", count, payload)
    shutil.rmtree(bench.root / "master")
    # Here each byte is written: a tenth of the photos tells as much.
    payload = make_photos(bench.root / "master", count // 10, size)
    with second_file_system(bench.root, 3 * payload + 256 * MIB) as (second, what):
        yield from _race(bench, second, f"to {what}", count // 10, payload)
    shutil.rmtree(bench.root / "master")


def _race(bench: Bench, archives: Path, where: str, count: int, payload: int) -> Iterator[Figure]:
    results = contenders.race(bench.root, archives, bench.root / "master", count, payload, bench.runs)
    bench.note(f"\n{where}\n{table(results)}")
    by_name = {one.name: one for one in results}
    rate = by_name[contenders.RELAY].rate
    name = f"{count} photos of {payload / count / MIB:g} MiB, {where}"
    linked = archives == bench.root
    if linked:
        limit = by_name[contenders.SHA1SUM]
        yield Figure(name, count / rate, "s", count / limit.rate, limit.name, goal=1.25, runs=bench.runs)
    # A few photos weigh less than the program's own files, which every start reads.
    relay = by_name[contenders.RELAY_ALONE]
    yield Figure(f"bytes read per byte relayed, {where}", relay.read, "", 1.05 if linked else 2.05, runs=bench.runs)
    written = 0.05 if linked else 1.05
    yield Figure(f"bytes written per byte relayed, {where}", relay.written, "", written, runs=bench.runs)
    for rival in (by_name[one] for one in (contenders.RSYNC, contenders.LOOP, *contenders.FOUND) if one in by_name):
        goal = 1.5 if rival.name == contenders.RSYNC else 1.0
        against = named(rival, count, linked=linked)
        yield Figure(name, rate, "photos/s", rival.rate, against, goal=goal, least=True, runs=bench.runs)


def named(rival: contenders.Result, count: int, *, linked: bool) -> str:
    """Give a rival's name for its row, with what its rate does not say by itself."""
    if rival.name == contenders.RCLONE and linked:
        return f"{rival.name}, a rename that reads nothing"
    return rival.name if rival.count == count else f"{rival.name}, with {rival.count} photos"


def table(results: list[contenders.Result]) -> str:
    """Give the race as lines; the ratio is to the contender named."""
    rates = {one.name: one.rate for one in results}
    heads = ("photos", "photos/s", "x rsync", "x loop", "read", "written", "disk r", "disk w")
    width = max(len(one.name) for one in results)
    lines = [" " * width + "".join(f"{head:>10}" for head in heads)]
    for one in results:
        ratios = (one.rate / rates[contenders.RSYNC], one.rate / rates[contenders.LOOP])
        shares = (one.read, one.written, one.disk_read, one.disk_written)
        lines.append(
            f"{one.name:{width}}{one.count:10}{one.rate:10.1f}"
            + "".join(f"{value:10.2f}" for value in (*ratios, *shares))
        )
    return "\n".join(lines)
