"""PhotoPrism's traps, each through the whole program to the end it should have."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime

import pytest

from daemon.demo import samples
from tests import uploads
from tests.e2e.world import TOKEN, World, digest, expected

pytestmark = pytest.mark.timeout(300)
WHEN = datetime(2024, 5, 17, 8, 30, tzinfo=UTC)
BATCHES = "SELECT * FROM batches WHERE code = ?"


def put(world: World, user: str, name: str, seed: int) -> bytes:
    """Upload one small photo and give its bytes."""
    content = samples.jpeg(WHEN, seed)
    uploads.put(world.data / user, f"InstantUpload/{name}", content, WHEN)
    return content


def sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def standing(world: World, user: str = "alice") -> set[str]:
    return world.files(f"{user}/files/InstantUpload")


def test_what_goes_wrong_with_single_photos_stops_no_other(world: World) -> None:
    world.start()
    world.prism.traps(
        unindexed=["unindexed.jpg"],
        never_indexed=["never.jpg"],
        row_error=["error.jpg"],
        hide=["hidden.jpg"],
        altered=["altered.jpg"],
        swallowed=["swallowed.jpg"],
        move_fails=["unsupported.jpg"],
    )
    names = ["good", "unindexed", "never", "error", "hidden", "altered", "swallowed", "unsupported"]
    contents = {name: put(world, "alice", f"{name}.jpg", number) for number, name in enumerate(names)}
    world.until(
        lambda: {row["state"] for row in world.photos(path="%altered.jpg")} == {"waiting"} or len(world.photos()) == 8,
        "all found",
    )
    held = ["never", "hidden", "swallowed", "unsupported"]
    for name in held:
        world.until(lambda name=name: world.photo(f"/{name}.jpg")["state"] == "held", f"{name} held", 60)  # type: ignore[misc]
    for name in ("good", "unindexed"):
        world.until(lambda name=name: world.photo(f"/{name}.jpg")["state"] == "done", f"{name} done")  # type: ignore[misc]
    codes = {name: world.photo(f"/{name}.jpg")["code"] for name in names}
    assert codes["never"] == "archive.unindexed"
    assert codes["hidden"] == "archive.hidden"
    assert codes["swallowed"] == codes["unsupported"] == "archive.absent"
    assert world.photo("/never.jpg")["indexings"] == 2
    assert world.photo("/unsupported.jpg")["imports"] == 2
    gone = set(names) - {name.removesuffix(".jpg") for name in standing(world)}
    assert {"good", "unindexed"} <= gone
    assert not gone & set(held)
    for name in held:
        assert (world.data / f"alice/files/InstantUpload/{name}.jpg").read_bytes() == contents[name]
    assert "2024/05" in world.prism.state()["indexes"]
    # The trouble mended, a sweep brings them all to their end; what was under way just then may need another.
    assert world.stop() == 0
    world.prism.control(clear=True)
    for path in world.originals.rglob("*.jpg"):
        if digest(path.read_bytes()) not in {digest(content) for content in contents.values()}:
            path.unlink()
    world.prism.control(reset=True)
    world.run("sweep")
    done = world.run("sweep")
    assert done.returncode == 0, done.stdout + done.stderr
    assert standing(world) == set()
    assert world.in_originals() == expected(contents.values())
    world.in_order()


def test_a_photo_archived_in_photoprism_is_kept_and_told(world: World) -> None:
    world.start()
    content = put(world, "alice", "first.jpg", 1)
    world.until_done(1)
    world.prism.control(archive=sha1(content))
    put(world, "bob", "again.jpg", 1)
    world.until(lambda: world.states().get("bob:InstantUpload/again.jpg") == "held", "the photo held")
    assert world.photo("again.jpg")["code"] == "archive.hidden"
    assert "again.jpg" in standing(world, "bob")
    status = world.run("status").stdout
    assert "archive.hidden" in status
    assert "again.jpg" in world.text()
    assert world.stop() == 0
    world.in_order()


def test_a_row_whose_file_is_gone_or_differs_is_no_proof(world: World) -> None:
    world.start()
    gone, differs = put(world, "alice", "gone.jpg", 1), put(world, "alice", "differs.jpg", 2)
    world.until_done(2)
    world.prism.control(delete_original=[sha1(gone)], alter_original=[sha1(differs)])
    put(world, "bob", "gone.jpg", 1)
    put(world, "bob", "differs.jpg", 2)
    world.until(lambda: world.states().get("bob:InstantUpload/gone.jpg") == "done", "brought again")
    assert world.in_originals()[digest(gone)] == 1
    # PhotoPrism itself takes the altered file for the photo: nothing may be let go for it.
    world.until(lambda: world.states().get("bob:InstantUpload/differs.jpg") in {"waiting", "held", "done"}, "told", 30)
    time.sleep(2)
    if digest(differs) not in world.in_originals():
        assert "differs.jpg" in standing(world, "bob")
    assert world.stop() == 0
    assert "Traceback" not in world.text()


@pytest.mark.parametrize("traps", [{"busy_next": 3}, {"throttle": 1}, {"quota_full": True}, {"mkdir_denied": True}])
def test_what_passes_by_itself_is_waited_for(world: World, traps: dict[str, int]) -> None:
    world.start()
    world.prism.traps(**traps)
    contents = [put(world, "alice", "a.jpg", 1), put(world, "bob", "same.jpg", 1), put(world, "bob", "b.jpg", 2)]
    time.sleep(3)
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in traps.values()):
        assert standing(world) == {"a.jpg"}
        assert not world.in_originals()
    world.prism.control(clear=True)
    if "mkdir_denied" in traps:
        assert world.run("sweep").returncode == 0
    world.until_done(3)
    assert world.in_originals() == expected(contents)
    assert not standing(world)
    assert not standing(world, "bob")
    assert world.stop() == 0
    world.in_order()


def test_an_import_folder_that_photoprism_does_not_see(world: World) -> None:
    """The wrong folder is mounted: PhotoPrism says "completed", takes nothing, and nothing is let go."""
    other = world.folder / "other-import"
    other.mkdir()
    world.prism.kill()
    world.prism.imports = other
    world.prism.start()
    world.start()
    put(world, "alice", "a.jpg", 1)
    world.until(lambda: world.photos(path="%a.jpg") and world.photo("a.jpg")["state"] == "held", "held", 60)
    assert world.photo("a.jpg")["code"] == "archive.absent"
    assert standing(world) == {"a.jpg"}
    assert world.left_in_import() == []
    assert world.stop() == 0
    world.in_order()


def test_a_wrong_token_asks_seldom_and_recovers(world: World) -> None:
    world.prism.kill()
    world.prism.start(token="another-token-than-ours-xyz")
    world.start()
    content = put(world, "alice", "a.jpg", 1)
    world.until(lambda: world.rows(BATCHES, "photoprism.unauthorized"), "the refusal seen")
    before = len(world.prism.state()["calls"])
    time.sleep(4)
    assert len(world.prism.state()["calls"]) - before < 12
    status = world.status()
    assert {issue["code"] for issue in status["issues"]} >= {"photoprism.unauthorized"}
    assert status["last_batch"]["waits_since"]
    assert standing(world) == {"a.jpg"}
    world.prism.control(tokens={TOKEN: {}})
    world.until_done(1)
    assert world.in_originals() == expected([content])
    assert world.stop() == 0
    world.in_order()


def test_a_token_without_the_right_waits(world: World) -> None:
    world.prism.kill()
    world.prism.start(token="another-token-than-ours-xyz")
    world.prism.control(tokens={TOKEN: {"scope": "photos", "role": "guest"}})
    world.start()
    put(world, "alice", "a.jpg", 1)
    world.until(lambda: world.rows(BATCHES, "photoprism.forbidden"), "the refusal seen")
    assert standing(world) == {"a.jpg"}
    world.prism.control(tokens={TOKEN: {}})
    world.until_done(1)
    assert world.stop() == 0
    world.in_order()


def test_a_long_import_cut_by_a_proxy_and_a_database_reset(world: World) -> None:
    world.prism.traps(seconds_per_photo=0.3, proxy_cuts_after=0.5)
    world.start()
    contents = [put(world, "alice", f"IMG_{n}.jpg", n) for n in range(5)]
    world.until_done(5)
    assert world.in_originals() == expected(contents)
    world.prism.control(clear=True)
    # The database reset: the files stand there, no row for them.
    world.prism.control(reset=True)
    put(world, "bob", "again.jpg", 3)
    world.until_done(6)
    assert world.in_originals() == expected(contents)
    assert not standing(world, "bob")
    assert world.stop() == 0
    world.in_order()


def test_a_restart_of_photoprism_in_mid_import(world: World) -> None:
    world.prism.traps(crash_after=2)
    world.start()
    contents = [put(world, "alice", f"IMG_{n}.jpg", n) for n in range(5)]
    world.until_done(5)
    assert world.in_originals() == expected(contents)
    assert world.stop() == 0
    world.in_order()


def test_originals_that_are_not_mounted_are_proved_by_download(world: World) -> None:
    world.configure(photoprism={"originals": ""})
    world.start(environment={"HASTY_UNSYNCED": "4"})
    content = put(world, "alice", "a.jpg", 1)
    xmp = samples.xmp(5)
    edited = put(world, "alice", "edited.jpg", 2)
    uploads.put(world.data / "alice", "InstantUpload/edited.xmp", xmp, WHEN)
    world.until(lambda: world.photos(path="%/a.jpg") and world.photo("/a.jpg")["proved_at"], "the proof")
    assert "a.jpg" in standing(world), "not before it is surely on the disk"
    world.until(lambda: world.photo("/a.jpg")["state"] == "done", "the end")
    photo = world.photo("/a.jpg")
    assert photo["ended_at"] - photo["proved_at"] >= 4
    assert any("/dl/" in path for _, path in world.prism.state()["calls"])
    world.until(lambda: world.photo("edited.xmp")["state"] == "held", "the side file held")
    assert world.photo("edited.xmp")["code"] == "archive.unprovable"
    assert standing(world) == {"edited.jpg", "edited.xmp"}
    assert {digest(content), digest(edited)} <= set(world.in_originals())
    # A damaged download proves nothing.
    world.prism.traps(dl_damaged=True)
    put(world, "bob", "b.jpg", 7)
    world.until(lambda: world.photos("bob") and world.photo("b.jpg")["code"], "trouble told")
    assert standing(world, "bob") == {"b.jpg"}
    assert world.stop() == 0
    assert "Traceback" not in world.text()


def test_the_same_photo_by_three_people_at_once(world: World) -> None:
    uploads.make_home(world.data, "carol", samples_too=False)
    world.configure(users={"include": {"alice": {}, "bob": {}, "carol": {}}})
    world.start()
    contents = {put(world, user, f"{user}.jpg", 1) for user in ("alice", "bob", "carol")}
    world.until_done(3)
    assert world.in_originals() == expected(contents)
    assert sum(row["duplicate_of"] is None for row in world.photos()) == 1
    assert not any(standing(world, user) for user in ("alice", "bob", "carol"))
    assert world.stop() == 0
    world.in_order()


@pytest.mark.parametrize("outage", ["refused", "hang", "503", "html", "reset"])
def test_photoprism_gone_for_long(world: World, outage: str) -> None:
    world.start()
    first = put(world, "alice", "first.jpg", 1)
    world.until_done(1)
    if outage == "refused":
        world.prism.kill()
    else:
        world.prism.traps(outage=outage)
    second = put(world, "alice", "second.jpg", 2)
    world.until(lambda: world.photos(path="%second.jpg") and world.photo("second.jpg")["code"], "the trouble", 60)
    third = put(world, "bob", "third.jpg", 3)
    time.sleep(2)
    assert standing(world) == {"second.jpg"}
    assert standing(world, "bob") == {"third.jpg"}
    status = world.status()
    assert status["photos"]["done"] == 1
    [issue] = [issue for issue in status["issues"] if issue["code"].startswith("photoprism.")]
    assert issue["since"]
    assert issue["message"]
    assert len(world.rows("SELECT * FROM batches WHERE state <> 'ended'")) == 1, "nothing more is begun"
    assert world.left_in_import() == []
    if outage == "refused":
        world.prism.start()
    else:
        world.prism.control(clear=True)
    world.until_done(3, 60)
    assert world.in_originals() == expected([first, second, third])
    assert world.status()["issues"] == []
    assert world.stop() == 0
    world.in_order()
