"""Batch folders that a lost ledger has left in PhotoPrism's import: told, and gone only where the archive has them."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from daemon.ledger.model import State
from daemon.relay.left_in_import import EVERY, SOON, LeftInImport
from tests.relay.world import FOLDER, World, shot

if TYPE_CHECKING:
    from tests.relay.conftest import MakeWorld

ROOT = Path(__file__).parents[2]
OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">rated</x:xmpmeta>'
LEFT, INNER = "qwertyuiopasdf", "abcdefgh"
PAIR = {"IMG_1.jpg": shot(1), "IMG_1.xmp": XMP}


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world("photoprism", **OFF)


def looking(world: World, *, stopped: bool = False) -> LeftInImport:
    return LeftInImport(world.client, world.ledger, world.current, world.issues, world.clock, lambda: stopped)


def leave(world: World, files: dict[str, bytes], folder: str = LEFT) -> Path:
    """Put files where a batch that nobody knows of may have left them."""
    inner = world.imports / folder / INNER
    inner.mkdir(parents=True)
    for name, content in files.items():
        (inner / name).write_bytes(content)
    return inner


def standing(world: World) -> dict[str, bytes]:
    """Give all files in import."""
    return {
        str(each.relative_to(world.imports)): each.read_bytes()
        for each in sorted(world.imports.rglob("*"))
        if each.is_file()
    }


async def relayed(world: World, files: dict[str, bytes]) -> dict[str, bytes]:
    """Relay files of alice; give what the archive holds then."""
    photos = await world.deliver("alice", {f"{FOLDER}/{name}": content for name, content in files.items()})
    await world.relay()
    assert {world.photo(photo).state for photo in photos} == {State.DONE}, world.said()
    return world.archived()


def codes(world: World) -> list[str]:
    return [issue.code for issue in world.issues.all()]


async def test_what_a_lost_ledger_left_is_told_and_goes_when_the_photos_have_come_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    assert world.pp is not None
    world.pp.traps.busy = True
    files = {f"{FOLDER}/{name}": content for name, content in {**PAIR, "IMG_2.jpg": shot(2)}.items()}
    photos = await world.deliver("alice", files)
    async with world.running():
        await world.until(lambda: world.photo(photos[0]).code == "photoprism.busy")
    assert await looking(world).look() == [], "a batch of this ledger's is nobody's business"
    await world.close()
    shutil.rmtree(world.root / "state")
    world.issues.clear("archive")
    world.build()
    await anyio.to_thread.run_sync(world.pipeline.recovery.run)
    before = standing(world)
    caplog.set_level(logging.INFO)
    look = looking(world)
    [left] = await look.look()
    assert (left.files, left.size) == (3, sum(map(len, files.values())))
    [issue] = world.issues.all()
    assert issue.code == "import.left_behind"
    assert f"{left.name} (3 files, " in issue.message
    assert f"{left.name} (3 files, " in caplog.text
    assert standing(world) == before
    world.pp.traps.busy = False
    await world.sweep()
    await world.relay()
    assert sorted(world.archived().values()) == sorted(files.values()), world.said()
    # It was asked just now; the folder is looked at all the same.
    assert len(await look.look()) == 1
    await world.later(EVERY)
    assert await look.look() == []
    assert list(world.imports.iterdir()) == []
    assert codes(world) == []
    assert sorted(world.archived().values()) == sorted(files.values())


async def test_it_is_told_no_longer_when_a_person_has_seen_to_it(world: World) -> None:
    leave(world, PAIR)
    leave(world, PAIR, f".photon-relay-{LEFT[::-1]}")
    look = looking(world)
    assert len(await look.look()) == 2
    assert codes(world) == ["import.left_behind"]
    assert f".photon-relay-{LEFT[::-1]} (2 files, " in world.issues.all()[0].message
    shutil.rmtree(world.imports / f".photon-relay-{LEFT[::-1]}")
    await world.client.import_folder(LEFT, timeout=30.0)
    await world.later(SOON)
    assert await look.look() == []
    assert codes(world) == []
    assert sorted(world.archived().values()) == sorted(PAIR.values())


async def test_a_group_goes_only_as_a_whole_and_only_what_the_archive_has(world: World) -> None:
    archived = await relayed(world, {**PAIR, "IMG_3.jpg": shot(3)})
    files = {
        **PAIR,
        "IMG_2.jpg": shot(2),
        # The same recipe beside a photo that has none in the archive, and one that is alone.
        "IMG_3.jpg": shot(3),
        "IMG_3.xmp": XMP,
        "IMG_4.xmp": XMP,
        "IMG_5.jpg": shot(1)[:5000],
        "notes.txt": b"somebody's",
    }
    leave(world, files)
    [left] = await looking(world).look()
    stay = {f"{LEFT}/{INNER}/{name}": content for name, content in files.items() if name not in PAIR}
    assert standing(world) == stay
    assert (left.files, left.size) == (len(stay), sum(map(len, stay.values())))
    assert world.archived() == archived


@pytest.mark.parametrize("how", ["altered", "gone", "one file", "paused", "not mounted", "away"])
async def test_it_stays_where_the_archive_cannot_be_proved_to_have_it(make_world: MakeWorld, how: str) -> None:
    world = await make_world("photoprism", **OFF)
    assert world.pp is not None
    await relayed(world, PAIR)
    inner = leave(world, PAIR)
    [row] = world.pp.rows
    photo = world.archive_root / row.name
    if how == "altered":
        world.pp.alter_original(row.hash)
    elif how == "gone":
        photo.unlink()
    elif how == "one file":
        photo.unlink()
        os.link(inner / "IMG_1.jpg", photo)
    elif how == "not mounted":
        world.change(**OFF, photoprism={"originals": ""})
    elif how == "away":
        world.pp.traps.outage = "503"
    before, archived = standing(world), world.archived()
    [left] = await looking(world, stopped=how == "paused").look()
    assert left.files == 2
    assert standing(world) == before
    assert world.archived() == archived
    assert codes(world) == ["import.left_behind"]


async def test_what_is_not_ours_or_may_be_anothers_work_is_left_alone(world: World) -> None:
    await relayed(world, PAIR)
    for path in ("summerholidays/a.jpg", "winterholidays/2024/a.jpg", "x/abcdefgh/a.jpg", "a.jpg", ".hidden/a.jpg"):
        target = world.imports / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(shot(1))
    (world.imports / "springholidays").symlink_to(world.imports / "x")
    world.clock.time = time.time()
    leave(world, PAIR)
    before = standing(world)
    look = looking(world)
    assert await look.look() == [], "another relay may be filling it"
    assert standing(world) == before
    await world.later(EVERY + 60)
    assert await look.look() == []
    assert {path: content for path, content in before.items() if LEFT not in path} == standing(world)
    assert codes(world) == []


# For each line of its input: looks once in a process of its own, which is killed before or after the n-th call that
# changes something, and says whether it was; there may be fewer.
CHILD = """
import asyncio, json, os, signal, sys
from daemon.clock import Clock
from daemon.current import Current
from daemon.events import Bus
from daemon.files import publishing
from daemon.issues import Issues
from daemon.ledger.ledger import Ledger
from daemon.photoprism.client import PhotoPrism
from daemon.relay import left_in_import
from daemon.settings import Settings
left_in_import.QUIET = 0.0
state, settings = sys.argv[1], Settings.model_validate(json.loads(sys.argv[2]))
count = when = 0
def killing(real):
    def call(*given, **named):
        global count
        for after in (False, True):
            if after:
                result = real(*given, **named)
            count += 1
            if count == when:
                os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call
async def look():
    current, clock = Current(settings), Clock()
    ledger = Ledger(f"{state} {when}")
    client = PhotoPrism(settings.photoprism.url, settings.photoprism.token.get_secret_value(), clock=clock)
    for name in ("unlink", "rmdir", "fsync"):
        setattr(os, name, killing(getattr(os, name)))
    publishing.renameat2_noreplace = killing(publishing.renameat2_noreplace)
    looking = left_in_import.LeftInImport(client, ledger, current, Issues(Bus(), clock), clock, lambda: False)
    await looking.look()
    await client.close()
for line in sys.stdin:
    child = os.fork()
    if not child:
        when = int(line)
        asyncio.run(look())
        os._exit(0)
    os.write(1, b"%d" % os.waitpid(child, 0)[1])
"""


@pytest.mark.timeout(300)
async def test_killed_at_any_call_nothing_is_lost_and_the_next_look_ends_it(world: World, tmp_path: Path) -> None:
    archived = await relayed(world, PAIR)
    run = [sys.executable, "-c", CHILD, str(tmp_path / "state"), json.dumps(world._settings(OFF))]
    rest = f"{LEFT}/{INNER}/IMG_2.jpg"
    killed = 0
    async with await anyio.open_process(run, cwd=ROOT, stderr=None) as looks:
        assert looks.stdin is not None
        assert looks.stdout is not None
        for when in range(1, 200):
            leave(world, {**PAIR, "IMG_2.jpg": shot(2)})
            leave(world, {"IMG_1.jpg": shot(1)}, LEFT[::-1])
            await looks.stdin.send(f"{when}\n".encode())
            status = int(await looks.stdout.receive())
            assert status in {0, signal.SIGKILL}
            assert world.archived() == archived
            assert standing(world)[rest] == shot(2)
            await looking(world).look()
            assert standing(world) == {rest: shot(2)}, f"killed at call {when}"
            assert [each.name for each in world.imports.iterdir()] == [LEFT]
            shutil.rmtree(world.imports / LEFT)
            if not status:
                break
            killed += 1
        await looks.stdin.aclose()
    assert killed >= 30
