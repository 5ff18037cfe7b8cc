"""Side files with equal bytes: each belongs to its own photo, and is let go only where it stands beside that one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from daemon.ledger.model import State
from tests.relay.world import FOLDER, shot

if TYPE_CHECKING:
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">one preset for all</x:xmpmeta>'


@pytest.mark.parametrize("via", ["folder", "photoprism"])
@pytest.mark.parametrize("again", [False, True], ids=["late alone", "its photo comes again too"])
async def test_a_recipe_that_another_photo_has_too_is_brought_beside_its_own(
    make_world: MakeWorld, via: str, again: bool
) -> None:
    world = await make_world(via, **OFF)
    await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1), f"{FOLDER}/IMG_1.xmp": XMP})
    await world.deliver("alice", {f"{FOLDER}/IMG_2.jpg": shot(2)})
    await world.relay()
    photo = {f"{FOLDER}/IMG_2.jpg": shot(2)} if again else {}
    *_, late = await world.deliver("alice", {**photo, f"{FOLDER}/IMG_2.xmp": XMP})
    await world.relay()
    assert world.photo(late).state is State.DONE, world.said()
    assert world.standing() == {}
    recipes = {path.rpartition(".")[0] for path, content in world.archived().items() if content == XMP}
    photos = {path.rpartition(".")[0] for path, content in world.archived().items() if content != XMP}
    assert recipes == photos
    # And what comes once more is known: it stands there.
    before = world.archived()
    *_, once_more = await world.deliver("alice", {**photo, f"{FOLDER}/IMG_2.xmp": XMP})
    await world.relay()
    assert world.photo(once_more).state is State.DONE, world.said()
    assert world.archived() == before


@pytest.mark.parametrize("via", ["folder", "photoprism"])
async def test_two_late_ones_at_once(make_world: MakeWorld, via: str) -> None:
    world = await make_world(via, **OFF)
    await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1), f"{FOLDER}/IMG_2.jpg": shot(2)})
    await world.relay()
    await world.deliver("alice", {f"{FOLDER}/IMG_1.xmp": XMP, f"{FOLDER}/IMG_2.xmp": XMP})
    await world.relay()
    assert world.standing() == {}, world.said()
    assert len({path.rpartition(".")[0] for path in world.archived()}) == 2
    assert list(world.archived().values()).count(XMP) == 2
