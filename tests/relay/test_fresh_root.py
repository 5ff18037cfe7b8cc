"""Run as root (on bare metal): what is made in a user's home, or for PhotoPrism, belongs to whom its folder does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from daemon.ledger.model import State
from tests.relay.world import FOLDER, shot

if TYPE_CHECKING:
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


async def test_folders_set_aside_belong_to_nextcloud(make_world: MakeWorld) -> None:
    world = await make_world("folder", **OFF, users={"after": "archive"})
    for folder in [world.data, *world.data.rglob("*")]:
        os.chown(folder, 33, 33)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    assert world.photo(photo).state is State.DONE
    for made in [world.path("alice", "Archived"), *world.path("alice", "Archived").rglob("*")]:
        if made.name != "IMG_1.jpg":
            assert made.stat().st_uid == 33, made
    assert world.path("alice", "Archived/.nomedia").exists()
