"""Where photos stand meanwhile: names and subfolders, the hidden batch folder, modes and times."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.files import placing
from daemon.files.names import placed_name
from daemon.ledger.model import State
from daemon.relay import batch_folder
from daemon.relay.subfolders import assign
from tests.relay.world import FOLDER, MTIME, World, shot
from tests.standins import photoprism_rules as rules

if TYPE_CHECKING:
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">a recipe</x:xmpmeta>'


class Row:
    """As much of a photo as placing looks at."""

    def __init__(self, identity: int, user: str, path: str) -> None:
        self.id, self.user, self.path = identity, user, path

    @property
    def directory(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


raw_names = st.binary(min_size=1, max_size=40).filter(lambda raw: b"\0" not in raw and b"/" not in raw).map(os.fsdecode)
likely = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(
            ["IMG_1", "IMG_E1", "img_1", "IMG_1_2023", "IMG_1_HEVC", "IMG_1 (2)", "x", "X", ".x", "e\u0301"]
        ),
        st.sampled_from(["", ".jpg", ".JPG", ".mov", ".heic", ".xmp", ".jpg.xmp", ".JPG.json", ".MP.jpg", ".dng"]),
    ),
)
groups = st.lists(
    st.tuples(
        st.sampled_from(["alice", "bob"]),
        st.sampled_from(["Camera", "Camera/2026"]),
        st.lists(st.one_of(likely, raw_names), min_size=1, max_size=3, unique=True),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=200, deadline=None)
@given(groups)
def test_strangers_never_meet_and_no_two_share_a_place(found: list[tuple[str, str, list[str]]]) -> None:
    numbers = iter(range(1, 1000))
    photos: Any = [[Row(next(numbers), user, f"{folder}/{name}") for name in names] for user, folder, names in found]
    places = assign(photos)
    assert set(places) == {photo.id for group in photos for photo in group}
    folded = [(folder, name.casefold()) for folder, name in places.values()]
    assert len(set(folded)) == len(folded), "every place is one photo's"
    owner = {photo.id: number for number, group in enumerate(photos) for photo in group}
    home = {photo.id: (photo.user, photo.directory) for group in photos for photo in group}
    for group in photos:
        folders = {places[photo.id][0] for photo in group}
        assert len(folders) == 1, "a group stays together"
        assert re.fullmatch("[a-z]{8}", folders.pop())
    by_folder: dict[str, list[int]] = {}
    for identity, (folder, name) in places.items():
        assert "/" not in name
        assert name not in {"", ".", ".."}
        assert not rules.hidden(name), "PhotoPrism deletes what it takes for hidden"
        assert len(name.encode()) <= 255
        by_folder.setdefault(folder, []).append(identity)
    for folder, members in by_folder.items():
        assert len({home[identity] for identity in members}) == 1, "each user and folder has its own"
        names = {places[identity][1]: identity for identity in members}
        for name, identity in names.items():
            if not rules.is_media(name):
                continue
            for met in rules.related(name, list(names)):
                assert owner[names[met]] == owner[identity], f"{name} meets {met} in {folder}"


def test_words_that_come_twice_are_drawn_again() -> None:
    words = iter(["aaaaaaaa", "aaaaaaaa", "bbbbbbbb"])
    photos: Any = [[Row(1, "alice", "C/x.jpg")], [Row(2, "bob", "C/x.jpg")]]
    places = assign(photos, lambda _length: next(words))
    assert places == {1: ("aaaaaaaa", "x.jpg"), 2: ("bbbbbbbb", "x.jpg")}


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world("photoprism", **OFF)


async def test_a_batch_is_hidden_while_it_is_filled_and_visible_when_it_is_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    copy = placing.copy_into

    def look(*arguments: Any, **more: Any) -> Any:
        seen.append([path.name for path in world.imports.iterdir()])
        return copy(*arguments, **more)

    monkeypatch.setattr(batch_folder, "copy_into", look)
    looked: dict[str, os.stat_result] = {}
    assert world.pp is not None
    run = world.pp.library.run_import

    def at_import(folder: str, albums: list[str]) -> Any:
        for path in [world.imports / folder, *(world.imports / folder).rglob("*")]:
            looked[str(path.relative_to(world.imports / folder))] = path.stat()
        return run(folder, albums)

    monkeypatch.setattr(world.pp.library, "run_import", at_import)
    os.umask(0o077)
    try:
        await world.deliver("alice", {f"{FOLDER}/IMG_{n}.jpg": shot(n) for n in range(3)})
        await world.deliver("bob", {f"{FOLDER}/IMG_0.jpg": shot(9)})
        await world.relay()
    finally:
        os.umask(0o022)
    assert all(name.startswith(".photon-relay-") for names in seen for name in names)
    assert all(re.fullmatch("[a-z]{12,}", call["path"]) for call in world.pp.imports)
    folders = {path: status for path, status in looked.items() if stat.S_ISDIR(status.st_mode)}
    files = {path: status for path, status in looked.items() if stat.S_ISREG(status.st_mode)}
    assert {stat.S_IMODE(status.st_mode) for status in folders.values()} == {0o2775}
    assert {(stat.S_IMODE(status.st_mode), status.st_mtime, status.st_nlink) for status in files.values()} == {
        (0o664, MTIME, 1)
    }
    assert len(folders) == 3, "the batch, alice's and bob's"
    assert len(files) == 4


async def test_names_that_photoprism_would_delete_arrive_all_the_same(world: World) -> None:
    names = ["_.x.jpg", "@x.jpg", "__x.jpg", os.fsdecode(b"\xff\xfe.jpg"), "e\u0301.jpg", "x" * 245 + ".jpg"]
    photos = await world.deliver("alice", {f"{FOLDER}/{name}": shot(n) for n, name in enumerate(names)})
    await world.relay()
    assert {world.photo(photo).state for photo in photos} == {State.DONE}, world.said()
    assert sorted(world.archived().values()) == sorted(shot(n) for n in range(len(names)))
    assert world.standing() == {}


async def test_only_our_batch_folder_is_imported_and_others_things_stay(world: World) -> None:
    other = world.imports / "somebody" / "theirs.jpg"
    other.parent.mkdir()
    other.write_bytes(shot(7))
    await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    assert other.read_bytes() == shot(7)
    assert list(world.archived().values()) == [shot(1)]


async def test_albums_are_named_after_their_users(make_world: MakeWorld) -> None:
    world = await make_world("photoprism", **OFF, photoprism={"albums": ["From {user}", "All"]})
    assert world.pp is not None
    photos = [(await world.deliver(user, {f"{FOLDER}/x.jpg": shot(n)}))[0] for n, user in enumerate(["alice", "bob"])]
    await world.relay()
    for photo, user in zip(photos, ["alice", "bob"], strict=True):
        done = world.photo(photo)
        assert done.state is State.DONE
        assert sorted(world.pp.albums_of((done.sha1 or b"").hex())) == sorted([f"From {user}", "All"])


def test_a_link_in_a_folder_of_ours_is_unlinked_and_not_followed(tmp_path: Any) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.jpg").write_bytes(b"precious")
    imports = tmp_path / "import"
    (imports / "abcdefghijkl" / "deep").mkdir(parents=True)
    (imports / "abcdefghijkl" / "deep" / "link").symlink_to(outside)
    (imports / "abcdefghijkl" / "x.jpg").symlink_to(outside / "precious.jpg")
    batch_folder.sweep(str(imports), "abcdefghijkl")
    assert list(imports.iterdir()) == []
    assert (outside / "precious.jpg").read_bytes() == b"precious"
    (imports / "abcdefghijkl").symlink_to(outside)
    batch_folder.sweep(str(imports), "abcdefghijkl")
    assert (outside / "precious.jpg").read_bytes() == b"precious"


def test_what_is_left_in_a_batch_is_told_by_place(tmp_path: Any) -> None:
    assert batch_folder.remaining(str(tmp_path), "none") == []
    (tmp_path / "batch" / "sub").mkdir(parents=True)
    (tmp_path / "batch" / "sub" / "x.jpg").touch()
    assert batch_folder.remaining(str(tmp_path), "batch") == ["sub/x.jpg"]


def test_members_of_a_group_that_become_one_name_are_numbered() -> None:
    names = ["e\u0301.jpg", "\u00e9.jpg"]
    assert placed_name(names[0]) == placed_name(names[1])
    group: Any = [[Row(number, "alice", f"C/{name}") for number, name in enumerate(names)]]
    assert sorted(name for _, name in assign(group).values()) == ["\u00e9 (2).jpg", "\u00e9.jpg"]
