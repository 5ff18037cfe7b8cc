"""Proof while PhotoPrism still imports: what has arrived is read then, and only looked at when the import is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from daemon.ledger.model import State
from daemon.relay import originals
from tests.relay.world import FOLDER, World, shot
from tests.standins import photoprism_import

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
NAMES = [f"{FOLDER}/IMG_{number}.jpg" for number in range(6)]


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    world = await make_world("photoprism", **OFF)
    assert world.pp is not None
    world.pp.traps.seconds_per_photo = 0.3
    return world


@pytest.fixture
def read(world: World, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note of each archived file that is read whether PhotoPrism was importing just then."""
    assert world.pp is not None
    busy, seen, same = world.pp.library.busy, [], originals.same_bytes

    def looked(root: str, path: str, size: int, blake3: bytes) -> Any:
        seen.append(busy.locked())
        return same(root, path, size, blake3)

    monkeypatch.setattr(originals, "same_bytes", looked)
    return seen


async def delivered(world: World) -> None:
    await world.deliver("alice", {name: shot(number) for number, name in enumerate(NAMES)})
    await world.relay()


def at_the_last(world: World, monkeypatch: pytest.MonkeyPatch, deed: Callable[[], None]) -> None:
    """Do something just before PhotoPrism takes in the last group."""
    assert world.pp is not None
    bring, count = world.pp.library._bring, 0

    def brought(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == len(NAMES):
            deed()
        bring(*arguments)

    monkeypatch.setattr(world.pp.library, "_bring", brought)


async def test_what_has_arrived_is_proved_while_the_others_are_imported(world: World, read: list[bool]) -> None:
    await delivered(world)
    assert world.ledger.photos.counts()["done"] == len(NAMES), world.said()
    assert read.count(True) >= len(NAMES) - 2
    assert len(read) == len(NAMES), "and none of them is read again"
    assert world.standing() == {}


async def test_nothing_is_let_go_before_the_import_is_over(world: World, read: list[bool]) -> None:
    assert world.pp is not None
    await world.deliver("alice", {name: shot(number) for number, name in enumerate(NAMES)})
    async with world.running():
        await world.until(lambda: read.count(True) >= 3)
        assert world.pp.library.busy.locked()
        assert len(world.standing()) == len(NAMES)
        assert {photo.state for photo in world.ledger.photos.by_state(*State)} == {State.PLACED}
        await world.until(world.quiet)


async def test_what_changes_after_that_is_read_again_and_is_no_proof(
    world: World, read: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PhotoPrism, or a person, writes to the first file when it was proved, while the last ones are imported."""
    at_the_last(
        world,
        monkeypatch,
        lambda: photoprism_import.alter(str(min(path for path in world.archive_root.rglob("*.jpg")))),
    )
    await delivered(world)
    assert read.count(True) >= 2
    assert read.count(False) >= 1
    [left] = [photo for photo in world.ledger.photos.by_state(*State) if photo.state is not State.DONE]
    assert left.code == "archive.broken", world.said()
    assert "archived" not in [line["state"] for line in world.ledger.photos.history(left.id)]
    assert len(world.standing()) == 1, "its original is kept"


async def test_of_a_group_all_must_be_as_they_were_proved(
    world: World, read: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil() -> None:
        [other] = world.archive_root.rglob("*.png")
        photoprism_import.alter(str(other))

    at_the_last(world, monkeypatch, spoil)
    together = {f"{FOLDER}/IMG_0.png": b"\x89PNG\r\n\x1a\n" + bytes(5_000)}
    await world.deliver("alice", {name: shot(number) for number, name in enumerate(NAMES)} | together)
    await world.relay()
    assert read.count(True) >= 2
    left = [photo for photo in world.ledger.photos.by_state(*State) if photo.state is not State.DONE]
    assert {photo.name for photo in left} == {"IMG_0.jpg", "IMG_0.png"}, world.said()
    for photo in left:
        assert "archived" not in [line["state"] for line in world.ledger.photos.history(photo.id)]
    assert len(world.standing()) == 2, "both originals are kept"


async def test_what_is_hidden_after_that_keeps_its_original(
    world: World, read: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hide() -> None:
        assert world.pp is not None
        world.pp.archive(world.pp.rows[0].hash)

    at_the_last(world, monkeypatch, hide)
    await delivered(world)
    assert read.count(True) >= 2
    [held] = world.ledger.photos.by_state(State.HELD)
    assert held.code == "archive.hidden"
    assert len(world.standing()) == 1
