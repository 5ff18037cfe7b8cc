"""Killed while it lists what stands there when a ledger meets it for the first time: an archive's folder, a home.

What stands in the archive by hand is recognised only where the listing has it, and what stood in a home is left alone.
A listing that was cut short and taken for whole would bring those photos a second time, or relay what nobody wanted
relayed. Where a run is in its listing is found by killing it and looking.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.kill.killer import Plan
from tests.kill.trials import ALL, SEED
from tests.kill.world import Configuration
from tests.torture.needs import LONG, many

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.kill.conftest import Make
    from tests.kill.killer import Point
    from tests.kill.trials import Trials
    from tests.kill.world import World
    from tests.kill.zygote import Ran

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600 if ALL or LONG else 300)]

STOCKED = Configuration("folder", "delete", "keep", stocked=True)
UNWANTED = Configuration("folder", "delete", "archive", existing=False)
_BEFORE = 12
"""Calls before the first lines of the listing are there: the pages of that transaction."""


def listed(world: World) -> int:
    """Give how many files the listing has."""
    return len(world.rows("SELECT id FROM stock"))


def whole(world: World) -> bool:
    """Tell whether the ledger says that the listing is whole."""
    return bool(world.rows("SELECT * FROM marks WHERE name = 'archive-listed'"))


async def from_when(tried: Trials, points: Sequence[Point], begun: Callable[[World], object]) -> int:
    """Give the place of the first point at which a killed run leaves that behind."""
    low, high = 0, len(points) - 1
    while low < high:
        middle = (low + high) // 2
        async with tried.world() as world:
            await tried.run(world, "sweep", plan=Plan(points[middle]))
            low, high = (low, middle) if begun(world) else (middle + 1, high)
    return low


async def test_killed_while_it_lists_the_archive(trials: Make) -> None:
    tried = trials(STOCKED)
    expected, points = await tried.undisturbed()
    recognised = [line for line in expected["places"] if line.startswith(("archive/1999/", "archive/film/"))]
    assert len(recognised) == 2, expected["places"]
    assert len(expected["listed"]) == 12, expected["listed"]
    begin = await from_when(tried, points, listed)
    # What was recognised is written down by then, and the rest is placed.
    end = next(place for place, point in enumerate(points) if point.site.startswith("archive/"))
    found = points[max(0, begin - _BEFORE) : end]
    dice = random.Random(SEED)
    every = [Plan(point, when) for point in found for when in ("before", "after")]
    left: set[tuple[int, bool]] = set()
    await tried.kill(
        every if ALL else [Plan(points[begin]), *dice.sample(every, min(len(every), many(5, 10_000)))],
        expected,
        look=lambda world: left.add((listed(world), whole(world))),
    )
    print(f"\n{len(found)} calls; listed when it was killed, and whether told as whole: {sorted(left)}")
    unfinished = {count for count, told in left if count and not told}
    assert len(unfinished) >= (4 if LONG else 1), left

    def again(_: Ran) -> Plan:
        return Plan(dice.choice(found))

    await tried.kill([Plan(point) for point in dice.choices(found, k=many(1, 60))], expected, again=again)
    assert not tried.tally.faults, tried.tally.said()


async def test_killed_while_it_lists_the_homes(trials: Make) -> None:
    """Nothing that stood there is ever taken, and what a lost ledger had left hidden has its name again."""
    tried = trials(UNWANTED)
    expected, points = await tried.undisturbed()
    assert expected["photos"] == []
    assert len(expected["stood there"]) == 11, expected["stood there"]
    begin = await from_when(tried, points, lambda world: world.rows("SELECT * FROM baseline"))
    moved = next(place for place, point in enumerate(points) if point.kind == "renameat2")
    dice = random.Random(SEED)
    every = [Plan(point, when) for point in points[max(0, begin - _BEFORE) :] for when in ("before", "after")]
    sure = [Plan(points[place]) for place in (begin, moved - 1, moved, moved + 1, moved + 2)]
    left: set[tuple[int, int]] = set()

    def look(world: World) -> None:
        whole = world.rows("SELECT * FROM homes WHERE baseline_at IS NOT NULL")
        left.add((len(world.rows("SELECT * FROM baseline")), len(whole)))

    await tried.kill(
        every if ALL else [*sure, *dice.sample(every, min(len(every), many(3, 10_000)))], expected, look=look
    )
    print(f"\n{len(every) // 2} calls; files and homes that were listed when it was killed: {sorted(left)}")
    assert any(files and homes < 3 for files, homes in left), left
    assert not tried.tally.faults, tried.tally.said()
