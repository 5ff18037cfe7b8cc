"""Killed while it lists a folder archive that its ledger meets for the first time: nothing twice, nothing unlisted.

What stands in the archive by hand is recognised only where the listing has it. A listing that was cut short and taken
for whole would bring those photos a second time. Where a run is in its listing is found by killing it and looking.
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
    from collections.abc import Sequence

    from tests.kill.conftest import Make
    from tests.kill.killer import Point
    from tests.kill.trials import Trials
    from tests.kill.world import World
    from tests.kill.zygote import Ran

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600 if ALL or LONG else 300)]

STOCKED = Configuration("folder", "delete", "keep", stocked=True)
_BEFORE = 12
"""Calls before the first lines of the listing are there: the pages of that transaction."""


def listed(world: World) -> int:
    """Give how many files the listing has."""
    return len(world.rows("SELECT id FROM stock"))


def whole(world: World) -> bool:
    """Tell whether the ledger says that the listing is whole."""
    return bool(world.rows("SELECT * FROM marks WHERE name = 'archive-listed'"))


async def among(tried: Trials, points: Sequence[Point]) -> list[Point]:
    """Give the points from before the listing to when what was recognised is written down and the rest is placed."""
    low, high = 0, len(points) - 1
    while low < high:
        middle = (low + high) // 2
        async with tried.world() as world:
            await tried.run(world, "sweep", plan=Plan(points[middle]))
            low, high = (low, middle) if listed(world) else (middle + 1, high)
    placing = next(place for place, point in enumerate(points) if point.site.startswith("archive/"))
    assert low < placing
    return list(points[max(0, low - _BEFORE) : placing])


async def test_killed_while_it_lists_the_archive(trials: Make) -> None:
    tried = trials(STOCKED)
    expected, points = await tried.undisturbed()
    recognised = [line for line in expected["places"] if line.startswith(("archive/1999/", "archive/film/"))]
    assert len(recognised) == 2, expected["places"]
    assert len(expected["listed"]) == 12, expected["listed"]
    found = await among(tried, points)
    dice = random.Random(SEED)
    every = [Plan(point, when) for point in found for when in ("before", "after")]
    left: set[tuple[int, bool]] = set()
    await tried.kill(
        every if ALL else dice.sample(every, min(len(every), many(10, 10_000))),
        expected,
        look=lambda world: left.add((listed(world), whole(world))),
    )
    print(f"\n{len(found)} calls; listed when it was killed, and whether told as whole: {sorted(left)}")
    unfinished = {count for count, told in left if count and not told}
    assert len(unfinished) >= (4 if LONG else 1), left

    def again(_: Ran) -> Plan:
        return Plan(dice.choice(found))

    await tried.kill([Plan(point) for point in dice.choices(found, k=many(2, 60))], expected, again=again)
    assert not tried.tally.faults, tried.tally.said()
