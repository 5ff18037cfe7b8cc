"""Both servers lie at every call for hours, people meddle, the program is stopped again and again: nothing is lost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from daemon.relay import photoprism_archive, photoprism_proof
from tests.relay.conftest import a_world
from tests.torture.chaos import Chaos

if TYPE_CHECKING:
    from pathlib import Path

LONG = os.environ.get("PHOTON_RELAY_TORTURE") == "all"
HOURS, SEEDS = (24.0, range(12)) if LONG else (3.0, range(1))
RULES: dict[str, dict[str, Any]] = {
    "delete and trash": {"users": {"include": {"alice": {}, "bob": {"after": "trash"}}}},
    "archive, and wait": {"users": {"include": {"alice": {"after": "archive"}, "bob": {"release_after": "30m"}}}},
    "originals not mounted": {"photoprism": {"originals": "", "albums": ["Of {user}"]}},
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("seed", SEEDS)
async def test_hours_of_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: str, seed: int) -> None:
    monkeypatch.setattr(photoprism_archive, "HEARING", 0.02)
    monkeypatch.setattr(photoprism_proof, "LOOK", 0.02)
    async with a_world(tmp_path, "photoprism", **RULES[rules]) as world:
        world.patience = 0.3
        await world.restart()
        chaos = Chaos(world, seed)
        await chaos.trouble(HOURS)
        await chaos.end()
    print(f"{chaos.photos} photos, {chaos.whims.calls} calls, {chaos.whims.met.total()} traps, {chaos.deeds}")
