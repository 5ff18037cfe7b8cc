"""Each command as a process: what it does, what it says, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from daemon.demo import samples
from tests import uploads
from tests.e2e.world import ROOT, World, expected

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(300)
WHEN = datetime(2024, 5, 17, 8, 30, tzinfo=UTC)
NO_BATCH = "SELECT 1 FROM batches WHERE state <> 'ended'"


def put(world: World, user: str, name: str, seed: int, folder: str = "InstantUpload") -> bytes:
    """Upload one small photo and give its bytes."""
    content = samples.jpeg(WHEN, seed)
    uploads.put(world.data / user, f"{folder}/{name}", content, WHEN)
    return content


# -- run ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_daemon_stops_when_told(world: World, number: signal.Signals) -> None:
    world.start(hasty=False)
    assert world.process is not None
    world.process.send_signal(number)
    began = time.monotonic()
    assert world.process.wait(10) == 0
    assert time.monotonic() - began < 3
    world.process = None
    assert not (world.state / "control.sock").exists() or world.run("health").returncode == 1
    world.in_order()


def test_folders_are_watched_before_the_rest_is_loaded(world: World) -> None:
    uploads.make_folders(world.data / "alice/files/InstantUpload/2026")
    world.start(hasty=False)
    said = [line for line in world.text().splitlines() if "watching" in line or "running" in line]
    assert ["watching 2 folders" in said[0], "running; state in" in said[1], len(said)] == [True, True, 2], said
    world.in_order()


def test_stopped_in_mid_import_it_goes_on_where_it_was(world: World) -> None:
    world.prism.traps(seconds_per_photo=0.4)
    contents = [put(world, "alice", f"IMG_{n}.jpg", n) for n in range(6)]
    world.configure(users={"existing": True})
    world.start(ready=False)
    world.until(lambda: world.prism.state()["running"], "the import")
    assert world.stop() == 0
    assert world.files("alice/files/InstantUpload") == {f"IMG_{n}.jpg" for n in range(6)}
    world.prism.traps(seconds_per_photo=0)
    world.start()
    world.until_done(6)
    assert world.in_originals() == expected(contents)
    assert not world.files("alice/files/InstantUpload")
    assert len(world.photos()) == 6
    assert world.stop() == 0
    world.in_order()


@pytest.mark.slow
def test_stopped_while_it_reads_a_long_film(world: World) -> None:
    film = uploads.put(world.data / "alice", "InstantUpload/long.mp4", samples.mp4(WHEN, 1), WHEN)
    os.truncate(film, 40 << 30)
    world.configure(users={"existing": True})
    world.start(ready=False)
    world.until(lambda: world.rows(NO_BATCH), "a batch")
    time.sleep(0.3)
    assert world.states() == {"alice:InstantUpload/long.mp4": "settled"}
    began = time.monotonic()
    assert world.stop(within=10) == 0
    assert time.monotonic() - began < 10
    assert film.stat().st_size == 40 << 30
    film.unlink()
    world.start()
    world.until(lambda: not world.rows(NO_BATCH), "the end of the batch")
    assert world.stop() == 0
    world.in_order()


def test_a_second_daemon_over_the_same_state_is_refused(world: World) -> None:
    world.start()
    second = world.run("run")
    assert second.returncode == 1
    assert "another daemon" in second.stderr
    assert "Traceback" not in second.stderr
    assert world.run("health").returncode == 0
    assert world.stop() == 0


def test_a_daemon_is_well_though_its_file_has_a_fault(world: World, tmp_path: Path) -> None:
    # The last good settings stay in force, so a Swarm must not end it: the image says where the state is.
    world.start()
    broken = tmp_path / "broken.yaml"
    broken.write_text("watch: {settle: soon}\n")
    assert world.run("health", config=broken).returncode == 2
    words = [sys.executable, "-m", "daemon", "health", "--config", str(broken)]
    environment = os.environ | {"PHOTON_RELAY__STATE": str(world.state)}
    assert subprocess.check_output(words, cwd=ROOT, env=environment, text=True) == "ok\n"
    assert world.stop() == 0


def test_both_names_are_the_same_program() -> None:
    script = Path(sys.executable).with_name("photon-relay")
    if not script.exists():
        pytest.skip("needs the installed script: pip install -e .")
    said = [
        subprocess.run([*words, "--version"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for words in ([str(script)], [sys.executable, "-m", "daemon"])
    ]
    assert said[0] == said[1] != ""


# -- sweep ----------------------------------------------------------------------------------------------------------


def test_a_sweep_alone_relays_what_is_there_and_says_so(world: World) -> None:
    world.configure(users={"existing": True})
    contents = [put(world, "alice", "a.jpg", 1), put(world, "bob", "b.jpg", 2), put(world, "bob", "same.jpg", 1)]
    done = world.run("sweep")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 photos to relay" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith("2 photos relayed")
    assert done.stdout.splitlines()[-1].endswith(", 1 duplicate")
    assert world.in_originals() == expected(contents)
    assert not world.files("alice/files/InstantUpload", "bob/files/InstantUpload")
    assert world.run("sweep").stdout.splitlines()[-1].startswith("0 photos relayed")
    world.in_order()


def test_a_side_file_without_its_photo_keeps_no_sweep_waiting(world: World) -> None:
    world.configure(users={"existing": True})
    uploads.put(world.data / "alice", "InstantUpload/alone.xmp", samples.xmp(1), WHEN)
    put(world, "alice", "a.jpg", 1)
    done = world.run("sweep")
    assert done.returncode == 0, done.stdout + done.stderr
    assert world.files("alice/files/InstantUpload") == {"alone.xmp"}
    # Its photo comes: then both go.
    put(world, "alice", "alone.jpg", 2)
    assert world.run("sweep").returncode == 0
    assert not world.files("alice/files/InstantUpload")
    world.in_order()


def test_a_sweep_fails_where_a_photo_is_held(world: World) -> None:
    world.configure(users={"existing": True})
    put(world, "alice", "good.jpg", 1)
    put(world, "alice", "bad.jpg", 2)
    world.prism.traps(never_indexed=["bad.jpg"])
    done = world.run("sweep")
    assert done.returncode == 1
    assert "archive.unindexed" in done.stdout
    assert "bad.jpg" in done.stdout
    assert world.files("alice/files/InstantUpload") == {"bad.jpg"}
    world.prism.control(clear=True)
    world.prism.control(reset=True)
    again = world.run("sweep")
    assert again.returncode == 0, again.stdout + again.stderr
    assert not world.files("alice/files/InstantUpload")
    world.in_order()


def test_a_sweep_of_one_user_leaves_the_others_alone(world: World) -> None:
    world.configure(users={"existing": True})
    put(world, "alice", "a.jpg", 1)
    put(world, "bob", "b.jpg", 2)
    assert world.run("sweep", "--user", "bob").returncode == 0
    assert world.files("alice/files/InstantUpload") == {"a.jpg"}
    assert not world.files("bob/files/InstantUpload")
    refused = world.run("sweep", "--user", "mallory")
    assert refused.returncode == 1
    assert "mallory" in refused.stderr
    assert "sweep.not_included" in refused.stderr
    assert "Traceback" not in refused.stderr
    world.in_order()


def _unlike(world: World) -> None:
    """Put files of every kind into a watched folder."""
    home = world.data / "alice"
    put(world, "alice", "new.jpg", 11)
    uploads.put(home, "InstantUpload/empty.jpg", b"", WHEN)
    uploads.put(home, "InstantUpload/liar.jpg", b"GIF89a not a photo", WHEN)
    encrypted = b"HBEGIN:oc_encryption_module:OC_DEFAULT_MODULE:cipher:AES-256-CTR:HEND".ljust(8192, b"-")
    uploads.put(home, "InstantUpload/secret.jpg", encrypted, WHEN)
    (home / "files/InstantUpload/link.jpg").symlink_to(home / "files/InstantUpload/new.jpg")


@pytest.mark.parametrize("running", [False, True])
def test_a_dry_run_says_why_and_touches_nothing(world: World, *, running: bool) -> None:
    world.configure(users={"existing": True})
    put(world, "bob", "known.jpg", 1)
    assert world.run("sweep").returncode == 0
    if running:
        world.configure(relay={"dry_run": True})
        world.start()
    _unlike(world)
    put(world, "bob", "known.jpg", 1)
    if running:
        time.sleep(2)
    before = world.snapshot()
    calls = len(world.prism.state()["imports"])
    ledger = [dict(row) for row in world.rows("SELECT * FROM photos")]
    done = world.run("sweep", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert world.snapshot() == before
    assert [dict(row) for row in world.rows("SELECT * FROM photos")] == ledger
    assert len(world.prism.state()["imports"]) == calls
    said = {line.split(": ")[1]: line for line in done.stdout.splitlines() if line.count(": ") > 1}
    assert "would be relayed" in said["InstantUpload/new.jpg"]
    assert "then: delete" in said["InstantUpload/new.jpg"]
    assert "duplicate" in said["InstantUpload/known.jpg"]
    assert "file.empty" in said["InstantUpload/empty.jpg"]
    assert "media.mismatch" in said["InstantUpload/liar.jpg"]
    assert "file.encrypted" in said["InstantUpload/secret.jpg"]
    assert "InstantUpload/link.jpg" not in said
    assert "nothing was touched" in done.stdout.splitlines()[-1]
    only = world.run("sweep", "--dry-run", "--user", "bob")
    assert "alice" not in only.stdout
    assert "known.jpg" in only.stdout


def test_a_dry_run_on_a_fresh_machine_makes_nothing(world: World) -> None:
    put(world, "alice", "old.jpg", 1)
    before = world.snapshot()
    done = world.run("sweep", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "users.existing" in done.stdout
    assert world.snapshot() == before
    assert not world.rows("SELECT * FROM homes")


def test_a_sweep_beside_a_running_daemon_is_done_by_it(world: World) -> None:
    world.start()
    content = put(world, "alice", "a.jpg", 1)
    done = world.run("sweep")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sweep (asked for)" in world.text()
    assert world.in_originals() == expected([content])
    assert world.states() == {"alice:InstantUpload/a.jpg": "done"}
    assert world.stop() == 0
    world.in_order()


def test_a_socket_left_by_a_killed_daemon_misleads_nobody(world: World) -> None:
    world.start()
    world.kill()
    assert (world.state / "control.sock").exists()
    assert world.run("health").returncode == 1
    assert json.loads(world.run("status", "--json").stdout)["running"] is False
    content = put(world, "alice", "a.jpg", 1)
    assert world.run("sweep").returncode == 0
    assert world.in_originals() == expected([content])
    world.in_order()


def test_no_settle_time_at_all_is_for_a_sweep_only(world: World) -> None:
    world.configure(watch={"settle": "0s"}, users={"existing": True})
    content = put(world, "alice", "a.jpg", 1)
    refused = world.run("run")
    assert refused.returncode == 2
    assert "watch.settle" in refused.stderr
    assert world.files("alice/files/InstantUpload") == {"a.jpg"}
    done = world.run("sweep")
    assert done.returncode == 0, done.stdout + done.stderr
    assert world.in_originals() == expected([content])
    world.in_order()


# -- status, health, check ------------------------------------------------------------------------------------------


def test_status_before_anything_beside_a_daemon_and_after_it(world: World) -> None:
    fresh = world.status()
    assert fresh["running"] is False
    assert not world.state.exists()
    assert world.run("health").returncode == 1
    world.start()
    put(world, "alice", "a.jpg", 1)
    world.until_done(1)
    running = world.status()
    assert running["running"] is True
    assert running["photos"]["done"] == 1
    assert running["last_batch"]["state"] == "ended"
    assert running["last_batch"]["photos"] == 1
    assert running["sweep"]["next"]
    assert running["issues"] == []
    assert running["watch"]["mode"] == "inotify"
    health = world.run("health")
    assert (health.returncode, health.stdout.strip()) == (0, "ok")
    words = world.run("status")
    assert words.returncode == 0
    assert "1 done" in words.stdout
    assert "next sweep" in words.stdout
    assert world.stop() == 0
    after = world.status()
    assert after["running"] is False
    assert after["photos"]["done"] == 1
    assert world.run("health").returncode == 1


def test_check_looks_at_everything_and_leaves_no_trace(world: World) -> None:
    before = world.snapshot(world.imports, world.originals)
    done = world.run("check", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"name", "ok"} & set(found[0]) or found
    assert set(world.snapshot(world.imports, world.originals)) == set(before)
    assert not world.private_names()
    words = world.run("check")
    assert words.returncode == 0
    assert len(words.stdout.splitlines()) >= len(found)
    world.prism.kill()
    without = world.run("check")
    assert without.returncode == 1
    assert "photoprism" in without.stdout.lower()
    assert "Traceback" not in without.stdout + without.stderr
    (world.data / ".ncdata").unlink()
    missing = world.run("check")
    assert missing.returncode == 1
    assert ".ncdata" in missing.stdout


# -- config ---------------------------------------------------------------------------------------------------------

FAULTS = """\
nextcloud:
  data: /nowhere
  occ: {via: pigeon}
users:
  after: burn
  new: perhaps
watch:
  settle: soon
  colour: red
relay: {min_free: lots}
"""


def test_config_check_names_every_fault_with_its_line(world: World) -> None:
    good = world.run("config", "check")
    assert good.returncode == 0, good.stdout
    world.config.write_text(FAULTS)
    done = world.run("config", "check")
    assert done.returncode == 2
    said = done.stdout + done.stderr
    for line, key in [
        (3, "nextcloud.occ.via"),
        (5, "users.after"),
        (6, "users.new"),
        (8, "watch.settle"),
        (9, "watch.colour"),
        (10, "relay.min_free"),
    ]:
        assert f"{world.config}:{line}: {key}: " in said, said
    for command in (["run"], ["sweep"], ["status"], ["health"], ["check"], ["restore", "1"]):
        refused = world.run(*command)
        assert refused.returncode == 2, command
        assert f"{world.config}:5: users.after: " in refused.stderr
        assert "Traceback" not in refused.stderr + refused.stdout
    assert not world.state.exists()


GARBAGE = {
    "binary": bytes(range(256)),
    "a list": b"- one\n- two\n",
    "a word": b"hello",
    "tabs": b"users:\n\tafter: trash\n",
    "open quote": b'state: "abc\nusers: {}\n',
    "twice": b"state: a\nstate: b\n",
    "an anchor bomb": b"a: &a [1,1]\nb: &b [*a,*a]\nc: &c [*b,*b]\nusers: *c\n",
    "deep": b"[" * 5000,
    "a tag": b"state: !!python/object/apply:os.system [id]\n",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_for_a_configuration_is_told_in_words(world: World, name: str) -> None:
    world.config.write_bytes(GARBAGE[name])
    done = world.run("config", "check")
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert "Traceback" not in said
    assert str(world.config) in said


def test_a_missing_configuration_is_told_in_words(world: World) -> None:
    done = world.run("config", "check", config=world.folder / "none.yaml")
    assert done.returncode == 2
    assert "none.yaml" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_what_is_wrong_where_no_daemon_runs_is_told_in_words(world: World) -> None:
    unknown = world.run("restore", "--batch", "999")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (1, 1)
    assert "[restore.unknown]" in unknown.stderr
    for state in ("file", "file/below"):
        (world.folder / "file").touch()
        world.configure(state=str(world.folder / state))
        for words in (["run"], ["sweep"], ["restore", "1"], ["check"]):
            done = world.run(*words)
            assert done.returncode == 1
            assert "[state.no_folder]" in done.stdout + done.stderr
            assert "Traceback" not in done.stdout + done.stderr


def test_the_schema_fits_a_real_file(world: World) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "daemon", "config", "schema"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    schema = json.loads(done.stdout)
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    validator(schema).validate(world.settings)
    with pytest.raises(jsonschema.ValidationError):
        validator(schema).validate({"users": {"after": "burn"}})


# -- restore --------------------------------------------------------------------------------------------------------


@pytest.fixture
def relayed(world: World) -> Iterator[World]:
    """Give a world whose daemon has relayed three photos of alice and one of bob, who keeps his."""
    world.configure(users={"include": {"alice": {}, "bob": {"after": "keep"}}})
    world.start()
    for number in range(3):
        put(world, "alice", f"IMG_{number}.jpg", number, "InstantUpload/2024")
    put(world, "bob", "kept.jpg", 9)
    world.until_done(4)
    yield world
    if world.process is not None:
        assert world.stop() == 0
    world.in_order()


def test_a_restored_photo_is_as_it_was_and_is_not_taken_again(relayed: World) -> None:
    world = relayed
    place = world.data / "alice/files/InstantUpload/2024/IMG_1.jpg"
    os.chown(place.parent, 4321, 4321)
    identity = world.photo("IMG_1.jpg")["id"]
    done = world.run("restore", str(identity))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "IMG_1.jpg" in done.stdout
    assert place.read_bytes() == samples.jpeg(WHEN, 1)
    assert place.stat().st_mtime == WHEN.timestamp()
    assert (place.stat().st_uid, place.stat().st_gid) == (4321, 4321)
    world.until(lambda: "alice" in world.text().rpartition("restore")[2] or True, "the scan")
    assert world.run("sweep").returncode == 0
    assert place.exists()
    assert world.stop() == 0
    world.start()
    assert world.run("sweep").returncode == 0
    assert place.exists()
    assert world.photo("IMG_1.jpg")["state"] == "restored"
    assert "/alice/files/InstantUpload/2024" in world.scanned_paths()
    assert expected([samples.jpeg(WHEN, 1)]).items() <= world.in_originals().items()
    # The same bytes at the same place stay; elsewhere they are a duplicate like any other.
    uploads.overwrite(world.data / "alice", "InstantUpload/2024/IMG_1.jpg", samples.jpeg(WHEN, 1), WHEN)
    put(world, "alice", "again.jpg", 1)
    world.until(lambda: world.states().get("alice:InstantUpload/again.jpg") == "done", "the duplicate")
    assert world.run("sweep").returncode == 0
    assert place.exists()


def test_a_whole_batch_is_restored(relayed: World) -> None:
    world = relayed
    batches = {row["batch_id"] for row in world.photos("alice")}
    for batch in batches:
        assert world.run("restore", "--batch", str(batch)).returncode == 0
    assert world.files("alice/files/InstantUpload") == {f"2024/IMG_{n}.jpg" for n in range(3)}
    time.sleep(1)
    assert world.run("sweep").returncode == 0
    assert world.files("alice/files/InstantUpload") == {f"2024/IMG_{n}.jpg" for n in range(3)}


def test_a_restore_overwrites_nothing(relayed: World) -> None:
    world = relayed
    identity = world.photo("IMG_2.jpg")["id"]
    assert world.stop() == 0
    other = samples.jpeg(WHEN, 77)
    place = uploads.put(world.data / "alice", "InstantUpload/2024/IMG_2.jpg", other, WHEN)
    done = world.run("restore", str(identity))
    assert done.returncode == 0, done.stdout + done.stderr
    standing = {path.read_bytes() for path in place.parent.iterdir()}
    assert standing == {other, samples.jpeg(WHEN, 2)}
    assert place.read_bytes() == other
    world.start()
    assert world.run("sweep").returncode == 0
    # The other file is a new upload and goes its way; the restored one stays.
    world.until(lambda: world.files("alice/files/InstantUpload/2024") and not place.exists(), "the new upload's end")
    assert {path.read_bytes() for path in place.parent.iterdir()} == {samples.jpeg(WHEN, 2)}


def test_a_kept_original_is_restored_by_leaving_it(relayed: World) -> None:
    world = relayed
    place = world.data / "bob/files/InstantUpload/kept.jpg"
    before = world.snapshot(place.parent)
    done = world.run("restore", str(world.photo("kept.jpg")["id"]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert world.snapshot(place.parent) == before
    world.configure(users={"include": {"alice": {}, "bob": {"after": "delete"}}})
    world.until(lambda: "are in force" in world.text(), "the new settings")
    assert world.run("sweep").returncode == 0
    assert place.exists()


def test_what_cannot_be_restored_is_told(relayed: World) -> None:
    world = relayed
    unknown = world.run("restore", "999")
    assert unknown.returncode == 1
    assert "999" in unknown.stdout + unknown.stderr
    assert world.run("restore", "--batch", "999").returncode == 1
    assert world.run("restore").returncode == 2
    uploads.put(world.data / "alice", "InstantUpload/liar.jpg", b"no photo", WHEN)
    world.until(lambda: world.states().get("alice:InstantUpload/liar.jpg") == "refused", "the refusal")
    refused = world.run("restore", str(world.photo("liar.jpg")["id"]))
    assert refused.returncode == 1
    assert "restore.not_relayed" in refused.stdout
    # Gone from the archive: said, and nothing is put there.
    for path in [path for path in world.originals.rglob("*") if path.is_file()]:
        path.unlink()
    gone = world.run("restore", str(world.photo("IMG_0.jpg")["id"]))
    assert gone.returncode == 1
    assert "archive.absent" in gone.stdout
    assert not world.files("alice/files/InstantUpload/2024")
