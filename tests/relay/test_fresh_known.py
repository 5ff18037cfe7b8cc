"""What the ledger knows must not hide a file that is another one now, nor let one go that is not to go."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from daemon.ledger.model import State
from tests.relay.world import FOLDER, MTIME, shot

if TYPE_CHECKING:
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}


async def test_what_is_written_to_while_it_waits_for_its_batch_settles_anew(make_world: MakeWorld) -> None:
    world = await make_world("folder", **OFF)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    world.put("alice", f"{FOLDER}/IMG_1.jpg", shot(1)[:-50])  # a sync tool writes it anew, and is half-way
    assert await world.intake.found([world.found("alice", f"{FOLDER}/IMG_1.jpg")])
    assert world.photo(photo).state is State.FOUND, "it is not quiet any more"
    world.put("alice", f"{FOLDER}/IMG_1.jpg", shot(2))
    await world.settle("alice", [f"{FOLDER}/IMG_1.jpg"])
    await world.relay()
    assert list(world.archived().values()) == [shot(2)]


async def test_a_kept_original_that_is_edited_in_place_is_relayed_anew(make_world: MakeWorld) -> None:
    """Same path, same inode, same size: only the time and the bytes tell (a rotation flag set by exiftool)."""
    world = await make_world("folder", **OFF, users={"after": "keep"})
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    assert world.photo(photo).state is State.DONE
    path = world.path("alice", f"{FOLDER}/IMG_1.jpg")
    edited = shot(1)[:-20] + bytes(18) + shot(1)[-2:]
    with path.open("r+b") as file:
        file.write(edited)
    os.utime(path, (MTIME + 60, MTIME + 60))
    await world.sweep()
    await world.relay()
    assert sorted(world.archived().values()) == sorted([shot(1), edited])


async def test_a_kept_original_that_is_only_touched_is_left_alone_whatever_the_rule_is_by_then(
    make_world: MakeWorld,
) -> None:
    world = await make_world("folder", **OFF, users={"after": "keep"})
    await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    world.change(**OFF, users={"after": "delete"})
    os.utime(world.path("alice", f"{FOLDER}/IMG_1.jpg"), (MTIME + 60, MTIME + 60))
    await world.sweep()
    await world.relay()
    assert world.path("alice", f"{FOLDER}/IMG_1.jpg").read_bytes() == shot(1)
    # Uploaded anew it is another file, and goes by the rule that is in force.
    path = world.path("alice", f"{FOLDER}/IMG_1.jpg")
    path.with_name("x.part").write_bytes(shot(1))
    path.with_name("x.part").replace(path)
    await world.sweep()
    await world.relay()
    assert not path.exists()
    assert list(world.archived().values()) == [shot(1)]


async def test_originals_of_one_who_is_not_included_any_more_are_kept(make_world: MakeWorld) -> None:
    world = await make_world("folder", **OFF, users={"release_after": "1h"})
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: world.photo(photo).state is State.ARCHIVED)
    settings = world._settings(OFF)
    settings["users"] = {"include": {"bob": {}}, "after": "delete", "new": "ask"}
    world.current.settings = type(world.settings).model_validate(settings)
    await world.later(4000)
    await world.relay()
    assert world.photo(photo).after == "keep"
    assert world.path("alice", f"{FOLDER}/IMG_1.jpg").exists()


async def test_what_is_put_back_while_it_comes_again_is_not_let_go(make_world: MakeWorld) -> None:
    world = await make_world("folder", **OFF)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    world.change(**OFF, users={"release_after": "1h"})
    [again] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: world.photo(again).state is State.ARCHIVED)
    await world.restore.photo(photo.id)
    await world.later(4000)
    await world.relay()
    assert world.path("alice", f"{FOLDER}/IMG_1.jpg").read_bytes() == shot(1), world.said()
