"""The users' desk: who is there, what a change would do, and the change in the settings file."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from daemon.errors import ConfigError, NeedsPerson
from daemon.fingerprint import Fingerprint
from daemon.ledger.model import State
from daemon.service.config import Config
from daemon.service.folders import Bounds, candidates, folders_of
from daemon.settings.versions import Versions
from daemon.settings_file import load
from tests.ledger.entries import put
from tests.relay.world import FOLDER, shot

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.service import Service
    from tests.relay.world import World


def add(world: World, user: str, *paths: str, old: bool = False, size: int = 1000) -> None:
    """Put files into a home; ``old``: they stood there when it was first seen."""
    for path in paths:
        world.put(user, path, b"x" * size)
        if old:
            mark = Fingerprint.of(os.lstat(world.path(user, path)))
            world.ledger.homes.list_add(user, [(path, mark.inode, mark.size)])


@pytest.fixture
def seen(folder_world: World) -> World:
    """A world whose homes were seen and listed: alice, bob, and carol, who is in no list of the settings."""
    world = folder_world
    (world.data / "carol" / "files" / FOLDER).mkdir(parents=True)
    for user in ("alice", "bob", "carol"):
        world.ledger.homes.seen(user, world.clock.time)
        world.ledger.homes.list_end(user, world.clock.time)
    return world


def with_file(world: World, service: Service, text: str) -> Path:
    """Give the service a settings file; what is saved there is in force at once."""
    path = world.root / "photon-relay.yaml"
    path.write_text(text)
    loaded = load(path, {})
    config = Config(loaded, {}, Versions(world.root / "versions"), world.ledger, world.clock)
    service.config = config
    service._current.settings = loaded.settings
    hurried = config.hurry.set

    def follow() -> None:
        hurried()
        fresh = load(path, {})
        service._current.settings = fresh.settings
        config.taken(fresh)

    config.hurry.set = follow  # type: ignore[method-assign]
    return path


TEXT = """# mine
nextcloud:
  data: {data}
  occ: {{via: off}}   # none here
users:
  after: delete
  include:
    alice: {{}}  # she asked for it
    bob: {{after: keep, folders: [{folder}]}}
  exclude: [dave]
archive: {{via: folder, folder: {{path: {archive}}}}}
relay: {{min_free: 0}}
state: state
"""


def text(world: World) -> str:
    return TEXT.format(data=world.data, archive=world.archive_root, folder=FOLDER).replace("via: off", 'via: "off"')


async def test_everyone_is_there_and_who_asks_comes_first(seen: World, service: Service) -> None:
    world = seen
    world.change(users={"include": {"alice": {}, "bob": {}, "typo": {}}, "exclude": ["bob"]})
    service._current.settings = world.settings
    world.ledger.homes.seen("zoe", 5.0)
    world.ledger.homes.gone("zoe", world.clock.time)
    put(world.ledger, State.DONE, f"{FOLDER}/1.jpg")
    put(world.ledger, State.HELD, f"{FOLDER}/2.jpg")
    put(world.ledger, State.WAITING, f"{FOLDER}/3.jpg")
    add(world, "alice", f"{FOLDER}/new.jpg", f"{FOLDER}/deep/er/new.heic", "Documents/no.jpg", f"{FOLDER}/no.pdf")
    add(world, "carol", f"{FOLDER}/old.jpg", old=True)
    found = (await service.users.list())["users"]
    assert [(one["id"], one["decision"], one["asking"], one["home"]) for one in found] == [
        ("carol", "ask", True, "there"),
        ("alice", "include", False, "there"),
        ("bob", "exclude", False, "there"),
        ("zoe", "ask", False, "gone"),
        ("typo", "include", False, "gone"),
    ]
    alice, carol = found[1], found[0]
    assert alice["photos"] == {"relayed": 1, "waiting": 1, "held": 1, "standing": 2, "baseline": 0}
    assert carol["photos"]["baseline"] == 1
    json.dumps(found, allow_nan=False)


async def test_real_folders_are_counted_and_links_are_not_followed(seen: World, service: Service) -> None:
    world = seen
    add(world, "alice", f"{FOLDER}/Camera/1.jpg", f"{FOLDER}/Camera/2026/11/2.jpg", f"{FOLDER}/Screenshots/3.png")
    add(world, "alice", "Holiday/4.jpg", "Documents/x.pdf", "top.jpg", "Album/.hidden/5.jpg")
    add(world, "bob", "Secret/6.jpg")
    world.path("alice", "linked").symlink_to(world.data / "bob" / "files" / "Secret")
    alice = await service.users.get("alice")
    assert {one["path"]: (one["photos"], one["watched"], one["auto_upload"]) for one in alice["folders"]} == {
        FOLDER: (3, True, True),
        f"{FOLDER}/Camera": (2, True, True),
        f"{FOLDER}/Screenshots": (1, True, True),
        "Holiday": (1, False, False),
    }
    assert alice["folders_cut"] is False


@pytest.mark.parametrize("user", ["nobody", "..", "alice/../bob", "", "a\x00b", "\udcff", "../../etc", "x" * 5000])
async def test_an_unknown_id_is_no_path(seen: World, service: Service, user: str) -> None:
    del seen
    for call in (service.users.get(user), service.users.preview(user)):
        with pytest.raises(NeedsPerson) as raised:
            await call
        assert raised.value.code == "user.unknown"


async def test_a_name_in_the_settings_alone_is_not_looked_into(seen: World, service: Service) -> None:
    world = seen
    world.change(users={"include": {"files_external": {}}})
    service._current.settings = world.settings
    (world.data / "files_external" / "files" / FOLDER).mkdir(parents=True)
    (world.data / "files_external" / "files" / FOLDER / "1.jpg").write_bytes(b"x")
    found = await service.users.get("files_external")
    assert (found["home"], found["folders"], found["photos"]["standing"]) == ("gone", [], 0)
    assert (await service.users.preview("files_external"))["counts"]["would_move"] == 0


async def test_a_preview_counts_what_is_new_and_what_stays(seen: World, service: Service) -> None:
    world = seen
    add(world, "carol", f"{FOLDER}/old.jpg", f"{FOLDER}/Screenshots/old.png", old=True)
    add(world, "carol", f"{FOLDER}/new.jpg", f"{FOLDER}/new.mp4", f"{FOLDER}/new.xmp", f"{FOLDER}/Screenshots/s.png")
    add(world, "carol", "Photos/Frog.jpg", size=457744)
    found = await service.users.preview("carol", {"include": True})
    assert found["counts"] == {
        "would_move": 3,
        "bytes": 4000,
        "existing_stay": 2,
        "screenshots": 1,
        "videos": 1,
        "side_files": 1,
    }
    assert found["folders"] == [{"path": FOLDER, "photos": 2}, {"path": f"{FOLDER}/Screenshots", "photos": 1}]
    assert found["sentence"].startswith("3 photos with 1 side file, 1 screenshot and 1 video among them, move now")
    assert "2 photos that stood there before stay" in found["sentence"]
    assert "the original is deleted" in found["sentence"]
    words = " ".join(found["warnings"])
    assert "Everybody who sees the album /Album" in words
    assert "desktop client" in words
    assert "2 screenshots lie" in words
    all_of_it = await service.users.preview("carol", {"include": True, "existing": True, "after": "keep"})
    assert (all_of_it["counts"]["would_move"], all_of_it["counts"]["existing_stay"]) == (5, 0)
    assert "desktop client" not in " ".join(all_of_it["warnings"])
    other = await service.users.preview("carol", {"folders": ["Elsewhere"]})
    assert other["counts"]["would_move"] == 0
    assert "Elsewhere" in " ".join(other["warnings"])
    nothing = await service.users.preview("carol", {"decision": "exclude"})
    assert nothing["counts"]["would_move"] == 0
    assert "Nothing of carol is touched" in nothing["sentence"]


async def test_a_preview_is_what_the_relay_then_does(seen: World, service: Service) -> None:
    world = seen
    await world.deliver("alice", {f"{FOLDER}/gone.jpg": shot(1)})
    await world.relay()
    world.change(users={"include": {"alice": {}, "bob": {}}, "after": "keep"})
    await world.deliver("bob", {f"{FOLDER}/kept.jpg": shot(2)})
    await world.relay()
    add(world, "alice", f"{FOLDER}/old.jpg", old=True)
    for user in ("alice", "bob"):
        world.put(user, f"{FOLDER}/fresh.jpg", shot(5 if user == "alice" else 6))
    service._current.settings = world.settings
    for user in ("alice", "bob"):
        told = await service.users.preview(user)
        assert told["counts"]["would_move"] == 1
    wanted = await world.sweep()
    assert wanted == {("alice", f"{FOLDER}/fresh.jpg"), ("bob", f"{FOLDER}/fresh.jpg")}


@pytest.mark.parametrize(
    "wrong", [{"after": "burn"}, {"folders": ["../bob"]}, {"release_after": "soon"}, {"folders": "x"}]
)
async def test_rules_that_cannot_be_are_told_by_their_key(seen: World, service: Service, wrong: dict[str, Any]) -> None:
    path = with_file(seen, service, text(seen))
    before = path.read_bytes()
    for call in (service.users.preview("alice", wrong), service.users.patch("alice", wrong, "page")):
        with pytest.raises(ConfigError) as raised:
            await call
        assert raised.value.faults[0].startswith(f"users.include.alice.{next(iter(wrong))}")
    assert path.read_bytes() == before


async def test_including_changes_only_what_it_must(seen: World, service: Service) -> None:
    path = with_file(seen, service, text(seen))
    found = await service.users.patch(
        "carol", {"decision": "include", "after": "keep", "folders": None}, "page 10.0.0.7"
    )
    assert (found["decision"], found["own"], found["rules"]["after"]) == ("include", {"after": "keep"}, "keep")
    now = path.read_text()
    assert "alice: {}  # she asked for it" in now
    assert now.startswith("# mine\n")
    assert yaml.safe_load(now)["users"]["include"] == {
        "alice": {},
        "bob": {"after": "keep", "folders": [FOLDER]},
        "carol": {"after": "keep"},
    }
    assert [line["who"] for line in seen.ledger.audit.lines()] == ["page 10.0.0.7"]


async def test_a_decision_moves_a_user_from_one_list_to_the_other(seen: World, service: Service) -> None:
    path = with_file(seen, service, text(seen))
    bob = await service.users.patch("bob", {"decision": "exclude"}, "page")
    alice = await service.users.patch("alice", {"decision": "exclude"}, "page")
    assert (bob["decision"], alice["decision"]) == ("exclude", "exclude")
    users = yaml.safe_load(path.read_text())["users"]
    assert users["exclude"] == ["dave", "bob", "alice"]
    assert not users.get("include")
    back = await service.users.patch("bob", {"decision": "include", "after": "keep"}, "page")
    assert (back["decision"], back["own"]) == ("include", {"after": "keep"})
    undecided = await service.users.patch("alice", {"decision": "ask"}, "page")
    assert (undecided["decision"], undecided["asking"]) == ("ask", True)
    assert yaml.safe_load(path.read_text())["users"]["exclude"] == ["dave"]


async def test_null_goes_back_to_what_is_common(seen: World, service: Service) -> None:
    path = with_file(seen, service, text(seen))
    bob = await service.users.patch("bob", {"folders": None, "release_after": "7d"}, "page")
    assert bob["own"] == {"after": "keep", "release_after": "7d"}
    assert yaml.safe_load(path.read_text())["users"]["include"]["bob"] == {"after": "keep", "release_after": "7d"}


async def test_rules_alone_include_nobody(seen: World, service: Service) -> None:
    path = with_file(seen, service, text(seen))
    before = path.read_bytes()
    with pytest.raises(NeedsPerson, match="not included"):
        await service.users.patch("carol", {"after": "keep"}, "page")
    assert path.read_bytes() == before


async def test_undecided_is_no_choice_where_new_users_are_included(seen: World, service: Service) -> None:
    with_file(seen, service, text(seen).replace("users:\n", "users:\n  new: include\n"))
    with pytest.raises(NeedsPerson) as raised:
        await service.users.patch("alice", {"decision": "ask"}, "page")
    assert raised.value.code == "user.not_asked"


async def test_nothing_changed_writes_nothing(seen: World, service: Service) -> None:
    path = with_file(seen, service, text(seen))
    before = path.stat().st_mtime_ns
    await service.users.patch("alice", {"decision": "include"}, "page")
    assert path.stat().st_mtime_ns == before


def test_looks_are_bounded(seen: World) -> None:
    world = seen
    add(world, "alice", *(f"{FOLDER}/{number // 10}/{number}.jpg" for number in range(100)))
    bounds = Bounds(entries=30)
    found = list(candidates(str(world.data), "alice", [FOLDER], frozenset(), "Archived", bounds))
    assert bounds.cut
    assert 0 < len(found) < 60
    late = Bounds(seconds=-1)
    folders_of(str(world.data), "alice", [FOLDER], frozenset(), "Archived", late)
    assert late.cut
