"""The kill test: whenever the program is killed, no photo is missing, and started again it ends as if it had not been.

Killed instead of a system call that changes something; which there are is found by tracing an undisturbed run. By
default the first and last of each kind of step boundary, and a sample of all other calls; with
``PHOTON_RELAY_TORTURE=all`` hundreds of each configuration, with ``PHOTON_RELAY_KILL=all`` every one.
``PHOTON_RELAY_KILL_SEED`` repeats a sample.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.kill.killer import Plan, Point
from tests.kill.trials import ALL, SEED, chosen
from tests.kill.world import Configuration, differences
from tests.torture.needs import LONG, many

if TYPE_CHECKING:
    from tests.kill.conftest import Make
    from tests.kill.zygote import Ran

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * 3600 if ALL or LONG else 600)]

FOLDER = [Configuration("folder", "delete", "archive"), Configuration("folder", "keep", "delete")]
PHOTOPRISM = [Configuration("photoprism", "trash", "delete"), Configuration("photoprism", "tag", "archive")]
DISKS = [
    (FOLDER[0], {"on": "btrfs"}, {}),
    (FOLDER[0], {"on": "xfs"}, {}),
    (Configuration("folder", "archive", "delete"), {"on": "tmpfs", "archive_on": "ext4"}, {}),
    (Configuration("folder", "trash", "tag"), {"on": "ext4"}, {}),
    (Configuration("photoprism", "delete", "archive"), {"on": "btrfs"}, {}),
    (Configuration("photoprism", "archive", "delete"), {"on": "xfs", "archive_on": "btrfs"}, {}),
    (Configuration("photoprism", "keep", "trash"), {"on": "tmpfs"}, {"exdev": True}),
]
"""Reflinks, hard links and copies: one disk that shares extents, one that does not, two; PhotoPrism moves or copies."""


@pytest.mark.parametrize("configuration", [*FOLDER, *PHOTOPRISM], ids=str)
async def test_killed_anywhere_it_ends_as_if_undisturbed(configuration: Configuration, trials: Make) -> None:
    tried = trials(configuration)
    expected, points = await tried.undisturbed()
    plans = chosen(points, others=8, most=many(42, 130))
    await tried.kill(plans, expected)
    assert not tried.tally.faults, tried.tally.said()
    # A run that meets other points than the counted one would try nothing.
    assert tried.tally.not_met <= max(3, tried.tally.tried // 8), str(tried.tally)


@pytest.mark.parametrize(("configuration", "disks", "traps"), DISKS if LONG else DISKS[:1], ids=str)
async def test_killed_anywhere_on_other_disks(
    configuration: Configuration, disks: dict[str, str], traps: dict[str, bool], trials: Make
) -> None:
    tried = trials(configuration, **disks)
    expected, points = await tried.undisturbed(traps=traps)
    await tried.kill(chosen(points, others=4, most=many(10, 100)), expected, traps=traps)
    assert not tried.tally.faults, tried.tally.said()


@pytest.mark.parametrize("configuration", [FOLDER[0], PHOTOPRISM[0]], ids=str)
async def test_killed_at_random_moments(configuration: Configuration, trials: Make) -> None:
    tried = trials(configuration)
    expected, _ = await tried.undisturbed()
    dice = random.Random(SEED)
    await tried.kill([Plan(None, "during", dice.uniform(0.01, tried.took)) for _ in range(many(3, 50))], expected)
    assert not tried.tally.faults, tried.tally.said()


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
    deletions = [point for point in points if point.site == "occ files:delete"]
    assert len(deletions) == 6
    await tried.kill([Plan(point, when) for point in deletions[:3] for when in ("after", "before")], expected)
    assert not tried.tally.faults, tried.tally.said()


async def test_two_of_one_name_both_come_into_the_bin(trials: Make) -> None:
    """The bin calls both ``name.d<second>``, and the program that knew of the first is dead."""
    tried = trials(Configuration("folder", "trash", "keep", namesakes=True))
    expected, points = await tried.undisturbed()
    deletions = [point for point in points if point.site == "occ files:delete"]
    await tried.kill([Plan(point, "after") for point in deletions], expected)
    assert not tried.tally.faults, tried.tally.said()


async def test_killed_while_photoprism_imports(trials: Make) -> None:
    """The import goes on without us, and meets us again while it does."""
    tried = trials(PHOTOPRISM[0])
    expected, points = await tried.undisturbed()
    asked = next(point for point in points if point.site == "POST /import/*")
    plans = [Plan(asked, "during", late) for late in (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)]
    await tried.kill(plans, expected, traps={"seconds_per_photo": 0.08})
    assert not tried.tally.faults, tried.tally.said()


@pytest.mark.parametrize("last", ["IMG_0002.HEIC", "IMG_0002.MOV"] if LONG else ["IMG_0002.HEIC"])
async def test_killed_while_it_puts_a_torn_live_photo_together(last: str, trials: Make) -> None:
    """PhotoPrism has restarted in its middle; whoever is killed then ends as if nobody had been."""
    tried = trials(PHOTOPRISM[0])
    torn = {"crash_at": [last]}
    expected, _ = await tried.undisturbed()
    end, points = await tried.undisturbed(traps=torn)
    assert differences(expected, end) == []
    [put_back, *_] = [
        number
        for number, point in enumerate(points)
        if point.kind == "renameat2" and point.site.startswith("import/.photon-relay-*/")
    ]
    plans = [Plan(points[put_back], "before"), Plan(points[put_back], "after")]
    around = points[max(0, put_back - 40) : put_back + 40]
    await tried.kill([*plans, *(chosen(around, others=8, most=60) if LONG else ())], expected, traps=torn)
    assert not tried.tally.faults, tried.tally.said()


def test_a_points_name_is_read_back() -> None:
    point = Point("commit", "photos.wait < pipeline._batch_waits", 12)
    assert Point.read(str(point)) == point
