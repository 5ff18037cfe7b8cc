"""A ledger that is damaged under the program: nothing is lost, nothing is taken on doubt, and people are told."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from daemon.demo import samples
from tests import uploads
from tests.e2e.world import expected

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.world import World

WHEN = datetime(2026, 3, 1, tzinfo=UTC)


def _photo(seed: int) -> bytes:
    return samples.jpeg(WHEN, seed)


def _put(world: World, name: str, seed: int, user: str = "alice") -> None:
    uploads.put(world.data / user, f"InstantUpload/{name}", _photo(seed), WHEN)


def _copied(world: World) -> bool:
    return any(world.state.glob("backups/ledger-*.db"))


def _issues(world: World) -> dict[str, str]:
    return {issue["code"]: issue["hint"] for issue in world.status().get("issues", [])}


def _scramble(path: Path) -> None:
    """Write over all pages but the first, as a disk that gives other sectors than it was asked for."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
        os.fsync(file.fileno())


def _without_its_log(world: World) -> None:
    """Take the log away too: a small ledger stands in it whole, and SQLite mends the file from it."""
    for name in ("ledger.db-wal", "ledger.db-shm"):
        with suppress(FileNotFoundError):
            (world.state / name).unlink()


def test_a_ledger_damaged_while_it_rests_is_replaced_by_its_copy(world: World) -> None:
    world.start()
    _put(world, "a.jpg", 1)
    world.until_done(1)
    # The first copy was made at the start: another one, as a day later.
    world.stop()
    for old in world.state.glob("backups/*"):
        old.unlink()
    world.start()
    world.until(lambda: _copied(world), "a copy of the ledger")
    _put(world, "b.jpg", 2)
    world.until_done(2)
    # After the copy a person has one put back: the copy does not know that.
    first = world.photo("a.jpg")["id"]
    assert world.run("restore", str(first)).returncode == 0
    _put(world, "keep going.jpg", 3)
    world.until_done(3)
    world.kill()
    _without_its_log(world)
    _scramble(world.state / "ledger.db")
    damaged = (world.state / "ledger.db").read_bytes()
    _put(world, "while dead.jpg", 4)

    checked = json.loads(world.run("check", "--json").stdout)
    assert not [one for one in checked if one["code"] == "ledger.put_back"]
    world.start()
    _put(world, "after.jpg", 5)
    world.until(lambda: world.photos(path="%after.jpg") and world.photo("after.jpg")["state"] == "done", "a new upload")
    # Told, set aside, and the doubtful left alone: what was put back, and what came while nobody knew.
    world.until(lambda: "users.existing" in _issues(world).get("ledger.put_back", ""), "it said")
    (aside,) = world.state.glob("damaged/*/ledger.db")
    assert aside.read_bytes() == damaged
    assert [
        one["level"] for one in json.loads(world.run("check", "--json").stdout) if one["code"] == "ledger.put_back"
    ] == ["warning"]
    assert world.files("alice/files/InstantUpload") == {"a.jpg", "while dead.jpg"}
    assert world.photo("a.jpg")["state"] == "done", "the copy knows no better, and does nothing"

    # A person says otherwise: what the archive has is found by its content, the rest is relayed.
    world.configure(users={"existing": True})
    world.run("sweep")
    world.until(lambda: world.files("alice/files/InstantUpload") == set(), "all relayed", 20)
    world.until_done()
    assert world.in_originals() == expected(_photo(seed) for seed in (1, 2, 3, 4, 5))
    assert world.photo("a.jpg")["duplicate_of"] is not None
    # Whoever has seen to it takes the folder away, and it is over.
    for path in sorted(aside.parent.parent.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    world.stop()
    world.start()
    assert "ledger.put_back" not in _issues(world)
    world.stop()
    world.in_order()


def test_a_ledger_damaged_while_it_is_used_is_replaced_without_a_restart(world: World) -> None:
    world.start()
    for number in range(5):
        _put(world, f"{number}.jpg", number)
    world.until_done(5)
    world.stop()  # into the file with all that stands in the log
    world.start(environment={"HASTY_LEDGER": "1"})
    copied = len(list(world.state.glob("backups/*")))
    world.until(lambda: len(list(world.state.glob("backups/*"))) > max(copied, 1), "a newer copy")
    _scramble(world.state / "ledger.db")
    # What SQLite has in its memory still goes; the daily look, by a connection of its own, sees the file.
    deadline = time.monotonic() + 100
    while not list(world.state.glob("damaged/*/ledger.db")):
        assert time.monotonic() < deadline, world.text()[-3000:]
        time.sleep(0.2)
    world.until(lambda: "ledger.put_back" in _issues(world), "it said", 60)
    _put(world, "new.jpg", 100)
    world.until(lambda: world.photos(path="%new.jpg") and world.photo("new.jpg")["state"] == "done", "it goes on", 60)
    assert world.process is not None
    assert world.process.poll() is None
    assert world.in_originals() == expected(_photo(seed) for seed in (0, 1, 2, 3, 4, 100))
    assert world.stop() == 0
    assert "Traceback" not in world.text()


def test_with_no_copy_at_all_everything_that_stands_is_left_alone(world: World) -> None:
    world.configure(users={"after": "keep"})
    world.start()
    _put(world, "kept.jpg", 1)
    world.until_done(1)
    world.kill()
    for old in world.state.glob("backups/*"):
        old.unlink()
    _without_its_log(world)
    (world.state / "ledger.db").write_bytes(b"lost " * 2000)
    before = world.snapshot(world.data, world.originals)
    world.configure(users={"after": "delete"})
    world.start()
    world.until(lambda: "ledger.lost" in _issues(world), "it said")
    assert world.run("sweep").returncode == 0
    assert world.photos() == []
    assert world.snapshot(world.data, world.originals).keys() == before.keys()
    world.stop()
    world.in_order()
