"""Whenever the power goes, no photo is lost, and what is started again ends as if there had been no cut.

By default a few cuts of each configuration; ``PHOTON_RELAY_TORTURE=all`` tries hundreds. The seed is printed, and
``PHOTON_RELAY_KILL_SEED`` repeats it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kill.world import Configuration
from tests.torture.needs import LONG, many, needs_fuse

if TYPE_CHECKING:
    from tests.torture.power.conftest import Make

pytestmark = [needs_fuse, pytest.mark.slow, pytest.mark.timeout(4 * 3600 if LONG else 300)]

CONFIGURATIONS = [
    Configuration("folder", "delete", "archive"),
    Configuration("folder", "keep", "delete"),
    Configuration("photoprism", "trash", "delete"),
    Configuration("photoprism", "tag", "archive"),
]


@pytest.mark.parametrize("ledger_too", [True, False], ids=["ledger too", "ledger elsewhere"])
@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
async def test_after_a_power_cut_it_ends_as_if_undisturbed(
    configuration: Configuration, ledger_too: bool, trials: Make
) -> None:
    tried = trials(configuration, ledger_too=ledger_too)
    expected, points = await tried.undisturbed()
    await tried.cut(tried.chosen(points, many(4, 200)), expected)
    assert not tried.tally.faults, tried.tally.said()
