"""Nextcloud's traps, each through the whole program to the end it should have."""

from __future__ import annotations

import os
import shutil
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from daemon.demo import samples
from tests import uploads
from tests.e2e.world import World, expected

pytestmark = pytest.mark.timeout(300)
WHEN = datetime(2024, 5, 17, 8, 30, tzinfo=UTC)


def put(world: World, user: str, name: str, seed: int, folder: str = "InstantUpload") -> bytes:
    """Upload one small photo and give its bytes."""
    content = samples.jpeg(WHEN, seed)
    uploads.put(world.data / user, f"{folder}/{name}", content, WHEN)
    return content


def standing(world: World, user: str = "alice") -> set[str]:
    return world.files(f"{user}/files/InstantUpload")


# -- occ ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("traps", "code"),
    [
        ({"maintenance": True}, "occ.maintenance"),
        ({"needs_upgrade": True}, "occ.upgrade_pending"),
        ({"locked": True}, "occ.locked"),
        ({"locked": True, "locked_style": "new"}, "occ.locked"),
        ({"already_scanning": True}, "occ.already_scanning"),
        ({"database": True}, "occ.database"),
    ],
)
def test_what_passes_by_itself_in_nextcloud_is_waited_for(world: World, traps: dict[str, Any], code: str) -> None:
    world.configure(users={"include": {"alice": {}, "bob": {"after": "trash"}}})
    world.occ.switch(**traps)
    world.start()
    contents = [put(world, "alice", "a.jpg", 1), put(world, "bob", "b.jpg", 2)]
    world.until(lambda: world.rows("SELECT 1 FROM jobs WHERE code = ?", code), f"{code} told", 30)
    # It may be told of the first one while the second one is on its way.
    world.until(lambda: world.in_originals() == expected(contents), "both archived")
    assert world.states()["alice:InstantUpload/a.jpg"] == "released"
    assert code in {issue["code"] for issue in world.status()["issues"]}
    if code != "occ.already_scanning":
        world.until(lambda: world.photo("b.jpg")["code"] == code, "the bin waits")
        assert standing(world, "bob") == {"b.jpg"}
    world.occ.switch(**dict.fromkeys(traps, False))
    world.until_done(2)
    assert world.status()["issues"] == []
    assert "Album/2024/05/" in world.occ.known("bob")
    assert not standing(world, "bob")
    assert world.stop() == 0
    world.in_order()


def test_an_unknown_user_and_an_album_that_is_not_mounted_are_warnings(world: World) -> None:
    world.configure(nextcloud={"album": {"folder": "/Nope", "seen_by": "admin"}})
    world.start()
    content = put(world, "alice", "a.jpg", 1)
    world.until_done(1, 60)
    assert "occ.path_not_found" in world.text()
    assert "given up after" in world.text()
    assert "/admin/files/Nope" not in world.scanned_paths(), "never the album's root"
    assert world.stop() == 0
    world.configure(nextcloud={"album": {"folder": "/Album", "seen_by": "nobody"}})
    world.start()
    second = put(world, "alice", "b.jpg", 2)
    world.until_done(2, 60)
    assert "occ.unknown_user" in world.text()
    assert world.in_originals() == expected([content, second])
    assert world.stop() == 0
    world.in_order()


def test_occ_that_hangs_is_left_alone_after_its_time(world: World) -> None:
    world.configure(
        nextcloud={"occ": {"via": "command", "command": world.occ.command, "timeout": "2s"}},
    )
    world.start()
    put(world, "alice", "first.jpg", 1)
    world.until_done(1)
    world.occ.switch(hang=True)
    put(world, "alice", "a.jpg", 2)
    world.until(lambda: world.rows("SELECT 1 FROM jobs WHERE code = 'occ.timeout'"), "the time limit", 40)
    assert not standing(world)
    world.occ.switch(hang=False)
    world.until_done(2, 60)
    assert world.stop() == 0
    world.in_order()


def test_occ_that_is_missing_is_told(world: World) -> None:
    world.configure(
        nextcloud={"occ": {"via": "command", "command": [str(world.folder / "no-such-occ")]}},
        users={"include": {"alice": {}, "bob": {"after": "trash"}}},
    )
    world.start()
    contents = [put(world, "alice", "a.jpg", 1), put(world, "bob", "b.jpg", 2)]
    world.until(lambda: world.rows("SELECT 1 FROM jobs WHERE code LIKE 'occ.%'"), "the fault told", 30)
    world.until(lambda: world.photos("bob") and world.photo("b.jpg")["code"].startswith("occ."), "bob's waits", 30)
    assert world.in_originals() == expected(contents)
    assert standing(world, "bob") == {"b.jpg"}
    assert world.stop() == 0
    world.configure(nextcloud={"occ": {"via": "command", "command": world.occ.command}})
    world.start()
    world.until_done(2, 60)
    assert not standing(world, "bob")
    assert world.stop() == 0
    world.in_order()


# -- the data directory ---------------------------------------------------------------------------------------------


def test_without_its_marker_the_data_directory_is_not_touched(world: World) -> None:
    """Whether it is missing at the start or vanishes while the daemon runs, nothing moves until it is back."""
    marker, aside = world.data / ".ncdata", world.folder / "marker"
    marker.rename(aside)
    world.start(ready=False)
    world.until(lambda: "nextcloud.mount_missing" in world.text(), "the missing mount told")
    early = put(world, "alice", "early.jpg", 1)
    before = world.snapshot()
    time.sleep(2.5)
    assert world.snapshot() == before
    assert world.run("health").returncode in {0, 1}
    assert "nextcloud.mount_missing" in world.run("status").stdout
    aside.rename(marker)
    world.until(lambda: "sweep (start)" in world.text(), "the start", 30)
    # What stood there when the homes were first seen is old.
    assert standing(world) == {"early.jpg"}
    put(world, "alice", "new.jpg", 2)
    world.until_done(1)
    assert standing(world) == {"early.jpg"}
    marker.rename(aside)
    time.sleep(1)
    put(world, "alice", "late.jpg", 3)
    time.sleep(3)
    assert standing(world) == {"early.jpg", "late.jpg"}
    assert not world.photos(path="%late.jpg") or not world.photo("late.jpg")["proved_at"]
    assert (world.data / "alice/files/InstantUpload/early.jpg").read_bytes() == early
    aside.rename(marker)
    world.until(lambda: standing(world) == {"early.jpg"}, "the late one relayed", 60)
    assert world.stop() == 0
    world.in_order()


def test_an_empty_mount_point_is_no_data_directory(world: World) -> None:
    world.start()
    put(world, "alice", "a.jpg", 1)
    world.until_done(1)
    away = world.folder / "data-away"
    world.data.rename(away)
    world.data.mkdir()
    time.sleep(3)
    assert list(world.data.iterdir()) == []
    world.data.rmdir()
    away.rename(world.data)
    put(world, "alice", "b.jpg", 2)
    world.until(lambda: world.states().get("alice:InstantUpload/b.jpg") == "done", "the next photo", 60)
    assert not world.rows("SELECT 1 FROM homes WHERE gone_since IS NOT NULL")
    assert world.stop() == 0
    world.in_order()


# -- users ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("new", ["include", "ask", "exclude"])
def test_a_new_user_at_run_time(world: World, new: str) -> None:
    world.configure(users={"new": new})
    world.start()
    uploads.make_home(world.data, "dora@example.org")
    world.until(lambda: "dora@example.org has a home" in world.text(), "the home seen", 30)
    world.until(lambda: world.rows("SELECT 1 FROM homes WHERE user LIKE 'dora%' AND baseline_at > 0"), "listed")
    content = put(world, "dora@example.org", "a.jpg", 1)
    if new == "include":
        world.until_done(1)
        assert world.in_originals() == expected([content])
    else:
        time.sleep(3)
        assert standing(world, "dora@example.org") == {"a.jpg"}
        assert not world.photos()
        asked = [issue for issue in world.status()["issues"] if issue["code"] == "user.new"]
        assert len(asked) == (new == "ask")
        # Included by hand while it runs: what came since the home was first seen is new.
        world.configure(users={"include": {"alice": {}, "bob": {}, "dora@example.org": {}}})
        world.until_done(1)
        assert world.in_originals() == expected([content])
        assert not world.status()["issues"]
    assert len(world.files("dora@example.org/files/Photos")) == 9, "Nextcloud's samples stay"
    assert world.stop() == 0
    world.in_order()


def test_an_excluded_user_and_the_samples_are_never_touched(world: World) -> None:
    world.configure(
        users={"new": "include", "include": {"alice": {"folders": ["Photos"]}}, "exclude": ["bob", "admin"]},
    )
    world.start()
    before = world.snapshot(world.data / "bob", world.data / "admin")
    put(world, "bob", "b.jpg", 1)
    before |= world.snapshot(world.data / "bob")
    uploads.make_home(world.data, "carol")
    shutil.rmtree(world.data / "alice/files")
    uploads.make_home(world.data, "alice")
    own = put(world, "alice", "Steps.jpg.jpg", 5, "Photos")
    world.until(lambda: "done" in world.states().values(), "the own photo's end")
    assert world.run("sweep").returncode == 0
    assert world.states() == {"alice:Photos/Steps.jpg.jpg": "done"}
    assert world.snapshot(world.data / "bob", world.data / "admin") == before
    assert world.in_originals() == expected([own])
    assert set(uploads.SAMPLE_PHOTOS) <= world.files("alice/files/Photos")
    assert world.stop() == 0
    world.in_order()


def test_watched_folders_that_appear_later(world: World) -> None:
    world.start()
    shutil.rmtree(world.data / "alice/files/InstantUpload", ignore_errors=True)
    contents = [put(world, "alice", "2024/05/a.jpg", 1), put(world, "bob", "x/y/z/b.jpg", 2, "Camera Uploads")]
    world.until_done(2)
    shutil.rmtree(world.data / "alice/files/InstantUpload")
    time.sleep(1)
    contents.append(put(world, "alice", "2024/06/c.jpg", 3))
    world.until_done(3)
    assert world.in_originals() == expected(contents)
    assert world.stop() == 0
    world.in_order()


def test_what_stood_there_before_stays_also_after_the_ledger_is_lost(world: World) -> None:
    old = put(world, "alice", "old.jpg", 1)
    world.start()
    new = put(world, "alice", "new.jpg", 2)
    world.until_done(1)
    assert standing(world) == {"old.jpg"}
    # The same name anew is a new upload.
    assert world.stop() == 0
    shutil.rmtree(world.state)
    put(world, "alice", "between.jpg", 3)
    world.start()
    assert world.run("sweep").returncode == 0
    assert standing(world) == {"old.jpg", "between.jpg"}
    assert world.photos() == []
    again = put(world, "alice", "again.jpg", 2)
    uploads.overwrite(world.data / "alice", "InstantUpload/old.jpg", samples.jpeg(WHEN, 4), WHEN)
    world.until_done(2)
    assert standing(world) == {"between.jpg"}
    assert again == new
    assert world.in_originals() == expected([new, samples.jpeg(WHEN, 4)])
    assert old not in [path.read_bytes() for path in world.originals.rglob("*.jpg")]
    assert world.stop() == 0
    world.in_order()


def test_links_are_not_followed_and_odd_names_arrive(world: World) -> None:
    world.start()
    outside = world.folder / "outside"
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(samples.jpeg(WHEN, 99))
    home = world.data / "alice"
    contents = [put(world, "alice", 'it\'s $HOME;echo `x` "q".jpg', 1), put(world, "alice", "Zoë Übung 🌄.jpg", 2)]
    (home / "files/InstantUpload/linked").symlink_to(outside)
    (home / "files/InstantUpload/link.jpg").symlink_to(outside / "secret.jpg")
    raw = os.fsencode(str(home / "files/InstantUpload/")) + b"/caf\xe9\n.jpg"
    with open(raw, "wb") as file:  # noqa: PTH123  no text has these bytes
        file.write(samples.jpeg(WHEN, 3))
    contents.append(samples.jpeg(WHEN, 3))
    world.until_done(3)
    assert world.in_originals() == expected(contents)
    assert (outside / "secret.jpg").exists()
    assert {"link.jpg"} == standing(world) - {"linked/secret.jpg"}
    assert world.stop() == 0
    world.in_order()
