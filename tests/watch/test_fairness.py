"""One user brings more than there is room for: it waits on the disk, and nobody else's photos wait behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from daemon.fingerprint import Fingerprint
from daemon.watch import engine
from daemon.watch.engine import Batch
from daemon.watch.model import Change, Suspicion
from daemon.watch.watcher import Watch
from tests import uploads
from tests.watch.sinks import QUICK, Memory, running, until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.watch.model import SettledGroup

USERS = ("alice", "bob", "carol")
FOLDERS = {user: ["InstantUpload"] for user in USERS}
TIGHT = replace(QUICK, pending=40, chunk=10)


class Slow(Memory):
    """Takes nothing of bob's over until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go = anyio.Event()

    async def settled(self, groups: Sequence[SettledGroup]) -> None:
        if groups[0].user == "bob":
            await self.go.wait()
        await super().settled(groups)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    uploads.make_data_dir(root, USERS, samples_too=False)
    for user in USERS:
        (root / user / "files" / "InstantUpload").mkdir(exist_ok=True)
    return root


def flood(data: Path, begin: int, end: int) -> None:
    for number in range(begin, end):
        folder = data / f"bob/files/InstantUpload/{number % 7}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.jpg").touch()


def pending_of_bob(watch: Watch) -> int:
    return watch._ripener.settler.count_of("bob")


async def test_a_live_flood_waits_on_the_disk_and_keeps_nobody_else_waiting(data: Path) -> None:
    sink = Slow()
    watch = Watch(TIGHT, str(data), sink, lambda: FOLDERS)
    async with running(watch):
        await until(lambda: watch.status().verified_at is not None)
        flood(data, 0, 150)
        await until(lambda: pending_of_bob(watch) >= 20)
        for number, user in enumerate(("alice", "carol", "alice")):
            uploads.put(data / user, f"InstantUpload/{number}.jpg", b"x")
            await until(lambda: len(sink.groups) == number + 1)  # noqa: B023  asked within this turn
            flood(data, 150 + 50 * number, 200 + 50 * number)
        # The half of what may be pending, one chunk more, and one that was taken out of it and not taken over.
        assert pending_of_bob(watch) <= 20 + 2 * 10
        assert watch._ripener.has_room("alice")
        sink.go.set()
        # One that is being taken over just now may be found again; the ledger knows it then.
        await until(lambda: len(set(sink.paths)) == 303, within=30)
    assert watch.status().missed == 0
    assert sink.reasons == []


async def test_who_brings_little_is_taken_in_first_and_of_who_brings_much_a_part(data: Path) -> None:
    sink, doubts = Memory(), list[Suspicion]()
    watch = Watch(TIGHT, str(data), sink, lambda: FOLDERS)
    watch.set_folders(FOLDERS)
    watch._taking_in._doubt = doubts.append
    brought = {"bob": 35, "carol": 2, "alice": 5}
    flood(data, 0, brought["bob"])
    for user in ("carol", "alice"):
        for number in range(brought[user]):
            uploads.put(data / user, f"InstantUpload/{number}.jpg", b"x")
    photos = sorted(path for path in data.rglob("*.jpg") if "InstantUpload" in path.parts)
    names = [str(path.relative_to(data)) for path in photos]
    await watch._receive([Change(name, Fingerprint.of((data / name).stat())) for name in names])
    assert [one.user for one in sink.offered] == ["carol"] * 2 + ["alice"] * 5 + ["bob"] * 20
    [left] = doubts
    assert left.expected
    stay = {f"bob/files/{one.path}" for one in sink.offered if one.user == "bob"}
    assert set(left.roots or ()) == {name.rpartition("/")[0] for name in names if name.startswith("bob")} - {
        folder
        for folder in {name.rpartition("/")[0] for name in stay}
        if all(name in stay for name in names if name.startswith(f"{folder}/"))
    }


async def test_what_stood_before_the_start_keeps_nobody_else_waiting(data: Path) -> None:
    """Bob's folders are looked through before carol's, and his own photos that come later wait behind the others."""
    flood(data, 0, 150)
    uploads.put(data / "carol", "InstantUpload/old.jpg", b"x")
    sink = Slow()
    watch = Watch(TIGHT, str(data), sink, lambda: FOLDERS)
    async with running(watch):
        await until(lambda: sink.paths == ["carol/InstantUpload/old.jpg"])
        uploads.put(data / "alice", "InstantUpload/new.jpg", b"x")
        await until(lambda: len(sink.paths) == 2)
        watch.suspect("somebody said so")
        uploads.bulk(data / "carol", "InstantUpload/new.jpg", b"x")
        await until(lambda: len(sink.paths) == 3)
        sink.go.set()
        await until(lambda: len(set(sink.paths)) == 153, within=30)


async def test_a_sweep_of_all_goes_on_for_others_while_one_has_no_room(data: Path) -> None:
    sink = Slow()
    watch = Watch(replace(TIGHT, mode="poll", poll_every=3600), str(data), sink, lambda: FOLDERS)
    async with running(watch), anyio.create_task_group() as group:
        flood(data, 0, 150)
        group.start_soon(watch.sweep)
        await until(lambda: pending_of_bob(watch) >= 20)
        uploads.put(data / "carol", "InstantUpload/new.jpg", b"x")
        group.start_soon(watch.sweep, ["carol"])
        await until(lambda: sink.paths == ["carol/InstantUpload/new.jpg"])
        sink.go.set()
        await until(lambda: len(set(sink.paths)) == 151, within=30)


async def test_photos_that_go_before_they_settle_make_room_for_others(data: Path) -> None:
    """All that was pending is deleted: whoever waited for room goes on, though nothing is handed over."""
    watch = Watch(replace(TIGHT, settle=3600, pending=10, chunk=5), str(data), Memory(), lambda: FOLDERS)
    async with running(watch):
        flood(data, 0, 60)
        await until(lambda: pending_of_bob(watch) >= 5)
        seen: set[str] = set()
        with anyio.fail_after(30):
            while len(seen) < 60:
                names = {name for state in watch._ripener.settler._directories.values() for name in state.groups}
                seen |= names
                for name in names:
                    (data / f"bob/files/InstantUpload/{int(name) % 7}/{name}.jpg").unlink(missing_ok=True)
                await anyio.sleep(0.05)


def test_where_too_much_happens_folders_stand_for_their_files_and_the_others_keep_their_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "MOST_NAMED", 100)
    batch = Batch()
    batch.add(Batch({"alice/files/Up/new.jpg", "alice/files/Up/2026"}, {"alice/files/Up/2026"}))
    batch.add(Batch({f"bob/files/Up/{number}.jpg" for number in range(90)}))
    assert not batch.full
    batch.add(Batch({f"bob/files/Up/{number}.jpg" for number in range(80, 180)}, {"bob/files/Up/85.jpg"}))
    assert batch.full == {"bob/files/Up"}
    assert batch.changed == {"alice/files/Up/new.jpg", "alice/files/Up/2026"}
    assert batch.added == {"alice/files/Up/2026"}
    assert not batch.trouble
    # One file in each of very many folders: there is nothing left but to look through everything.
    batch.add(Batch({f"bob/files/Up/{number}/x.jpg" for number in range(150)}))
    assert batch.trouble
    assert not batch.changed | batch.full
