"""What becomes of the originals, and that no upload is lost however it comes in between."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from daemon.clock import Clock
from daemon.errors import NeedsPerson
from daemon.files import publishing, releasing
from daemon.ledger.model import Photo, State
from daemon.relay import hiding, removals
from daemon.relay import release as release_step
from daemon.relay.release import aside
from daemon.relay.releases import worth_waiting
from tests.relay.world import FOLDER, MTIME, World, never_linked, shot
from tests.torture.disks import Disk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.relay.conftest import MakeWorld

OLD, NEW, NEWER = shot(1), shot(2), shot(3)
PATH = f"{FOLDER}/IMG_1.jpg"


async def proved(world: World, path: str = PATH, content: bytes = OLD, user: str = "alice") -> Photo:
    """Bring a photo as far as the proof: only its release is still to come."""
    [photo] = await world.deliver(user, {path: content})
    while await world.pipeline._round():
        pass
    photo = world.photo(photo)
    assert photo.state is State.ARCHIVED, world.said()
    return photo


async def let_go(world: World, photo: Photo) -> Photo:
    """Release and finish as the loops do."""
    await world.pipeline.originals.one(world.photo(photo))
    return world.photo(photo)


def everything(world: World) -> list[bytes]:
    """All bytes that stand anywhere: in the homes (bins and hidden ones included) and in the archive."""
    return [*world.standing().values(), *world.archived().values()]


def hidden(world: World) -> list[str]:
    return [path for path in world.standing() if ".photon-relay-" in path]


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    """A folder as the archive and no occ: what can be let go without Nextcloud."""
    return await make_world("folder", nextcloud={"occ": {"via": "off"}}, users={"after": "delete"})


@pytest.fixture
async def cloud(make_world: MakeWorld) -> World:
    """A folder as the archive, with occ and the bin."""
    return await make_world("folder", users={"after": "trash"})


async def test_delete(world: World) -> None:
    photo = await let_go(world, await proved(world))
    assert photo.state is State.RELEASED
    assert world.standing() == {}
    assert [(line["deed"], line["user"], line["path"]) for line in world.ledger.audit.lines()] == [
        ("removed", "alice", PATH)
    ]


async def test_keep(make_world: MakeWorld) -> None:
    world = await make_world("folder", nextcloud={"occ": {"via": "off"}}, users={"after": "keep"})
    photo = await let_go(world, await proved(world))
    assert photo.state is State.RELEASED
    assert world.standing() == {f"files/{PATH}": OLD}


async def test_trash_is_nextclouds_own_bin(cloud: World) -> None:
    photo = await proved(cloud)
    await cloud.occ.scan("alice", FOLDER)  # type: ignore[union-attr]
    photo = await let_go(cloud, photo)
    assert photo.state is State.RELEASED
    [(path, content)] = cloud.standing().items()
    assert path.startswith("files_trashbin/files/IMG_1.jpg.d")
    assert content == OLD
    assert cloud.ledger.audit.lines()[0]["deed"] == "trashed"
    assert path.rpartition("/")[2] in cloud.ledger.audit.lines()[0]["note"]


async def test_trash_of_what_nextcloud_has_not_seen_yet(cloud: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cloud.occ is not None
    real, asked = cloud.occ.delete, 0

    async def unknown_at_first(user: str, path: str) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise NeedsPerson("occ.unknown_file", "file not found")
        await real(user, path)

    monkeypatch.setattr(cloud.occ, "delete", unknown_at_first)
    photo = await let_go(cloud, await proved(cloud))
    assert photo.state is State.RELEASED, cloud.said()
    assert next(iter(cloud.standing())).startswith("files_trashbin/")
    assert [argv[0] for argv in cloud.nextcloud.calls() if "--help" not in argv] == [
        "app:list", "files:scan", "files:delete"
    ]  # fmt: skip


async def test_trash_without_occ_keeps_the_original_and_says_why(make_world: MakeWorld) -> None:
    world = await make_world("folder", nextcloud={"occ": {"via": "off"}}, users={"after": "trash"})
    photo = await let_go(world, await proved(world))
    assert (photo.state, photo.code) == (State.WAITING, "occ.off")
    assert world.standing() == {f"files/{PATH}": OLD}


async def test_another_rule_counts_for_what_could_not_be_let_go_yet(make_world: MakeWorld) -> None:
    world = await make_world("folder", nextcloud={"occ": {"via": "off"}}, users={"after": "trash"})
    photo = await let_go(world, await proved(world))
    assert photo.code == "occ.off"
    world.change(nextcloud={"occ": {"via": "off"}}, users={"after": "keep"})
    await world.pipeline.originals.one(photo)
    assert (world.photo(photo).state, world.photo(photo).after) == (State.RELEASED, "keep")


async def test_tag(make_world: MakeWorld) -> None:
    world = await make_world("folder", users={"after": "tag", "tag": "relayed"})
    photo = await proved(world)
    await world.occ.scan("alice", FOLDER)  # type: ignore[union-attr]
    photo = await let_go(world, photo)
    assert photo.state is State.RELEASED
    assert world.nextcloud.tagged("alice") == {PATH: {"relayed"}}
    assert world.standing() == {f"files/{PATH}": OLD}


async def test_a_tag_is_never_put_on_another_file(make_world: MakeWorld) -> None:
    world = await make_world("folder", users={"after": "tag"})
    photo = await proved(world)
    world.path("alice", PATH).unlink()
    world.put("alice", PATH, NEW)
    await world.occ.scan("alice", FOLDER)  # type: ignore[union-attr]
    photo = await let_go(world, photo)
    assert photo.state is State.RELEASED
    assert world.nextcloud.tagged("alice") == {}


@pytest.mark.parametrize("path", ["Camera/IMG_1.jpg", "Camera/2026/11/IMG_1.jpg", "a/b/Camera/x/IMG_1.jpg"])
async def test_archive_moves_beside_the_watched_folder_and_hides_it_from_galleries(
    make_world: MakeWorld, path: str
) -> None:
    folders = ["Camera", "a/b/Camera"]
    world = await make_world(
        "folder", nextcloud={"occ": {"via": "off"}}, users={"after": "archive", "archived": "Done", "folders": folders}
    )
    photo = await let_go(world, await proved(world, path))
    assert photo.state is State.RELEASED
    place = path.replace("Camera", "Done/Camera")
    root = f"files/{place.partition('Done')[0]}Done/.nomedia"
    assert world.standing() == {root: b"", f"files/{place}": OLD}
    moved = world.path("alice", place).stat()
    assert moved.st_mtime == MTIME
    # Once more, with other bytes and the same name: both stand.
    photo = await let_go(world, await proved(world, path, NEW))
    assert world.standing() == {root: b"", f"files/{place}": OLD, f"files/{place[:-4]} (2).jpg": NEW}
    assert "IMG_1 (2).jpg" in world.ledger.photos.history(photo.id)[-1]["note"]


async def test_archive_across_file_systems_copies_and_then_lets_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.change(nextcloud={"occ": {"via": "off"}}, users={"after": "archive"})
    real = publishing.rename_noreplace

    def other_mount(from_fd: int, source: str, to_fd: int, target: str) -> None:
        if os.fstat(from_fd).st_ino != os.fstat(to_fd).st_ino:
            raise OSError(18, "Invalid cross-device link")
        real(from_fd, source, to_fd, target)

    monkeypatch.setattr(releasing, "rename_noreplace", other_mount)
    photo = await let_go(world, await proved(world))
    assert photo.state is State.RELEASED
    assert world.standing() == {"files/Archived/.nomedia": b"", f"files/Archived/{PATH}": OLD}


def test_where_archived_originals_go_is_beside_the_watched_folder() -> None:
    def place(folder: str, path: str) -> str:
        class Row:
            pass

        row: Any = Row()
        row.folder, row.path = folder, path
        return aside(row, "Archived")

    assert place("Camera", "Camera/x.jpg") == "Archived/Camera/x.jpg"
    assert place("DCIM/Camera", "DCIM/Camera/2026/x.jpg") == "DCIM/Archived/Camera/2026/x.jpg"


async def test_an_original_is_not_let_go_where_the_archives_copy_is_gone_or_differs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_linked(monkeypatch)
    photo = await proved(world)
    (world.archive_root / photo.archived_as).write_bytes(b"somebody's")
    photo = await let_go(world, photo)
    assert (photo.state, photo.code) == (State.WAITING, "archive.broken")
    assert world.standing() == {f"files/{PATH}": OLD}
    # It is brought again beside what stands there now; nothing is overwritten.
    await world.later(301)
    await world.relay()
    assert world.photo(photo).state is State.DONE
    assert sorted(world.archived().values()) == sorted([b"somebody's", OLD])


async def test_only_a_changed_mode_lets_the_release_go_on_after_another_look_at_the_bytes(world: World) -> None:
    photo = await proved(world)
    world.path("alice", PATH).chmod(0o600)
    photo = await let_go(world, photo)
    assert photo.state is State.RELEASED
    assert world.standing() == {}


async def test_the_same_size_and_times_with_other_bytes_is_another_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_linked(monkeypatch)
    photo = await proved(world)
    path = world.path("alice", PATH)
    with path.open("r+b") as file:
        file.write(bytes(reversed(OLD)))
    os.utime(path, (MTIME, MTIME))
    assert photo.fingerprint.renamed(world.found("alice", PATH).fingerprint)
    photo = await let_go(world, photo)
    assert world.standing() == {f"files/{PATH}": bytes(reversed(OLD))}
    assert "another file" in world.ledger.photos.history(photo.id)[-1]["note"]


async def test_two_of_one_name_within_a_second_both_lie_in_the_bin(make_world: MakeWorld) -> None:
    world = await make_world("folder", users={"after": "trash", "folders": ["A", "B", "C"]})
    world.clock.__class__ = Clock  # type: ignore[assignment]  # the bin counts real seconds
    photos = [await proved(world, f"{folder}/x.jpg", shot(number)) for number, folder in enumerate("ABC")]
    for folder in "ABC":
        await world.occ.scan("alice", folder)  # type: ignore[union-attr]
    for photo in photos:
        assert (await let_go(world, photo)).state is State.RELEASED
    assert sorted(world.standing().values()) == sorted([shot(0), shot(1), shot(2)])


async def test_the_bin_of_an_earlier_day_is_left_alone(cloud: World) -> None:
    """A file that its owner has thrown away is not brought back, whatever the bin does with ours."""
    earlier = cloud.data / "alice" / "files_trashbin" / "files" / "IMG_1.jpg.d1700000000"
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(NEW)
    cloud.nextcloud.switch(no_trashbin=True)
    photo = await proved(cloud)
    await cloud.occ.scan("alice", FOLDER)  # type: ignore[union-attr]
    photo = await let_go(cloud, photo)
    assert photo.state is State.RELEASED
    assert cloud.standing() == {"files_trashbin/files/IMG_1.jpg.d1700000000": NEW}


async def test_without_a_bin_nothing_is_thrown_away(cloud: World) -> None:
    """`files:delete` deletes for good where the app is off: the original is kept, and tried again later."""
    cloud.nextcloud.switch(trashbin_off=True)
    photo = await proved(cloud)
    await cloud.occ.scan("alice", FOLDER)  # type: ignore[union-attr]
    with pytest.raises(NeedsPerson) as caught:
        await cloud.release.photo(photo)
    assert caught.value.code == "occ.no_trash"
    assert worth_waiting(caught.value)
    assert list(cloud.standing().values()) == [OLD]
    assert not [call for call in cloud.nextcloud.calls() if call[0] == "files:delete"]


async def test_nextcloud_is_asked_once_in_a_round_where_it_fails_itself(cloud: World) -> None:
    photos = [await proved(cloud, f"{FOLDER}/{number}.jpg", shot(number)) for number in range(3)]
    await cloud.occ.features()  # type: ignore[union-attr]
    before = len(cloud.nextcloud.calls())
    cloud.nextcloud.switch(maintenance=True)
    await cloud.pipeline.originals.round(photos)
    assert len(cloud.nextcloud.calls()) == before + 1
    waiting = [cloud.photo(photo) for photo in photos]
    assert {(photo.state, photo.code) for photo in waiting} == {(State.WAITING, "occ.maintenance")}
    assert len(cloud.standing()) == 3


# -- another file under the name, at every point --------------------------------------------------------------------

POINTS = ["before", "looked", "renamed", "fstat", "deleted", "after"]


def swap(world: World, content: bytes, aside_as: str | None) -> None:
    """Put another upload under the name, the way Nextcloud does: a rename over what stands there, or beside it."""
    path = world.path("alice", PATH)
    if aside_as is not None and path.exists():
        path.rename(path.with_name(aside_as))
    part = path.with_name("IMG_1.jpg.ocTransferId1.part")
    part.write_bytes(content)
    os.utime(part, (MTIME + 5, MTIME + 5))
    part.rename(path)


@pytest.mark.parametrize("owner_keeps", [False, True], ids=["over it", "moved aside"])
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("after", ["delete", "archive"])
async def test_an_upload_under_the_name_is_never_lost(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, after: str, point: str, owner_keeps: bool
) -> None:
    world = await make_world("folder", nextcloud={"occ": {"via": "off"}}, users={"after": after})
    photo = await proved(world)
    swaps = 0

    def once() -> None:
        nonlocal swaps
        if not swaps:
            swaps += 1
            swap(world, NEW, "mine.jpg" if owner_keeps else None)

    _swap_at(monkeypatch, point, once)
    if point == "before":
        once()
    released = await let_go(world, photo)
    if point == "after":
        once()
    assert swaps == 1, "the point was passed"
    monkeypatch.undo()
    assert hidden(world) == []
    assert released.hidden == ""
    standing = world.standing()
    assert standing.get(f"files/{PATH}") == NEW, standing
    assert OLD in everything(world)
    assert (standing.get(f"files/{FOLDER}/mine.jpg") in {OLD, NEW}) == (owner_keeps and not _was_gone(point))
    # The next sweep finds the new one, and it goes its own way.
    wanted = await world.sweep()
    assert ("alice", PATH) in wanted
    await world.relay()
    assert sorted(set(world.archived().values())) == sorted({OLD, NEW})
    assert len([each for each in world.archived().values() if each == NEW]) == 1


def _was_gone(point: str) -> bool:
    return point in {"renamed", "fstat", "deleted", "after"}


def _swap_at(monkeypatch: pytest.MonkeyPatch, point: str, deed: Callable[[], None]) -> None:
    """Do something at one point inside the release."""
    if point == "looked":
        _around(monkeypatch, hiding, "hide", before=deed)
    elif point == "renamed":
        _around(monkeypatch, releasing, "rename_noreplace", after=deed)
    elif point == "fstat":
        _around(monkeypatch, hiding, "hide", after=deed)
    elif point == "deleted":
        _around(monkeypatch, release_step, "unlink_hidden", after=deed)
        _around(monkeypatch, release_step, "move_hidden_to", after=deed)


def _around(
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    *,
    before: Callable[[], None] | None = None,
    after: Callable[[], None] | None = None,
) -> None:
    real = getattr(module, name)

    def wrapped(*arguments: Any, **more: Any) -> Any:
        if before is not None:
            before()
        result = real(*arguments, **more)
        if after is not None:
            after()
        return result

    monkeypatch.setattr(module, name, wrapped)


@pytest.mark.parametrize("owner_keeps", [False, True], ids=["over it", "moved aside"])
async def test_an_upload_between_the_last_look_and_the_rename_is_put_back(
    world: World, monkeypatch: pytest.MonkeyPatch, owner_keeps: bool
) -> None:
    photo = await proved(world)
    calls = 0

    def first() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            swap(world, NEW, "mine.jpg" if owner_keeps else None)

    _around(monkeypatch, releasing, "rename_noreplace", before=first)
    released = await let_go(world, photo)
    assert calls == 2, "hidden and put back"
    expected = {f"files/{PATH}": NEW}
    if owner_keeps:
        expected[f"files/{FOLDER}/mine.jpg"] = OLD
    assert world.standing() == expected
    assert released.hidden == ""
    assert ("alice", PATH) in await world.sweep()


async def test_two_uploads_in_the_very_moment_both_stay_visible(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = await proved(world)
    contents = [NEW, NEWER]
    real = publishing.rename_noreplace

    def racing(*arguments: Any) -> None:
        if contents:
            swap(world, contents.pop(0), None)
        real(*arguments)

    monkeypatch.setattr(releasing, "rename_noreplace", racing)
    released = await let_go(world, photo)
    monkeypatch.undo()
    assert sorted(world.standing().values()) == sorted([NEW, NEWER])
    assert hidden(world) == []
    assert released.hidden == ""
    assert len(await world.sweep()) == 2
    await world.relay()
    assert sorted(world.archived().values()) == sorted([OLD, NEW, NEWER])


async def test_where_putting_back_fails_the_hidden_name_stays_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = await proved(world)
    real, calls = publishing.rename_noreplace, 0

    def failing(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            swap(world, NEW, None)
        elif calls < 10:
            raise OSError(5, "Input/output error")
        real(*arguments)

    monkeypatch.setattr(releasing, "rename_noreplace", failing)
    released = await let_go(world, photo)
    assert len(hidden(world)) == 1
    assert hidden(world)[0].endswith(released.hidden)
    assert released.hidden
    assert released.state is State.WAITING
    monkeypatch.undo()
    await world.later(301)
    await world.relay()
    assert world.standing() == {f"files/{PATH}": NEW}


async def test_what_is_written_through_an_open_descriptor_is_not_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = await proved(world)
    path = world.path("alice", PATH)
    with path.open("r+b") as held:

        def write() -> None:
            held.seek(0)
            held.write(NEW[:100])
            held.flush()

        _around(monkeypatch, release_step, "unlink_hidden", before=write)
        released = await let_go(world, photo)
    assert hidden(world) == []
    assert world.standing() == {f"files/{PATH}": NEW[:100] + OLD[100:]}
    monkeypatch.undo()
    await world.later(301)
    while await world.pipeline._round():
        pass
    released = await let_go(world, released)
    assert world.standing() == {f"files/{PATH}": NEW[:100] + OLD[100:]}, "it is another file now"


@pytest.mark.parametrize("name_taken", [False, True])
async def test_trash_gives_back_what_came_in_between_the_check_and_occ(cloud: World, name_taken: bool) -> None:
    photo = await proved(cloud)
    await cloud.occ.scan("alice", FOLDER)  # type: ignore[union-attr]

    def before(argv: Sequence[str]) -> None:
        if argv[0] == "files:delete":
            swap(cloud, NEW, None)

    def after(argv: Sequence[str]) -> None:
        if argv[0] == "files:delete" and name_taken:
            swap(cloud, NEWER, None)

    cloud.runner.before, cloud.runner.after = before, after
    released = await let_go(cloud, photo)
    cloud.runner.before = cloud.runner.after = lambda _argv: None
    assert released.state is State.RELEASED
    standing = cloud.standing()
    assert not [path for path in standing if path.startswith("files_trashbin")]
    assert sorted(standing.values()) == sorted([NEW, NEWER] if name_taken else [NEW])
    assert OLD in cloud.archived().values()
    assert len(await cloud.sweep()) == 1 + name_taken
    cloud.change(users={"after": "delete"})
    await cloud.relay()
    assert sorted(cloud.archived().values()) == sorted([OLD, NEW, NEWER] if name_taken else [OLD, NEW])


@pytest.mark.parametrize("after", ["delete", "delete, one by one", "archive", "trash"])
async def test_where_the_archives_file_changes_with_the_originals_name_the_original_is_kept(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """Then both are one file, seen through two file systems; here its copy is given another time in that moment."""
    world = await make_world("folder", users={"after": after.partition(",")[0]})
    never_linked(monkeypatch)
    if "," in after:
        world.one_by_one(monkeypatch)
    photo = await proved(world)
    archived = world.archive_root / photo.archived_as

    def seen(*_: Any) -> None:
        os.utime(archived, (MTIME, MTIME))

    for module in (hiding, removals):
        hide = module.hide

        def hidden_and_seen(*arguments: Any, hide: Any = hide) -> Any:
            found = hide(*arguments)
            seen()
            return found

        monkeypatch.setattr(module, "hide", hidden_and_seen)
    world.runner.after = lambda argv: seen() if "files:delete" in argv else None
    await world.pipeline.originals.round([photo])
    assert (world.photo(photo).state, world.photo(photo).code) == (State.HELD, "archive.itself"), world.said()
    assert {path: found for path, found in world.standing().items() if found} == {f"files/{PATH}": OLD}
    assert list(world.archived().values()) == [OLD]


@pytest.mark.parametrize("name", ["x" * 230, "x" * 251, "ä" * 125, "写" * 83])
async def test_trash_finds_in_the_bin_what_has_a_long_name(cloud: World, name: str) -> None:
    path = f"{FOLDER}/{name}.jpg"
    photo = await proved(cloud, path)
    await cloud.occ.scan("alice", FOLDER)  # type: ignore[union-attr]
    released = await let_go(cloud, photo)
    assert released.state is State.RELEASED
    [note] = [line["note"] for line in cloud.ledger.audit.lines()]
    assert note.startswith("trashed as"), note
    # And where an upload took the name in that very moment, it is found there and put back.
    for entry in (cloud.data / "alice/files_trashbin/files").iterdir():
        entry.unlink()
    again = await proved(cloud, path, NEWER)

    def before(argv: Sequence[str]) -> None:
        if argv[0] == "files:delete":
            cloud.put("alice", path, NEW)

    cloud.runner.before = before
    assert (await let_go(cloud, again)).state is State.RELEASED
    assert cloud.standing()[f"files/{path}"] == NEW


async def test_trash_leaves_alone_what_takes_the_name_while_it_looks_at_the_archive(
    cloud: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = await proved(cloud)
    await cloud.occ.scan("alice", FOLDER)  # type: ignore[union-attr]
    _around(monkeypatch, hiding.Hiding, "apart", after=lambda: swap(cloud, NEW, None))
    released = await let_go(cloud, photo)
    assert released.state is State.RELEASED
    assert cloud.nextcloud.calls("files:delete") == []
    standing = cloud.standing()
    assert standing.pop(f"files/{PATH}") == NEW
    # Thrown away is by its name, so the original stays, under another one, and comes as what it is: a duplicate.
    assert list(standing.values()) == [OLD]
    assert hidden(cloud) == []
    assert released.hidden == ""


async def test_trash_that_was_killed_while_it_looked_at_the_archive_begins_anew(
    cloud: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = await proved(cloud)
    await cloud.occ.scan("alice", FOLDER)  # type: ignore[union-attr]

    def killed() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(hiding.Hiding, "show", lambda *_: None)
    _around(monkeypatch, hiding.Hiding, "apart", before=killed)
    with pytest.raises(KeyboardInterrupt):
        await cloud.release.photo(photo)
    monkeypatch.undo()
    assert len(hidden(cloud)) == 1
    await cloud.restart()
    assert cloud.standing() == {f"files/{PATH}": OLD}
    await cloud.later(301)
    await cloud.relay()
    assert [where.partition(".d")[0] for where in cloud.standing()] == ["files_trashbin/files/IMG_1.jpg"]


async def test_trash_leaves_alone_what_came_before_the_check(cloud: World) -> None:
    photo = await proved(cloud)
    swap(cloud, NEW, None)
    released = await let_go(cloud, photo)
    assert released.state is State.RELEASED
    assert cloud.standing() == {f"files/{PATH}": NEW}
    assert cloud.nextcloud.calls("files:delete") == []


async def test_trash_that_meets_a_lock_waits(cloud: World) -> None:
    photo = await proved(cloud)
    await cloud.occ.scan("alice", FOLDER)  # type: ignore[union-attr]
    cloud.nextcloud.switch(locked=1)
    waiting = await let_go(cloud, photo)
    assert (waiting.state, waiting.code) == (State.WAITING, "occ.locked")
    assert cloud.standing() == {f"files/{PATH}": OLD}
    await cloud.later(301)
    await cloud.relay()
    assert cloud.photo(photo).state is State.DONE


async def test_a_killed_release_gives_the_original_its_name_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = await proved(world)

    class KilledError(BaseException):
        pass

    def killed() -> None:
        raise KilledError

    _around(monkeypatch, release_step, "unlink_hidden", before=killed)
    with pytest.raises(KilledError):
        await let_go(world, photo)
    monkeypatch.undo()
    assert len(hidden(world)) == 1
    await world.restart()
    assert world.standing() == {f"files/{PATH}": OLD}
    await world.relay()
    assert world.photo(photo).state is State.DONE
    assert world.standing() == {}
    assert list(world.archived().values()) == [OLD]


async def test_a_photo_whose_home_has_gone_is_no_fault_of_the_others(world: World) -> None:
    photo = await proved(world)
    other = await proved(world, f"{FOLDER}/IMG_2.jpg", NEW, "bob")
    import shutil

    shutil.rmtree(world.data / "alice")
    await let_go(world, photo)
    assert (await let_go(world, other)).state is State.RELEASED
    assert sorted(world.archived().values()) == sorted([OLD, NEW])


async def test_a_data_directory_that_is_not_mounted_is_no_removal(world: World) -> None:
    photo = await proved(world)
    (world.data / ".ncdata").unlink()
    (world.data / "alice").rename(world.data / "elsewhere")
    waiting = await let_go(world, photo)
    assert waiting.state is State.WAITING
    (world.data / ".ncdata").touch()
    (world.data / "elsewhere").rename(world.data / "alice")
    await world.later(301)
    await world.relay()
    assert world.photo(photo).state is State.DONE
    assert world.standing() == {}


async def test_an_original_that_goes_with_its_disk_was_not_taken_away_by_its_owner(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unmounted between the look at the data directory and the look at the original."""
    photo = await proved(world)

    def unmounted(*_: Any) -> None:
        (world.data / ".ncdata").unlink()
        (world.data / "alice").rename(world.root / "unplugged")

    monkeypatch.setattr(world.release.hiding, "archived", lambda *_: unmounted())
    waiting = await let_go(world, photo)
    assert (waiting.state, waiting.code) == (State.WAITING, "nextcloud.mount_missing")


@pytest.mark.parametrize("what", ["link", "folder", "fifo"])
async def test_something_else_under_the_name_is_left_alone(world: World, what: str, tmp_path: Path) -> None:
    photo = await proved(world)
    path = world.path("alice", PATH)
    path.unlink()
    elsewhere = tmp_path / "elsewhere.jpg"
    elsewhere.write_bytes(OLD)
    if what == "link":
        path.symlink_to(elsewhere)
    elif what == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    released = await let_go(world, photo)
    assert released.state is State.RELEASED
    assert os.path.lexists(path)
    assert elsewhere.read_bytes() == OLD
    assert hidden(world) == []


async def test_an_original_that_could_be_neither_deleted_nor_put_back_is_not_forgotten(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its disk became read-only in the very moment; what was hidden then is let go when the disk is well again."""
    disk = Disk("tmpfs", world.path("alice", FOLDER), tmp_path)
    try:
        photo = await proved(world)
        _around(monkeypatch, removals, "unlink_hidden", before=lambda: disk.remount("ro"))
        await world.pipeline.originals.round([photo])
        monkeypatch.undo()
        assert len(hidden(world)) == 1
        assert world.photo(photo).hidden, "its private name is known"
        disk.remount("rw")
        await world.later(301)
        await world.relay()
        assert world.photo(photo).state is State.DONE, world.said()
        assert world.standing() == {}
    finally:
        disk.close()
