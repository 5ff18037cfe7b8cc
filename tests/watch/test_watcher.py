"""The whole watch on real trees, with uploads the way Nextcloud makes them."""

from __future__ import annotations

import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.errors import Transient
from daemon.fingerprint import Fingerprint
from daemon.watch import digest
from daemon.watch.model import Change, Found
from daemon.watch.watcher import Watch
from tests import uploads
from tests.watch.sinks import QUICK, Memory, running, until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.watch.inotify import Item
    from daemon.watch.model import WatchOptions

FOLDERS = {"alice": ["InstantUpload"], "bob": ["Photos/Phone", "InstantUpload"]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    uploads.make_data_dir(root, ["alice", "bob"], samples_too=False)
    for user in ("alice", "bob"):
        (root / user / "files" / "InstantUpload").mkdir(exist_ok=True)
    return root


def make(data: Path, sink: Memory, options: WatchOptions = QUICK, folders: dict[str, list[str]] | None = None) -> Watch:
    return Watch(options, str(data), sink, lambda: FOLDERS if folders is None else folders)


def photo(directory: Path, name: str, content: bytes = b"x") -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(content)


async def test_an_upload_is_handed_over_once_quiet(data: Path) -> None:
    sink = Memory()
    async with running(make(data, sink)):
        uploads.put(data / "alice", "InstantUpload/a.jpg", b"one", 1_000_000_000)
        uploads.put(data / "bob", "InstantUpload/b.jpg", b"two")
        uploads.bulk(data / "alice", "InstantUpload/c.jpg", b"three", 1_000_000_000)
        uploads.put_split_storage(data / "alice", "InstantUpload/d.jpg", b"four")
        uploads.chunked(data / "bob", "InstantUpload/e.mp4", b"five" * 100_000, chunk=1 << 16)
        await until(lambda: len(sink.paths) == 5)
    assert sink.paths == [
        "alice/InstantUpload/a.jpg",
        "alice/InstantUpload/c.jpg",
        "alice/InstantUpload/d.jpg",
        "bob/InstantUpload/b.jpg",
        "bob/InstantUpload/e.mp4",
    ]
    one = next(group for group in sink.groups if group.members[0].path.endswith("a.jpg"))
    assert (one.user, one.folder, one.directory, one.sides_only) == ("alice", "InstantUpload", "InstantUpload", False)
    status = (data / "alice/files/InstantUpload/a.jpg").stat()
    assert one.members[0].fingerprint.inode == status.st_ino
    assert one.members[0].fingerprint.ctime_ns == status.st_ctime_ns


async def test_what_stood_before_the_start_is_found_too(data: Path) -> None:
    photo(data / "alice/files/InstantUpload/2026/11", "old.jpg")
    sink = Memory()
    async with running(make(data, sink)):
        await until(lambda: sink.paths == ["alice/InstantUpload/2026/11/old.jpg"])
    assert sink.reasons == []


async def test_a_large_folder_that_is_moved_in_is_taken_in_by_parts(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One event tells of it; listed at once, a million files in it would take gigabytes."""
    monkeypatch.setattr(digest, "MOST_LISTED", 20)
    aside = data / "alice/files/aside"
    for number in range(60):
        photo(aside / f"{number // 15}", f"{number}.jpg")
    photo(data / "alice/files/few", "few.jpg")
    sink = Memory()
    at_once: list[int] = []
    watch = make(data, sink)
    receive = watch._taking_in.receive

    async def counted(items: list[Item]) -> None:
        at_once.append(len(items))
        await receive(items)

    monkeypatch.setattr(watch._taking_in, "receive", counted)
    async with running(watch):
        for name in ("aside", "few"):
            (data / "alice/files" / name).rename(data / "alice/files/InstantUpload" / name)
        await until(lambda: len(sink.paths) == 61)
    assert len(set(sink.paths)) == 61
    assert max(at_once) < 30
    assert sink.reasons == []
    assert watch.status().missed == 0


async def test_a_file_still_being_written_waits(data: Path) -> None:
    sink = Memory()
    async with running(make(data, sink)):
        path = data / "alice/files/InstantUpload/slow.mov"
        with path.open("wb", buffering=0) as file:
            for _ in range(12):
                file.write(b"x" * 1000)
                await anyio.sleep(0.1)
                assert sink.groups == []
        await until(lambda: len(sink.groups) == 1)
    assert sink.groups[0].members[0].fingerprint.size == 12_000


async def test_an_upload_beside_it_keeps_a_photo_waiting_until_max_wait(data: Path) -> None:
    sink = Memory()
    async with running(make(data, sink, replace(QUICK, max_wait=1.2))):
        uploads.put(data / "alice", "InstantUpload/a.jpg", b"a")
        part = uploads.abandon(data / "alice", "InstantUpload/b.jpg", b"b")
        started = time.monotonic()
        while not sink.groups:
            with part.open("ab") as file:
                file.write(b"x")
            await anyio.sleep(0.05)
        assert 1.0 < time.monotonic() - started < 3
        part.unlink()
        uploads.put(data / "alice", "InstantUpload/c.jpg", b"c")
        part = uploads.abandon(data / "alice", "InstantUpload/d.jpg", b"d")
        started = time.monotonic()
        await until(lambda: len(sink.groups) == 2)
        assert time.monotonic() - started < 1


async def test_what_the_relay_does_with_its_own_photos_keeps_no_newcomer_waiting(data: Path, tmp_path: Path) -> None:
    """A backlog is relayed out of the folder, for which each photo gets a link, a mode and so a time: no upload."""
    sink = Memory()
    folder = data / "alice/files/InstantUpload"
    names = [f"old{number:03}.jpg" for number in range(150)]
    for name in names:
        photo(folder, name)
    async with running(make(data, sink)):
        await until(lambda: len(sink.groups) == len(names))
        sink.wants = lambda found: found.path.endswith("new.jpg")
        uploads.put(data / "alice", "InstantUpload/new.jpg", b"new")
        gone = 0
        while len(sink.groups) == len(names) and gone < len(names):
            name = names[gone]
            os.link(folder / name, tmp_path / name)
            (folder / name).chmod(0o664)
            gone += 1
            await anyio.sleep(0.02)
        assert len(sink.groups) == len(names) + 1
        assert gone < len(names), "it did not wait until the others had their links"


async def test_a_live_pair_is_one_group_even_when_its_film_takes_longer(data: Path) -> None:
    sink = Memory()
    async with running(make(data, sink)):
        home = data / "alice"
        uploads.put(home, "InstantUpload/IMG_1.HEIC", b"still")
        uploads.put(home, "InstantUpload/IMG_1.MOV", b"film")
        uploads.put(home, "InstantUpload/IMG_1.HEIC.xmp", b"side")
        uploads.put(home, "InstantUpload/IMG_2.HEIC", b"other")
        await until(lambda: len(sink.paths) == 4)
    assert sorted(len(group.members) for group in sink.groups) == [1, 3]


async def test_an_announced_partner_is_waited_for_and_not_for_ever(data: Path) -> None:
    sink = Memory()
    asked: list[tuple[str, str]] = []

    def announces(folder: int, name: str) -> bool:
        asked.append((str(Path(f"/proc/self/fd/{folder}").readlink()), name))
        return "live" in name

    options = replace(QUICK, partner=1.0)
    watch = Watch(options, str(data), sink, lambda: FOLDERS, announces_partner=announces)
    async with running(watch):
        started = time.monotonic()
        home = data / "alice"
        uploads.put(home, "InstantUpload/live1.HEIC", b"still")
        uploads.put(home, "InstantUpload/live2.HEIC", b"still")
        uploads.put(home, "InstantUpload/plain.jpg", b"plain")
        await until(lambda: len(sink.groups) == 1)
        assert sink.paths == ["alice/InstantUpload/plain.jpg"]
        await anyio.sleep(0.3)
        uploads.put(home, "InstantUpload/live1.MOV", b"film")
        await until(lambda: len(sink.groups) == 2)
        assert time.monotonic() - started < 1.2
        await until(lambda: len(sink.groups) == 3)
    assert time.monotonic() - started > 1.2
    assert sorted(len(group.members) for group in sink.groups) == [1, 1, 2]
    assert sorted(asked) == [
        (str(data / "alice/files/InstantUpload"), name) for name in ("live1.HEIC", "live2.HEIC", "plain.jpg")
    ]


async def test_nobody_waits_while_another_ones_photos_are_looked_into(data: Path) -> None:
    """Alice's disk takes long to say whether a partner is announced; bob's photos come to rest beside that."""
    sink, opened, begun = Memory(), threading.Event(), threading.Event()

    def announces(_folder: int, name: str) -> bool:
        if name.startswith("slow"):
            begun.set()
            opened.wait(30)
        return False

    watch = Watch(QUICK, str(data), sink, lambda: FOLDERS, announces_partner=announces)
    try:
        async with running(watch):
            for number in range(3):
                uploads.put(data / "alice", f"InstantUpload/slow{number}.jpg", b"alice")
            await until(begun.is_set)
            for number in range(3):
                uploads.put(data / "bob", f"InstantUpload/{number}.jpg", b"bob")
                await until(lambda: len(sink.groups) == number + 1)  # noqa: B023  asked within this turn
            opened.set()
            await until(lambda: len(sink.groups) == 6)
    finally:
        opened.set()
    assert len(sink.paths) == 6


async def test_side_files_alone_are_told_of_and_join_their_photo_later(data: Path) -> None:
    sink = Memory()
    async with running(make(data, sink)):
        uploads.put(data / "alice", "InstantUpload/x.xmp", b"side")
        await until(lambda: len(sink.groups) == 1)
        assert sink.groups[0].sides_only
        uploads.put(data / "alice", "InstantUpload/x.jpg", b"photo")
        await until(lambda: len(sink.groups) == 2)
    assert [one.path for one in sink.groups[1].members] == ["InstantUpload/x.jpg", "InstantUpload/x.xmp"]


async def test_a_burst_of_nested_new_folders_loses_nothing(data: Path) -> None:
    sink = Memory()
    watch = make(data, sink)
    async with running(watch):
        await anyio.to_thread.run_sync(burst, data / "alice/files/InstantUpload")
        await until(lambda: len(sink.paths) >= 2000, within=30)
    assert len(set(sink.paths)) == len(sink.paths) == 2000
    assert watch.status().missed == 0
    assert sink.reasons == []


def burst(top: Path) -> None:
    for number in range(40):
        folder = top / f"y{number % 4}" / f"m{number % 8}" / f"d{number}"
        folder.mkdir(parents=True)
        for index in range(50):
            (folder / f"IMG_{index:04}.jpg").write_bytes(b"%d %d" % (number, index))


async def test_filled_folders_moved_in_and_copies_are_found(data: Path) -> None:
    sink = Memory()
    async with running(make(data, sink)):
        home = data / "alice"
        uploads.move_folder_in(home, "InstantUpload/trip", {"a.jpg": b"a", "deep/er/b.jpg": b"b"})
        uploads.put(home, "InstantUpload/c.jpg", b"c")
        uploads.copy(home, "InstantUpload/c.jpg", "InstantUpload/copies/d.jpg")
        await until(lambda: len(sink.paths) == 4)
    assert "alice/InstantUpload/trip/deep/er/b.jpg" in sink.paths


async def test_what_is_no_photo_hidden_or_archived_is_left_alone(data: Path) -> None:
    sink = Memory()
    home = data / "alice/files"
    async with running(make(data, sink)):
        for directory in ("InstantUpload/.thumbnails", "InstantUpload/inner/Archived", "Archived", "Elsewhere"):
            photo(home / directory, ".nomedia")
            photo(home / directory, "no.jpg")
        photo(home / "InstantUpload", "notes.pdf")
        photo(home / "InstantUpload", ".pending-1-x.jpg")
        photo(home / "InstantUpload", ".photon-relay-x.jpg")
        uploads.abandon(data / "alice", "InstantUpload/never.jpg", b"half")
        photo(data / "alice/uploads/1", "chunk.jpg")
        photo(data / "alice/files_trashbin/files", "old.jpg")
        photo(home / "InstantUpload" / "Archive", "yes.jpg")
        await until(lambda: len(sink.groups) == 1)
        await anyio.sleep(0.5)
    assert sink.paths == ["alice/InstantUpload/Archive/yes.jpg"]
    again = Memory()
    await make(data, again).sweep(settle=0)
    assert again.paths == ["alice/InstantUpload/Archive/yes.jpg"]


async def test_links_are_never_followed(data: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    photo(outside / "deep", "secret.jpg")
    home = data / "alice/files/InstantUpload"
    photo(home / "real", "r.jpg")
    (home / "out").symlink_to(outside)
    (home / "file.jpg").symlink_to(outside / "deep/secret.jpg")
    (home / "alias").symlink_to(home / "real")
    sink = Memory()
    async with running(make(data, sink)):
        (home / "later").symlink_to(outside / "deep")
        photo(outside / "deep", "new.jpg")
        photo(outside, "new2.jpg")
        (home / "later.jpg").symlink_to(outside / "deep/secret.jpg")
        photo(home / "real", "through-alias.jpg")
        await until(lambda: len(sink.paths) >= 2)
        await anyio.sleep(0.6)
    assert sink.paths == ["alice/InstantUpload/real/r.jpg", "alice/InstantUpload/real/through-alias.jpg"]
    assert all("secret" not in one.path and "new" not in one.path for one in sink.offered)


async def test_a_watched_folder_that_is_a_link_is_not_watched(data: Path, tmp_path: Path) -> None:
    photo(tmp_path / "outside", "secret.jpg")
    shutil.rmtree(data / "alice/files/InstantUpload")
    (data / "alice/files/InstantUpload").symlink_to(tmp_path / "outside")
    sink = Memory()
    async with running(make(data, sink)):
        photo(tmp_path / "outside", "more.jpg")
        uploads.put(data / "bob", "InstantUpload/b.jpg", b"b")
        await until(lambda: len(sink.paths) == 1)
        await anyio.sleep(0.3)
    assert sink.paths == ["bob/InstantUpload/b.jpg"]


async def test_a_name_that_is_not_utf8_is_relayed_and_ends_nothing(data: Path) -> None:
    sink = Memory()
    folder = data / "alice/files/InstantUpload"
    async with running(make(data, sink)):
        for number in range(3):
            photo(folder, os.fsdecode(b"\xff%d.jpg" % number))
            await anyio.sleep(0.15)
        uploads.put(data / "alice", "InstantUpload/after.jpg", b"a")
        await until(lambda: len(sink.paths) == 4)
    assert sink.paths[-1] == "alice/InstantUpload/" + os.fsdecode(b"\xff2.jpg")
    assert sink.reasons == []


async def test_a_root_removed_and_made_again_is_watched_again(data: Path) -> None:
    sink = Memory()
    folder = data / "alice/files/InstantUpload"
    async with running(make(data, sink)):
        uploads.put(data / "alice", "InstantUpload/a.jpg", b"a")
        await until(lambda: len(sink.paths) == 1)
        shutil.rmtree(folder)
        await until(lambda: ("alice", "InstantUpload/a.jpg") in sink.vanished)
        uploads.put(data / "alice", "InstantUpload/b.jpg", b"b")
        await until(lambda: len(sink.paths) == 2)
        await anyio.sleep(0.5)
        uploads.put(data / "alice", "InstantUpload/c.jpg", b"c")
        await until(lambda: len(sink.paths) == 3)


async def test_folders_homes_and_users_that_appear_later(data: Path) -> None:
    sink = Memory()
    homes: list[frozenset[str]] = []

    async def seen(users: frozenset[str]) -> None:
        homes.append(users)

    watch = Watch(QUICK, str(data), sink, lambda: {**FOLDERS, "carol": ["InstantUpload"]}, homes_seen=seen)
    async with running(watch):
        uploads.put(data / "bob", "Photos/Phone/2026/p.jpg", b"p")
        await until(lambda: len(sink.paths) == 1)
        uploads.make_home(data, "carol", samples_too=False)
        uploads.put(data / "carol", "InstantUpload/c.jpg", b"c")
        await until(lambda: len(sink.paths) == 2)
        shutil.rmtree(data / "alice")
        await until(lambda: homes[-1] == {"bob", "carol"})
    assert homes == [{"alice", "bob"}, {"alice", "bob", "carol"}, {"bob", "carol"}]


async def test_set_folders_sweeps_the_new_alone_and_forgets_the_old(data: Path) -> None:
    photo(data / "alice/files/Other", "o.jpg")
    sink = Memory()
    watch = make(data, sink, replace(QUICK, settle=1.0))
    async with running(watch):
        uploads.put(data / "bob", "InstantUpload/b.jpg", b"b")
        uploads.put(data / "alice", "InstantUpload/a.jpg", b"a")
        await until(lambda: watch.status().pending == 2)
        await anyio.sleep(0.3)
        before = len(sink.offered)
        watch.set_folders({"alice": ["InstantUpload", "Other/"]})
        assert watch.status().pending == 1
        await until(lambda: len(sink.paths) == 2)
        await anyio.sleep(0.3)
    assert sink.paths == ["alice/InstantUpload/a.jpg", "alice/Other/o.jpg"]
    assert {one.path for one in sink.offered[before:]} == {"Other/o.jpg"}


async def test_a_file_that_goes_before_it_settles_is_told_gone(data: Path) -> None:
    sink = Memory()
    watch = make(data, sink, replace(QUICK, settle=0.8))
    async with running(watch):
        path = uploads.put(data / "alice", "InstantUpload/a.jpg", b"a")
        await until(lambda: watch.status().pending == 1)
        path.unlink()
        await until(lambda: sink.vanished == [("alice", "InstantUpload/a.jpg")])
        await anyio.sleep(0.9)
    assert sink.groups == []


@pytest.mark.parametrize("settled", [False, True])
async def test_files_that_have_gone_are_told_of_all_at_once(data: Path, settled: bool) -> None:
    """Each telling is a turn at the ledger; whoever empties a folder of thousands keeps nobody's photos waiting."""
    told: list[set[tuple[str, str]]] = []

    class Counting(Memory):
        async def gone(self, places: Sequence[tuple[str, str]]) -> None:
            told.append(set(places))

    watch = make(data, Counting(), replace(QUICK, settle=0, partner=0))
    watch.set_folders(FOLDERS)
    names = [f"{number}.jpg" for number in range(5)]
    for name in names:
        photo(data / "alice/files/InstantUpload", name)
        found = Fingerprint.of((data / "alice/files/InstantUpload" / name).stat())
        watch._ripener.seen(Found("alice", f"InstantUpload/{name}", found))
    shutil.rmtree(data / "alice/files/InstantUpload")
    if settled:
        await watch._ripener.hand_over()
    else:
        await watch._receive([Change(f"alice/files/InstantUpload/{name}", None) for name in names])
    assert told == [{("alice", f"InstantUpload/{name}") for name in names}]
    assert watch.status().pending == 0


async def test_an_overwritten_file_settles_as_what_it_is_now(data: Path) -> None:
    sink = Memory()
    async with running(make(data, sink)):
        uploads.put(data / "alice", "InstantUpload/a.jpg", b"first")
        await anyio.sleep(0.1)
        path = uploads.overwrite(data / "alice", "InstantUpload/a.jpg", b"second one")
        await until(lambda: len(sink.groups) == 1)
        await anyio.sleep(0.4)
    assert [group.members[0].fingerprint.inode for group in sink.groups] == [path.stat().st_ino]


async def test_a_data_directory_that_is_not_there_takes_no_photo_with_it(data: Path) -> None:
    sink = Memory()
    watch = make(data, sink, replace(QUICK, settle=0.6))
    async with running(watch):
        uploads.put(data / "alice", "InstantUpload/a.jpg", b"a")
        await until(lambda: watch.status().pending == 1)
        data.rename(data.with_name("away"))
        data.mkdir()
        await until(lambda: watch.status().problem != "")
        await anyio.sleep(1)
        assert (sink.vanished, sink.groups) == ([], [])
        data.rmdir()
        data.with_name("away").rename(data)
        await until(lambda: len(sink.groups) == 1)
        assert watch.status().problem == ""
        uploads.put(data / "alice", "InstantUpload/b.jpg", b"b")
        await until(lambda: len(sink.groups) == 2)
    assert sink.vanished == []


async def test_polling_finds_the_same(data: Path) -> None:
    photo(data / "alice/files/InstantUpload", "old.jpg")
    sink = Memory()
    watch = make(data, sink, replace(QUICK, mode="poll"))
    async with running(watch):
        assert watch.status().mode == "poll"
        uploads.put(data / "alice", "InstantUpload/2026/new.jpg", b"n", 1_000_000_000)
        uploads.bulk(data / "bob", "InstantUpload/bulk.jpg", b"n", 1_000_000_000)
        await until(lambda: len(sink.paths) == 3)
        (data / "bob/files/InstantUpload/bulk.jpg").unlink()
        await until(lambda: sink.vanished == [("bob", "InstantUpload/bulk.jpg")])


async def test_what_the_watch_missed_is_counted(data: Path) -> None:
    sink = Memory()
    watch = make(data, sink, replace(QUICK, settle=0.1, grace=0.2))
    async with running(watch):
        assert watch.status().mode == "inotify"
        await anyio.sleep(0.4)
        wanted, sink.wants = sink.wants, lambda _found: False
        uploads.put(data / "alice", "InstantUpload/lost.jpg", b"x")
        uploads.put(data / "alice", "InstantUpload/heard.jpg", b"x")
        await until(lambda: len({one.path for one in sink.offered}) == 2)
        await anyio.sleep(0.4)
        sink.wants = wanted
        swept = await watch.sweep()
    assert (swept.wanted, swept.missed, watch.status().missed) == (2, 2, 2)


async def test_a_sweep_alone_takes_what_stands(data: Path) -> None:
    photo(data / "alice/files/InstantUpload/a", "1.jpg")
    photo(data / "bob/files/InstantUpload", "2.jpg")
    sink = Memory()
    swept = await make(data, sink).sweep(settle=0)
    assert (swept.files, swept.wanted, swept.missed) == (2, 2, 0)
    assert sink.paths == ["alice/InstantUpload/a/1.jpg", "bob/InstantUpload/2.jpg"]
    only = Memory()
    await make(data, only).sweep(["bob"], settle=0)
    assert only.paths == ["bob/InstantUpload/2.jpg"]


async def test_an_ordinary_sweep_trusts_what_it_saw_until_settings_change(data: Path) -> None:
    folder = data / "alice/files/InstantUpload"
    photo(folder, "1.jpg")
    photo(folder, "2.jpg")
    sink = Memory()
    watch = make(data, sink)

    async def sweep(**how: Any) -> tuple[int, set[str]]:
        before = len(sink.offered)
        swept = await watch.sweep(settle=0, full=False, **how)
        assert (swept.files, swept.directories) == (2, 2)
        return swept.listed, {one.path for one in sink.offered[before:]}

    both = {"InstantUpload/1.jpg", "InstantUpload/2.jpg"}
    await anyio.sleep(0.2)
    assert await sweep() == (2, both)
    assert await sweep() == (1, both), "they were wanted the last time; now they are taken"
    assert await sweep() == (0, set())
    (folder / "2.jpg").write_bytes(b"written in place")
    assert await sweep() == (0, set())
    again = [("alice", "InstantUpload/2.jpg"), ("alice", "InstantUpload/gone.jpg"), ("carol", "InstantUpload/2.jpg")]
    assert await sweep(also=lambda user: [one for one in again if one[0] == user]) == (0, {"InstantUpload/2.jpg"})
    assert sink.groups[-1].members[0].fingerprint.size == 16
    changes: list[Callable[[], None]] = [
        lambda: watch.set_options(QUICK),
        lambda: watch.set_folders({**FOLDERS, "carol": ["InstantUpload"]}),
        lambda: watch.suspect("somebody said so"),
    ]
    for change in changes:
        change()
        assert await sweep() == (2, both)
        assert await sweep() == (0, set())


async def test_a_sweep_that_settles_waits_for_what_is_not_quiet(data: Path) -> None:
    sink = Memory()
    path = data / "alice/files/InstantUpload/slow.jpg"
    path.write_bytes(b"x")

    async with anyio.create_task_group() as group:
        group.start_soon(make(data, sink).sweep, None, 0.4)
        for _ in range(8):
            await anyio.sleep(0.1)
            with path.open("ab") as file:
                file.write(b"x")
    assert sink.groups[0].members[0].fingerprint.size == 9


async def test_a_sweep_bounds_what_it_holds(data: Path) -> None:
    for index in range(60):
        photo(data / "alice/files/InstantUpload", f"{index}.jpg")
    sink = Memory()
    await make(data, sink, replace(QUICK, pending=10, chunk=5)).sweep(settle=0)
    assert len(sink.paths) == 60


async def test_all_who_wait_for_room_go_on_when_there_is_some(data: Path) -> None:
    ripener = make(data, Memory(), replace(QUICK, pending=1))._ripener
    ripener.seen(Found("alice", "InstantUpload/a.jpg", Fingerprint(1, 1, 1, 1)))
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for _ in range(3):  # the live watch, a sweep, another one
                group.start_soon(ripener.wait_for_room, "alice")
            await anyio.sleep(0.1)
            ripener.gone("alice", "InstantUpload", "a.jpg")


async def test_a_sweep_without_the_data_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(Transient):
        await make(tmp_path, Memory()).sweep(settle=0)


async def test_a_suspicion_sweeps_at_once(data: Path) -> None:
    sink = Memory(wants=lambda _found: False)
    watch = make(data, sink)
    async with running(watch):
        uploads.put(data / "alice", "InstantUpload/a.jpg", b"a")
        await until(lambda: len(sink.offered) >= 1)
        sink.wants = lambda _found: True
        watch.suspect("somebody said so")
        await until(lambda: len(sink.paths) == 1)
    assert sink.reasons == ["somebody said so"]
    assert watch.status().suspicions == 1


async def test_a_stalled_event_loop_is_suspicious(data: Path) -> None:
    sink = Memory()
    async with running(make(data, sink)):
        await anyio.sleep(0.5)
        time.sleep(2.4)
        await until(lambda: any("stood still" in reason for reason in sink.reasons))


async def test_the_watch_proves_itself_and_a_deaf_one_polls(data: Path) -> None:
    sink = Memory()
    watch = make(data, sink)
    async with running(watch):
        await until(lambda: watch.status().verified_at is not None)
    deaf = make(data, sink)

    async def silence() -> bool:
        return False

    deaf._lookouts.live.prove = silence  # type: ignore[method-assign, assignment]
    async with running(deaf):
        await until(lambda: deaf.status().mode == "poll")
        assert "reports nothing" in deaf.status().why
        uploads.put(data / "alice", "InstantUpload/a.jpg", b"a")
        await until(lambda: len(sink.paths) == 1)
    assert "the watch by inotify reports nothing" in sink.reasons


async def test_new_times_and_extensions_come_into_force(data: Path) -> None:
    sink = Memory()
    watch = make(data, sink, replace(QUICK, settle=60, extensions=frozenset({"heic"})))
    async with running(watch):
        uploads.put(data / "alice", "InstantUpload/a.jpg", b"a")
        uploads.put(data / "alice", "InstantUpload/b.heic", b"b")
        await until(lambda: watch.status().pending == 1)
        watch.set_options(QUICK)
        await until(lambda: len(sink.paths) == 2)
