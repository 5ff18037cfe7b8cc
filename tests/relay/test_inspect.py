"""Inspection steps: what they may do, and that nothing they do wrong keeps photos from moving."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from PIL import Image

from daemon.ledger.model import State
from daemon.relay import inspect, near_duplicates
from daemon.relay.inspect import Inspection, Opinion
from daemon.service.again import try_again
from tests.files.media import photo as plain
from tests.relay.world import FOLDER, World, shot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from daemon.ledger.model import Photo
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}


class Fake:
    name = "fake"
    on = True

    def __init__(self, look: Callable[[Sequence[Photo]], Awaitable[Mapping[int, Opinion]]]) -> None:
        self.inspect = look


def put_in(world: World, *inspectors: Any) -> None:
    world.pipeline.filling.inspection = Inspection(inspectors, world.ledger, world.issues, world.bus, world.clock)


async def test_photos_are_known_and_have_not_moved_when_they_are_inspected(make_world: MakeWorld) -> None:
    world = await make_world("folder", **OFF)
    seen: list[tuple[State, bool, bool]] = []

    async def look(group: Sequence[Photo]) -> Mapping[int, Opinion]:
        here = all(world.path(photo.user, photo.path).exists() for photo in group)
        seen.extend((photo.state, photo.blake3 is not None, here and not world.archived()) for photo in group)
        return {group[0].id: Opinion(note="a cat", value="cat")}

    put_in(world, Fake(look))
    with world.bus.listen() as events:
        [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
        await world.relay()
        told = [event for event in events._queue if event.type == "photo.noted"]
    assert seen == [(State.EXAMINED, True, True)]
    assert world.photo(photo).state is State.DONE
    assert world.ledger.inspections.of_photo(photo.id)[0]["note"] == "a cat"
    assert [(event.data["note"], event.data["inspector"]) for event in told] == [("a cat", "fake")]


async def test_a_held_group_goes_on_when_a_person_says_so(make_world: MakeWorld) -> None:
    world = await make_world("folder", **OFF)

    async def look(group: Sequence[Photo]) -> Mapping[int, Opinion]:
        return {photo.id: Opinion(hold="a secret document") for photo in group if "1" in photo.name}

    put_in(world, Fake(look))
    one, two = await world.deliver("alice", {f"{FOLDER}/IMG_{n}.jpg": shot(n) for n in (1, 2)})
    await world.relay()
    assert (world.photo(one).state, world.photo(one).code) == (State.HELD, "inspect.held")
    assert "a secret document" in world.photo(one).message
    assert world.photo(two).state is State.DONE
    assert world.path("alice", one.path).exists()
    try_again(world.ledger, one.id, world.clock.wall())
    await world.relay()
    assert world.photo(one).state is State.DONE


@pytest.mark.parametrize("fault", ["raises", "hangs", "nonsense"])
async def test_an_inspector_that_fails_stops_nothing(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    world = await make_world("folder", **OFF)
    monkeypatch.setattr(inspect, "LIMIT", 0.2)

    async def look(group: Sequence[Photo]) -> Mapping[int, Opinion]:
        if fault == "hangs":
            await anyio.sleep(60)
        if fault == "raises":
            raise ZeroDivisionError
        return {99: Opinion(hold="not one of the group")}

    put_in(world, Fake(look))
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    assert world.photo(photo).state is State.DONE
    codes = {"raises": ["inspect.failed"], "hangs": ["inspect.timeout"], "nonsense": []}
    assert [issue.code for issue in world.issues.all()] == codes[fault]


# -- near-duplicates ------------------------------------------------------------------------------------------------


def scene(seed: int, size: int = 640, quality: int = 90, kind: str = "JPEG") -> bytes:
    """Give a picture with large shapes: the same seed gives the same motif in any size and format."""
    dice = random.Random(seed)
    small = Image.new("RGB", (16, 16))
    small.putdata([tuple(dice.randrange(256) for _ in range(3)) for _ in range(256)])
    out = io.BytesIO()
    small.resize((size, size), Image.Resampling.BICUBIC).save(out, kind, quality=quality)
    return out.getvalue()


def near(world: World) -> Any:
    return near_duplicates.NearDuplicates(world.ledger, world.current, world.clock)


async def test_near_duplicates_are_reported_and_moved_all_the_same(make_world: MakeWorld) -> None:
    on = {**OFF, "relay": {"near_duplicates": True}}
    world = await make_world("folder", **on)
    put_in(world, near(world))
    [first] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": scene(1)})
    await world.relay()
    files = {
        f"{FOLDER}/small.jpg": scene(1, 320, 60),
        f"{FOLDER}/other.png": scene(2, kind="PNG"),
        f"{FOLDER}/flat.jpg": plain(),
        f"{FOLDER}/broken.jpg": scene(4)[:300],
    }
    await world.restart()
    put_in(world, near(world))
    small, other, flat, broken = await world.deliver("bob", files)
    await world.relay(40)
    assert all(world.photo(one).state is State.DONE for one in (first, small, other, flat, broken))
    notes = {one.id: world.ledger.inspections.of_photo(one.id) for one in (first, small, other, flat, broken)}
    assert f"looks like IMG_1.jpg of alice (photo {first.id}" in notes[small.id][0]["note"]
    assert notes[other.id][0]["note"] == ""
    assert notes[flat.id] == notes[broken.id] == []


async def test_off_by_default(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await make_world("folder", **OFF)
    put_in(world, near(world))
    monkeypatch.setattr(near_duplicates, "_SCRIPT", "/nonexistent")
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": scene(1)})
    await world.relay()
    assert world.photo(photo).state is State.DONE
    assert world.ledger.inspections.of_photo(photo.id) == []


async def test_without_pillow_photos_go_on(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await make_world("folder", **{**OFF, "relay": {"near_duplicates": True}})
    put_in(world, near(world))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": scene(1)})
    await world.relay()
    assert world.photo(photo).state is State.DONE
    assert [issue.code for issue in world.issues.all()] == ["inspect.no_pillow"]
