"""The kill test: whenever the program is killed, no photo is missing, and started again it ends as if it had not been.

By default the step boundaries of each configuration and a sample of all other moments; ``PHOTON_RELAY_KILL=all`` tries
every one, before and after. ``PHOTON_RELAY_KILL_SEED`` repeats a sample.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tests.kill.killer import Plan, Point
from tests.kill.trials import ALL, SEED, Trials, chosen
from tests.kill.world import Configuration

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kill.zygote import Ran

    Make: TypeAlias = Callable[[Configuration], Trials]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * 3600 if ALL else 600)]

FOLDER = [Configuration("folder", "delete", "archive"), Configuration("folder", "keep", "delete")]
PHOTOPRISM = [Configuration("photoprism", "trash", "delete"), Configuration("photoprism", "tag", "archive")]


@pytest.mark.parametrize("configuration", [*FOLDER, *PHOTOPRISM], ids=str)
async def test_killed_anywhere_it_ends_as_if_undisturbed(configuration: Configuration, trials: Make) -> None:
    tried = trials(configuration)
    expected, points = await tried.undisturbed()
    plans = chosen(points, others=8, most=42)
    await tried.kill(plans, expected)
    assert not tried.tally.faults, tried.tally.said()
    # A run that meets other points than the counted one would try nothing.
    assert tried.tally.not_met <= max(3, tried.tally.tried // 8), str(tried.tally)


@pytest.mark.parametrize("configuration", [FOLDER[0], PHOTOPRISM[0]], ids=str)
async def test_killed_again_while_it_recovers(configuration: Configuration, trials: Make) -> None:
    tried = trials(configuration)
    expected, points = await tried.undisturbed()
    dice = random.Random(SEED)
    plans = [Plan(point) for point in dice.sample(points, len(points) if ALL else 12)]

    def again(_: Ran) -> Plan:
        # Which points a recovery meets depends on where it begins: any of the whole run, mostly early ones.
        return Plan(dice.choice([point for point in points if point.nth < 3]))

    await tried.kill(plans, expected, again=again)
    assert not tried.tally.faults, tried.tally.said()


@pytest.mark.parametrize("configuration", [FOLDER[0], PHOTOPRISM[0]], ids=str)
async def test_killed_while_it_restores(configuration: Configuration, trials: Make) -> None:
    """Whichever command comes next, in the end all is back once, and no sweep takes it again."""
    restore, sweep = ("restore", *"123456789"), ("sweep",)
    tried = trials(configuration)
    expected, _ = await tried.undisturbed(sweep, restore, sweep)
    _, points = await tried.undisturbed(sweep, restore)
    plans = chosen(points, others=6, most=20)
    for mine, after in ((plans[::2], [sweep, restore, sweep]), (plans[1::2], [restore, sweep])):
        await tried.kill(mine, expected, before=[sweep], command=restore, after=after)
    assert not tried.tally.faults, tried.tally.said()


async def test_what_was_trashed_just_before_is_told_as_trashed(trials: Make) -> None:
    """Nextcloud has done it, we could not write it down: that is no deed of the owner's."""
    tried = trials(Configuration("folder", "trash", "keep"))
    expected, points = await tried.undisturbed()
    assert any("InstantUpload/IMG_0001.jpg: trashed" in line for line in expected["audit"])
    deletions = [point for point in points if point.kind == "occ" and point.site == "files:delete"]
    assert len(deletions) == 6
    await tried.kill([Plan(point, when) for point in deletions[:3] for when in ("after", "before")], expected)
    assert not tried.tally.faults, tried.tally.said()


async def test_two_of_one_name_both_come_into_the_bin(trials: Make) -> None:
    """The bin calls both ``name.d<second>``, and the program that knew of the first is dead."""
    tried = trials(Configuration("folder", "trash", "keep", namesakes=True))
    expected, points = await tried.undisturbed()
    deletions = [point for point in points if point.kind == "occ" and point.site == "files:delete"]
    await tried.kill([Plan(point, "after") for point in deletions], expected)
    assert not tried.tally.faults, tried.tally.said()


async def test_killed_while_photoprism_imports(trials: Make) -> None:
    """The import goes on without us, and meets us again while it does."""
    tried = trials(PHOTOPRISM[0])
    expected, points = await tried.undisturbed()
    asked = next(point for point in points if point.kind == "http" and point.site == "POST import")
    plans = [Plan(asked, "during", late) for late in (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)]
    await tried.kill(plans, expected, traps={"seconds_per_photo": 0.08})
    assert not tried.tally.faults, tried.tally.said()


def test_a_points_name_is_read_back() -> None:
    point = Point("commit", "photos.wait < pipeline._batch_waits", 12)
    assert Point.read(str(point)) == point
