"""A Nextcloud user who swaps folders for links, pipes and devices while somebody looks on: nothing outside is told."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.errors import RelayError
from daemon.service.thumbnails import media_type
from tests.relay.world import FOLDER, shot
from tests.service.conftest import service_over
from tests.service.test_thumbnails import small

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from daemon.service import Service
    from tests.relay.world import World

SECONDS = 3.0
SECRET = "only-root-may-read-this"


class Swapper(threading.Thread):
    """Puts one after the other in the place of a folder, or of a file in it, as fast as it can."""

    def __init__(self, place: Path, make: list[Callable[[], None]]) -> None:
        super().__init__(daemon=True)
        self.place = place
        self.aside = place.with_name(f"{place.name}.aside")
        self.make = make
        self.turns = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            self.place.rename(self.aside)
            self.make[self.turns % len(self.make)]()
            self.place.unlink()
            self.aside.rename(self.place)
            self.turns += 1


def huge(place: Path) -> None:
    with place.open("wb") as file:
        file.truncate(1 << 40)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Give a folder of somebody else's, with a picture of the same name and size as alice's, and more besides."""
    folder = tmp_path / "outside" / FOLDER
    folder.mkdir(parents=True)
    (folder / f"{SECRET}.jpg").write_bytes(small())
    (folder / SECRET).mkdir()
    (folder / SECRET / "IMG_9.jpg").write_bytes(shot(9))
    return folder


async def one_look(service: Service, photo: int, told: list[str], pictures: set[bytes | None]) -> None:
    """Ask everything that looks into homes; a request that hangs at a pipe fails the test."""
    with anyio.fail_after(10):
        found = await service.photos.thumbnail(photo)
        pictures.add(found[0] if found else None)
        asked: tuple[Callable[[], Awaitable[dict[str, Any]]], ...] = (
            lambda: service.photos.get(photo),
            lambda: service.users.get("alice"),
            service.users.list,
            lambda: service.users.preview("alice", {"include": True, "folders": [FOLDER], "existing": True}),
        )
        for ask in asked:
            try:
                told.append(str(await ask()))
            except RelayError as error:
                told.append(f"{error} {error.as_dict()}")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", ["folder", "home", "file"])
async def test_nothing_outside_is_read_or_told(folder_world: World, outside: Path, what: str) -> None:
    world = folder_world
    world.ledger.homes.seen("alice", world.clock.time)
    world.ledger.homes.list_end("alice", world.clock.time)
    picture = small()
    world.put("alice", f"{FOLDER}/IMG_1.jpg", picture)
    original = world.path("alice", f"{FOLDER}/IMG_1.jpg")
    [entered] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": picture})
    # Of the same size and name, so that nothing but the way to it tells them apart.
    stolen = bytearray(picture)
    stolen[-40:-20] = (SECRET[:20]).encode()
    (outside / "IMG_1.jpg").write_bytes(stolen)
    files = original.parent.parent
    place, target = {
        "folder": (original.parent, outside),
        "home": (files, outside.parent),
        "file": (original, outside / "IMG_1.jpg"),
    }[what]
    swapper = Swapper(
        place,
        [
            lambda: place.symlink_to(target),
            lambda: os.mkfifo(place),
            lambda: place.symlink_to(os.path.relpath(target, place.parent)),
            lambda: place.symlink_to("/dev/zero"),
            lambda: huge(place),
        ],
    )
    told: list[str] = []
    pictures: set[bytes | None] = set()
    async with service_over(world) as service:
        assert FOLDER in [one["path"] for one in (await service.users.get("alice"))["folders"]]
        swapper.start()
        try:
            with anyio.move_on_after(SECONDS):
                while True:
                    await one_look(service, entered.id, told, pictures)
        finally:
            swapper.over.set()
            swapper.join(10)
    assert swapper.turns > 100
    assert len(told) > 4
    assert pictures <= {picture, None}
    assert all(one is None or media_type(one) for one in pictures)
    assert not [one for one in told if SECRET in one or "outside" in one]
