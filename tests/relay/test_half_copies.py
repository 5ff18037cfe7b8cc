"""Half copies that a power cut left in PhotoPrism's originals: found, told once, and never touched."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from daemon.demo.samples import live_pair
from daemon.ledger.model import State
from daemon.relay.half_copies import beside, is_half
from daemon.service.again import try_again
from tests.relay.world import FOLDER, TAKEN, World, shot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
PATH = f"{FOLDER}/IMG_1.jpg"
WHOLE = os.urandom(3 * 4096 + 100)
HALVES = {
    "empty": b"",
    "the beginning": WHOLE[:5000],
    "the beginning, and a page of zeros": WHOLE[:4096] + bytes(4096),
    "its size, and no bytes": bytes(len(WHOLE)),
    "a hole": WHOLE[:4096] + bytes(4096) + WHOLE[8192:],
    "a part of a page": WHOLE[:100] + bytes(3996) + WHOLE[4096:],
    "the end of a page": bytes(3000) + WHOLE[3000:],
    "the last piece is missing": WHOLE[: 3 * 4096] + bytes(100),
}
OTHERS = {
    "the whole": WHOLE,
    "another one": os.urandom(5000),
    "one byte is another": WHOLE[:100] + bytes([WHOLE[100] ^ 1]) + WHOLE[101:],
    "more than it": WHOLE + b"\0",
    "a hole in the middle of a page": WHOLE[:100] + bytes(100) + WHOLE[200:],
}


@pytest.mark.parametrize("name", [*HALVES, *OTHERS])
def test_only_a_part_of_the_same_bytes_is_a_half_copy(tmp_path: Path, name: str) -> None:
    (tmp_path / "whole").write_bytes(WHOLE)
    (tmp_path / "half").write_bytes((HALVES | OTHERS)[name])
    assert is_half(str(tmp_path), "half", str(tmp_path), "whole") is (name in HALVES)


def test_only_names_with_a_number_have_others_before_them(tmp_path: Path) -> None:
    root = str(tmp_path)
    for name in ("x.jpg", "x.00001.jpg", "y.jpg"):
        (tmp_path / name).write_bytes(WHOLE[:10])
    (tmp_path / "x.00002.jpg").write_bytes(WHOLE)
    (tmp_path / "y.00001.jpg").write_bytes(b"another")
    (tmp_path / "z.00001.jpg").write_bytes(WHOLE)
    (tmp_path / "z.jpg").symlink_to(tmp_path / "x.jpg")
    assert beside(root, "x.00002.jpg") == ("x.jpg", "x.00001.jpg")
    assert beside(root, "x.jpg") == beside(root, "y.00001.jpg") == beside(root, "z.00001.jpg") == ()


async def once_relayed(world: World) -> Path:
    """Relay a photo and give its file in the archive."""
    [photo] = await world.deliver("alice", {PATH: shot(1)})
    await world.relay()
    return world.archive_root / world.photo(photo).archived_as


def halved(path: Path) -> bytes:
    """Leave half of a file, with the size of the whole, as a power cut may; give what stands there now."""
    content = path.read_bytes()
    left = content[:4096] + bytes(len(content) - 4096)
    path.write_bytes(left)
    return left


async def test_beside_the_whole_photo_it_is_told_once_and_until_it_is_deleted(make_world: MakeWorld) -> None:
    world = await make_world("photoprism", **OFF)
    assert world.pp is not None
    half = await once_relayed(world)
    left = halved(half)
    world.pp.forget(world.pp.rows[0].hash)
    with world.bus.listen() as heard:
        for user in ("bob", "alice", "bob"):
            [photo] = await world.deliver(user, {f"{FOLDER}/again.jpg": shot(1)})
            await world.relay()
            assert world.photo(photo).state is State.DONE, world.said()
        await world.sweep()
    name = str(half.relative_to(world.archive_root))
    assert world.photo(photo).archived_as == name.replace(".jpg", ".00001.jpg")
    [issue] = world.issues.all()
    assert (issue.code, name in issue.message, name in issue.hint) == ("archive.half_copy", True, True)
    assert [event.type for event in heard._queue if event.type.startswith("issue.")] == ["issue.opened"]
    assert half.read_bytes() == left, "nobody here deletes it"
    world.issues.clear(issue.about)
    await world.restart()
    async with world.running():
        await world.until(lambda: [one.code for one in world.issues.all()] == ["archive.half_copy"])
    half.unlink()
    async with world.running():
        await world.until(lambda: world.issues.all() == [])
    await world.restart()
    assert world.ledger.marks.get("half copies") == "{}"


async def test_where_photoprism_takes_it_for_the_photo_the_owner_hears_which_file_to_delete(
    make_world: MakeWorld,
) -> None:
    world = await make_world("photoprism", **OFF)
    half = await once_relayed(world)
    left = halved(half)
    [photo] = await world.deliver("bob", {PATH: shot(1)})
    await world.relay()
    assert (world.photo(photo).state, world.photo(photo).code) == (State.WAITING, "archive.broken")
    await world.later(301)
    await world.relay()
    held = world.photo(photo)
    assert (held.state, held.code) == (State.HELD, "archive.half_copy"), world.said()
    name = str(half.relative_to(world.archive_root))
    assert name in held.message
    assert name in held.hint
    assert (half.read_bytes(), world.path("bob", PATH).read_bytes()) == (left, shot(1))
    half.unlink()
    try_again(world.ledger, held.id, world.clock.time)
    await world.relay()
    await world.later(301)
    await world.relay()
    assert world.photo(photo).state is State.DONE, world.said()
    assert list(world.archived().values()) == [shot(1)]


async def test_where_both_halves_of_a_live_photo_are_half_copies_both_are_named_at_once(make_world: MakeWorld) -> None:
    world = await make_world("photoprism", **OFF)
    pair = dict(zip((f"{FOLDER}/IMG_2.HEIC", f"{FOLDER}/IMG_2.MOV"), live_pair(TAKEN, 3, 9000), strict=True))
    photos = await world.deliver("alice", pair)
    await world.relay()
    halves = [world.photo(photo).archived_as for photo in photos]
    for half in halves:
        (world.archive_root / half).write_bytes((world.archive_root / half).read_bytes()[:300])
        os.truncate(world.archive_root / half, len(pair[f"{FOLDER}/IMG_2.{half.rpartition('.')[2].upper()}"]))
    again = await world.deliver("bob", pair)
    await world.relay()
    await world.later(301)
    await world.relay()
    for photo in again:
        held = world.photo(photo)
        assert (held.state, held.code) == (State.HELD, "archive.half_copy"), world.said()
        assert all(f"{half} is a half copy of IMG_2." in held.message and half in held.hint for half in halves)
