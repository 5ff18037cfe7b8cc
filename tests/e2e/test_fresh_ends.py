"""A sweep that a person waits for ends, and a daemon starts, whatever is away."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from daemon.demo import samples
from tests import uploads

if TYPE_CHECKING:
    from tests.e2e.world import World

WHEN = datetime(2026, 11, 5, 10, tzinfo=UTC)


def put(world: World, name: str, seed: int) -> None:
    uploads.put(world.data / "alice", f"InstantUpload/{name}", samples.jpeg(WHEN, seed), WHEN)


def test_a_sweep_does_not_wait_for_release_after(world: World) -> None:
    world.configure(users={"existing": True, "release_after": "7d"})
    put(world, "a.jpg", 1)
    done = world.run("sweep")
    assert done.returncode == 0, done.stdout + done.stderr
    assert world.files("alice/files/InstantUpload") == {"a.jpg"}
    assert len(world.in_originals()) == 1


def test_a_sweep_with_relay_dry_run_only_says(world: World) -> None:
    world.configure(users={"existing": True}, relay={"dry_run": True})
    put(world, "a.jpg", 1)
    done = world.run("sweep")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "would be relayed" in done.stdout
    assert world.files("alice/files/InstantUpload") == {"a.jpg"}


def test_a_sweep_ends_though_nextcloud_does_not_answer(world: World) -> None:
    world.configure(users={"existing": True}, nextcloud={"occ": {"command": ["/bin/false"]}})
    put(world, "a.jpg", 1)
    done = world.run("sweep")
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(world.in_originals()) == 1


def test_a_sweep_ends_though_photoprism_is_away_and_more_than_one_batch_waits(world: World) -> None:
    world.configure(users={"existing": True}, watch={"batch": 1})
    for number in range(3):
        put(world, f"{number}.jpg", number)
    world.prism.kill()
    done = world.run("sweep")
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(world.files("alice/files/InstantUpload")) == 3


def test_a_daemon_starts_though_the_import_folder_is_away(world: World) -> None:
    """A batch was open when it was stopped; PhotoPrism's disk is not mounted yet at the next start."""
    world.configure(users={"existing": True})
    put(world, "a.jpg", 1)
    world.prism.kill()
    world.run("sweep")
    away = world.imports.with_name("unplugged")
    world.imports.rename(away)
    world.start()
    world.until(lambda: world.run("health").returncode == 0, "health")
    assert world.process is not None
    assert world.process.poll() is None
    world.prism.start()
    away.rename(world.imports)
    world.until(lambda: len(world.in_originals()) == 1, "the photo in the archive")
    world.until_done(1)
    world.in_order()


def test_old_photos_in_a_folder_that_is_renamed_are_not_new(world: World) -> None:
    """``existing: false`` holds for the photos, not for the names of the folders that they stood in."""
    for number in range(3):
        put(world, f"{number}.jpg", number)
    world.start()
    files = world.data / "alice" / "files"
    (files / "InstantUpload").rename(files / "SofortUpload")
    # A new upload tells when the watch has been there.
    uploads.put(world.data / "alice", "SofortUpload/new.jpg", samples.jpeg(WHEN, 9), WHEN)
    world.until_done(1)
    (files / "SofortUpload" / "2026").mkdir()
    (files / "SofortUpload" / "0.jpg").rename(files / "SofortUpload" / "2026" / "0.jpg")
    uploads.put(world.data / "alice", "SofortUpload/2026/newer.jpg", samples.jpeg(WHEN, 10), WHEN)
    world.until_done(2)
    assert world.run("sweep").returncode == 0
    assert world.files("alice/files/SofortUpload") == {"1.jpg", "2.jpg", "2026/0.jpg"}
    assert set(world.states()) == {"alice:SofortUpload/new.jpg", "alice:SofortUpload/2026/newer.jpg"}
