"""What Nextcloud is asked for after a batch, and what that costs by the times taken of a real one.

Nextcloud 32 on two cores: PHP's start and the apps 0.43 s a call, 0.86 ms for each file a scan looks at (17.2 s for
19,970 files, 0.52 s for a folder of 104), 0.6 s for one file's metadata, 0.83 s for Memories' index of a folder and
0.025 ms for each file below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.nextcloud.refresh_plan import Call, Changed, Features, MemoriesIndex, Scan, plan_refresh
from tests.bench.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.bench.bench import Bench

START, LOOKED_AT, METADATA, INDEX, INDEXED = 0.43, 0.00086, 0.045, 0.83, 0.000025
ALL = Features(
    generate_metadata=True, memories="8.1.0", memories_option="--path", memories_skip_cleanup=True, photos=True
)
Library = dict[str, int]
"""The files in each folder of the album."""


def figures(_bench: Bench) -> Iterator[Figure]:
    """Cost of one photo in a small and in a large folder, and of one batch in a small and in a large library."""
    small, large = (one_photo(files) for files in (20, 2_000))
    whole = START + 2_000 * METADATA
    name = "Nextcloud: one new photo in a folder of 2,000"
    yield Figure(name, large, "s", small, "the same in a folder of 20", goal=1.1)
    yield Figure(name, large, "s", whole, "one scan of the folder with metadata", goal=0.1)
    batch = [f"Album/2026/{month:02}" for month in range(1, 13)]
    made, cost = ask(library(years=2), batch, each=16)
    _, later = ask(library(years=20), batch, each=16)
    yield Figure("Nextcloud: 192 photos in 12 months of 20 years", later, "s", cost, "the same in 2 years", goal=1.1)
    scans = sum(isinstance(call, Scan) and not call.generate_metadata for call in made)
    indexes = sum(isinstance(call, MemoriesIndex) for call in made)
    yield Figure("Nextcloud: scans for 12 changed folders", scans, "", 12)
    yield Figure("Nextcloud: indexes for 12 changed folders of one root", indexes, "", 1)


def library(years: int) -> Library:
    """Make an album of so many years, 80 photos a month."""
    return {f"Album/{2027 - back}/{month:02}": 80 for back in range(1, years + 1) for month in range(1, 13)}


def one_photo(files: int) -> float:
    """Give the seconds for one photo that came into a folder of so many."""
    return ask({"Album/2026/11": files}, ["Album/2026/11"], each=1)[1]


def ask(album: Library, changed: list[str], *, each: int) -> tuple[tuple[Call, ...], float]:
    """Plan what to ask for where ``each`` photos came into every changed folder; give the calls and their seconds."""
    plan = plan_refresh(
        {},
        [
            Changed(path.removeprefix("Album/"), tuple(f"IMG_{number}.jpg" for number in range(each)), album[path])
            for path in changed
        ],
        album="/Album",
        seen_by="admin",
        features=ALL,
        count=lambda _user, path: below(album, path),
    )
    return plan.calls, sum(cost(call, album) for call in plan.calls)


def below(album: Mapping[str, int], path: str) -> int:
    """Count the files below a folder."""
    return sum(files for folder, files in album.items() if f"{folder}/".startswith(f"{path}/"))


def cost(call: Call, album: Mapping[str, int]) -> float:
    """Give the seconds that a call takes."""
    path = call.path or ""
    if isinstance(call, MemoriesIndex):
        return INDEX + INDEXED * below(album, path)
    if not call.generate_metadata:
        return START + LOOKED_AT * (album.get(path, 0) if call.shallow else below(album, path))
    return START + METADATA * album[path] if path in album else START + 0.17
