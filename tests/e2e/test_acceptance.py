"""The main job, whole: a thousand uploads by five people, PhotoPrism away twice, and everything where it belongs."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from daemon.demo import samples
from tests import uploads
from tests.e2e.world import World, digest
from tests.uploads import Upload

RULES = {
    "alice": "trash",
    "Jane Doe": "delete",
    "o'brien": "archive",
    "dora@example.org": "tag",
    "2656a3c0-30b2-1032-8c1e-b1b0c4d5e6f7": "keep",
}
USERS = list(RULES)
AAE = b'<?xml version="1.0"?><plist version="1.0"><dict><key>adjustmentBaseVersion</key></dict></plist>'


def _by_hand(data: Path) -> list[Upload]:
    """Do what no phone does: folders moved in, copies, an edited photo's side file, one name for many contents."""
    made: list[Upload] = []

    def note(user: str, path: str, content: bytes, *, duplicate: bool = False) -> None:
        made.append(Upload(user, path, digest(content), path, duplicate, len(content)))

    for number, user in enumerate(USERS):
        when = datetime(2025, 3, 1 + number, 9, 30, tzinfo=UTC)
        folder = {f"Träume {n}/P_{n}.jpg": samples.jpeg(when, 7000 + 10 * number + n) for n in range(6)}
        uploads.move_folder_in(data / user, "InstantUpload/Holiday 'one'", folder, when)
        for path, content in folder.items():
            note(user, f"InstantUpload/Holiday 'one'/{path}", content)
        photo = samples.jpeg(when, 8000 + number)
        uploads.put(data / user, "InstantUpload/Edited/IMG_7.jpg", photo, when)
        uploads.put(data / user, "InstantUpload/Edited/IMG_7.aae", AAE + str(number).encode(), when)
        note(user, "InstantUpload/Edited/IMG_7.jpg", photo)
        note(user, "InstantUpload/Edited/IMG_7.aae", AAE + str(number).encode())
        # A file outside the watched folders, copied in.
        copied = samples.png(when, 9000 + number)
        uploads.put(data / user, "Documents/scan.png", copied, when)
        uploads.copy(data / user, "Documents/scan.png", "InstantUpload/copied.png")
        note(user, "InstantUpload/copied.png", copied)
        # What a killed request left, and what is no photo: both stay for ever.
        uploads.abandon(data / user, "InstantUpload/Edited/IMG_8.jpg", photo)
        uploads.put(data / user, "InstantUpload/notes.pdf", b"%PDF-1.5 milk, eggs", when)
    return made


def _same_names(world: World) -> list[Upload]:
    """Upload other contents under names that were used and let go before."""
    made = []
    for number, user in enumerate(USERS[:3]):
        when = datetime(2025, 3, 1 + number, 9, 30, tzinfo=UTC)
        content = samples.jpeg(when, 8100 + number)
        uploads.put(world.data / user, "InstantUpload/Edited/IMG_7.jpg", content, when)
        made.append(Upload(user, "InstantUpload/Edited/IMG_7.jpg", digest(content), "again", size=len(content)))
    return made


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_a_thousand_uploads_by_five_people_and_two_outages(tmp_path: Path) -> None:
    with World(tmp_path, USERS, samples_too=True) as world:
        world.configure(
            users={"include": {user: {"after": after} for user, after in RULES.items()}},
            watch={"settle": "1s", "batch": 80},
            log={"format": "json"},
        )
        world.prism.start()
        world.prism.traps(seconds_per_photo=0.02)
        world.start(hasty=False)
        truth: list[Upload] = []
        phones = threading.Thread(
            target=lambda: truth.extend(
                asyncio.run(uploads.trickle(world.data, USERS, 960, seed=4, pause=0.04, live=0.12))
            )
        )
        phones.start()
        by_hand = _by_hand(world.data)
        _outages(world)
        phones.join()
        truth += by_hand
        world.until(lambda: len(world.photos()) >= len(truth), "every upload found", 60)
        world.until_done(len(truth), 240)
        truth += _same_names(world)
        world.until_done(len(truth), 60)
        status = world.status()
        assert world.stop() == 0

        assert len(truth) >= 1000
        assert sum(one.duplicate for one in truth) >= 80
        assert status["photos"]["done"] == len(truth)
        assert {state: count for state, count in status["photos"].items() if count} == {"done": len(truth)}
        assert status["troubles"] == []
        assert world.in_originals() == dict.fromkeys((one.blake3 for one in truth), 1)
        world.in_order()
        for user, after in RULES.items():
            _homes(world, user, after, [one for one in truth if one.user == user])
        _asked(world, truth)
        _ledger(world, truth)
        _log(world, truth)


def _outages(world: World) -> None:
    """Take PhotoPrism away in mid-import for some seconds; later let it restart in mid-import by itself."""
    proved = "SELECT 1 FROM photos WHERE proved_at IS NOT NULL"
    world.until(lambda: len(world.prism.imported()) > 1 and world.prism.state()["running"], "an import", 60)
    world.prism.kill()
    world.until(lambda: world.rows("SELECT 1 FROM batches WHERE code LIKE 'photoprism.%'"), "a batch that waits", 30)
    threading.Event().wait(5)
    assert len(world.photos()) > len(world.rows(proved)), "photos wait"
    world.prism.start()
    before = len(world.rows(proved))
    world.until(lambda: len(world.rows(proved)) > before + 60, "photos after the outage", 60)
    world.prism.traps(crash_after=5)
    world.until(lambda: world.prism.state()["traps"]["crash_after"] is None, "a restart in mid-import", 60)


def _homes(world: World, user: str, after: str, mine: list[Upload]) -> None:
    """Look at what stands in one person's home: what the rule says, and nothing else missing."""
    files = world.files(f"{user}/files")
    watched = {path for path in files if path.startswith("InstantUpload/")}
    left = {path for path in watched if not path.endswith((".part", "notes.pdf"))}
    assert len(watched - left) == 2, "abandoned part files and what is no photo stay"
    stand = {one.path for one in mine}
    assert left == (stand if after in {"tag", "keep"} else set())
    bin_ = sorted(path.rpartition(".d")[0] for path in world.files(f"{user}/files_trashbin/files"))
    assert bin_ == (sorted(PurePosixPath(one.path).name for one in mine) if after == "trash" else [])
    if after == "trash":
        assert uploads.contents(world.data / user / "files_trashbin/files") == Counter(one.blake3 for one in mine)
    aside = {path for path in files if path.startswith("Archived/")}
    if after == "archive":
        assert "Archived/.nomedia" in aside
        found = uploads.contents(world.data / user / "files/Archived/InstantUpload")
        assert found == Counter(one.blake3 for one in mine)
    else:
        assert not aside
    tagged = {path for path, tags in world.occ.tagged(user).items() if tags == {"relayed"}}
    assert tagged == (stand if after == "tag" else set())
    # Nextcloud's own, and what is not watched.
    assert {f"Photos/{name}" for name in uploads.SAMPLE_PHOTOS} <= files
    assert "Documents/scan.png" in files


def _asked(world: World, truth: list[Upload]) -> None:
    """Nextcloud was asked to look at the folders that changed, and at no other."""
    parents = {one.user: set[str]() for one in truth}
    for one in truth:
        parents[one.user].add(str(PurePosixPath(one.path).parent))
    wanted = {f"/Jane Doe/files/{folder}" for folder in parents["Jane Doe"]}
    wanted |= {f"/o'brien/files/{folder}" for folder in parents["o'brien"]}
    wanted |= {f"/o'brien/files/Archived/{folder}" for folder in parents["o'brien"]}
    leaves = {path.parent.relative_to(world.originals) for path in world.originals.rglob("*") if path.is_file()}
    wanted |= {f"/admin/files/Album/{leaf}" for leaf in leaves}
    whole = {path for path, all_below in world.scans() if all_below}
    assert world.scanned_paths() - whole <= wanted
    for top in whole:
        # Several that changed, asked for at once; never the album or a home as a whole.
        assert sum(path.startswith(f"{top}/") for path in wanted) > 1, top
        assert top.count("/") >= 3, top
        assert top != "/admin/files/Album"
    for path in wanted - world.scanned_paths():
        assert any(path.startswith(f"{top}/") for top in whole), path
    assert all(argv[0] != "files:scan" or "--all" not in argv for argv in world.occ.calls())
    # What is gone is gone from Nextcloud's view, what came is in it, with its date, in the gallery.
    archived = {f"Album/{path.relative_to(world.originals)}" for path in world.originals.rglob("*") if path.is_file()}
    assert archived <= world.occ.known("admin")
    assert archived <= world.occ.with_metadata("admin")
    assert archived <= world.occ.indexed("admin")
    for user in ("alice", "Jane Doe", "o'brien"):
        ghosts = {path for path in world.occ.known(user) if not path.startswith("Album/")}
        assert not {path for path in ghosts if not (world.data / user / "files" / path).exists()}


def _ledger(world: World, truth: list[Upload]) -> None:
    """The ledger tells every photo's way, and every removal once."""
    photos = world.photos()
    assert Counter((row["user"], os.fsdecode(row["path"]), row["blake3"].hex()) for row in photos) == Counter(
        (one.user, one.path, one.blake3) for one in truth
    )
    originals = Counter(row["blake3"] for row in photos if row["duplicate_of"] is None)
    assert set(originals.values()) == {1}
    assert len(originals) == len({one.blake3 for one in truth})
    firsts = {row["id"]: row["blake3"] for row in photos}
    assert all(firsts[row["duplicate_of"]] == row["blake3"] for row in photos if row["duplicate_of"] is not None)
    way = ["found", "settled", "examined", "placed", "imported", "archived", "released", "done"]
    ways: dict[int, list[str]] = {}
    for row in photos:
        ways[row["id"]] = world.history(row["id"])
    for row in photos:
        seen = ways[row["id"]]
        assert seen[0] == "found"
        assert seen[-1] == "done"
        last = {state: seen.index(state) for state in reversed(seen)}
        steps = [state for state in way if row["duplicate_of"] is None or state != "placed"]
        assert [last.get(state, -1) for state in steps] == sorted(last.get(state, -1) for state in steps), seen
        assert set(steps) <= set(seen), seen
        path = world.originals / os.fsdecode(row["archived_as"])
        assert digest(path.read_bytes()) == row["blake3"].hex()
    audit = Counter(row["photo_id"] for row in world.rows("SELECT * FROM audit"))
    assert audit == Counter(row["id"] for row in photos)


def _log(world: World, truth: list[Upload]) -> None:
    """One line for each photo's end, with all that tells it."""
    lines = [json.loads(line) for line in world.text().splitlines() if line.startswith("{")]
    ends = [line for line in lines if "photo" in line]
    assert Counter(line["photo"] for line in ends) == Counter(row["id"] for row in world.photos())
    assert Counter(line["blake3"] for line in ends) == Counter(one.blake3 for one in truth)
    for line in ends:
        assert {"user", "file", "size", "destination", "seconds", "after"} <= set(line)
        assert line["level"] == "info"
    assert not [line for line in lines if line["level"] in {"error", "critical"}]
