"""Whenever the power goes, no photo is lost, and what is started again ends as if there had been no cut.

By default a few cuts of two configurations; ``PHOTON_RELAY_TORTURE=all`` tries hundreds of each. The seed is printed,
and ``PHOTON_RELAY_KILL_SEED`` repeats it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.kill.trials import SEED
from tests.kill.world import Configuration
from tests.torture.needs import LONG, many, needs_fuse
from tests.torture.power.cuts import AT_THE_END, SWEEP, half_copies

if TYPE_CHECKING:
    from tests.torture.power.conftest import Make

pytestmark = [needs_fuse, pytest.mark.slow, pytest.mark.timeout(4 * 3600 if LONG else 300)]

CONFIGURATIONS = [
    Configuration("folder", "delete", "archive"),
    Configuration("folder", "keep", "delete"),
    Configuration("photoprism", "trash", "delete"),
    Configuration("photoprism", "tag", "archive"),
]


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
async def test_at_every_call_every_photo_is_on_the_disk(configuration: Configuration, trials: Make) -> None:
    tried = trials(configuration, ledger_too=False)
    states, lost = await tried.audited(many(5, 50))
    print(f"\n{configuration}: {states} states that a power cut may leave, at {tried.tally.points} calls, seed {SEED}")
    assert states >= tried.tally.points > 50
    assert not lost, lost[:5]


CASES = [(configuration, True) for configuration in (CONFIGURATIONS if LONG else CONFIGURATIONS[::2])]
if LONG:
    CASES += [(configuration, False) for configuration in CONFIGURATIONS]


@pytest.mark.parametrize(("configuration", "ledger_too"), CASES, ids=str)
async def test_after_a_power_cut_it_ends_as_if_undisturbed(
    configuration: Configuration, ledger_too: bool, trials: Make
) -> None:
    tried = trials(configuration, ledger_too=ledger_too)
    expected, points = await tried.undisturbed()
    await tried.cut([AT_THE_END, *tried.chosen(points, many(3, 200))], expected)
    assert not tried.tally.faults, tried.tally.said()


@pytest.mark.parametrize("configuration", CONFIGURATIONS[::2] if LONG else CONFIGURATIONS[:1], ids=str)
async def test_cut_again_while_it_recovers(configuration: Configuration, trials: Make) -> None:
    tried = trials(configuration)
    expected, points = await tried.undisturbed()
    await tried.cut(tried.chosen(points, many(1, 60)), expected, again=points // 2)
    assert not tried.tally.faults, tried.tally.said()


@pytest.mark.parametrize("configuration", CONFIGURATIONS[::2] if LONG else CONFIGURATIONS[:1], ids=str)
async def test_cut_while_it_restores(configuration: Configuration, trials: Make) -> None:
    """In the end all is back once, and no sweep takes it again."""
    restore = ("restore", *"123456789")
    tried = trials(configuration)
    expected, _ = await tried.undisturbed(SWEEP, restore, SWEEP)
    _, points = await tried.undisturbed(SWEEP, restore)
    cuts = tried.chosen(points, many(1, 60))
    await tried.cut([AT_THE_END, *cuts], expected, before=[SWEEP], command=restore, after=[restore, SWEEP])
    assert not tried.tally.faults, tried.tally.said()


async def test_photoprism_copies_between_its_disks_and_syncs_nothing(trials: Make) -> None:
    tried = trials(CONFIGURATIONS[2], traps={"exdev": True})
    expected, points = await tried.undisturbed()
    await tried.cut([AT_THE_END, *tried.chosen(points, many(1, 100))], expected)
    assert not tried.tally.faults, tried.tally.said()


@pytest.mark.parametrize("ledger_too", [True, False] if LONG else [True])
@pytest.mark.parametrize("exdev", [False, True] if LONG else [False])
@pytest.mark.parametrize("configuration", CONFIGURATIONS[2:] if LONG else CONFIGURATIONS[2:3], ids=str)
async def test_cut_in_the_middle_of_an_import(
    configuration: Configuration, exdev: bool, ledger_too: bool, trials: Make
) -> None:
    """What PhotoPrism had taken in of a Live Photo and what it had not become one thing all the same."""
    tried = trials(configuration, ledger_too=ledger_too, traps={"exdev": exdev})
    expected, _ = await tried.undisturbed()
    await tried.cut(tried.in_imports(many(3, 100)), expected)
    assert not tried.tally.faults, tried.tally.said()
    assert tried.tally.torn > tried.tally.tried // 2, str(tried.tally)


def test_after_half_copies_only_what_is_photoprisms_is_left_out() -> None:
    def end(state: str, code: str, *places: str) -> dict[str, Any]:
        photos = [("alice", "a.jpg", state, 0, "trash", "2026/a.jpg", "", code)]
        return {"import": [], "private names": [], "jobs": [], "photos": photos, "places": list(places)}

    def wrong(found: dict[str, Any], said: str = "2026/a.jpg is a half copy of a.jpg of alice") -> list[str]:
        return half_copies(expected, found, said)

    expected = end("done", "", "archive/2026/a.jpg = 50ed")
    half, stands = "archive/2026/a.jpg = 0000", "alice/files/a.jpg = 50ed"
    assert wrong(end("done", "", "archive/2026/a.00001.jpg = 50ed", half)) == []
    assert wrong(end("done", "", "archive/2026/a.00001.jpg = 50ed", half), "") != []
    assert wrong(end("held", "archive.half_copy", half, stands)) == []
    assert wrong(end("held", "archive.half_copy", half)) != [], "it stands nowhere"
    assert wrong(end("waiting", "archive.broken", half, stands)) != [], "nobody says what to do"
    assert wrong(end("done", "", "archive/2026/a.jpg = 50ed", "archive/b.jpg = 50ed")) != []
    assert wrong(end("done", "", "archive/2026/a.jpg = 50ed") | {"import": ["x"]}) != []
