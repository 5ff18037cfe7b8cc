"""Sweeps that list only what has changed find what those find that list everything."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.watch import filesystems, sweep, tree
from daemon.watch.model import Found
from daemon.watch.remembered import UNSURE, Memory, Remembered
from daemon.watch.rules import Rules
from daemon.watch.sweep import Sweep, Swept, by_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


RULES = Rules(archived="Archived", folders={"alice": ("Up",)})
RACY = 0.02
KINDS = (
    *("file", "file", "mkdir", "mkdir", "rename", "over", "unlink", "move", "remove", "swap", "archive", "unarchive"),
    *("write", "back in time", "link", "hide", "upload"),
)


def swept(
    root: Path,
    memory: Memory | None,
    *,
    full: bool = False,
    waits: Callable[[Found], bool] = lambda _: False,
    wall: Callable[[], float] = time.time,
) -> tuple[set[Found], Swept]:
    """Sweep once, with files that ``waits`` is true of being taken in and not finished."""
    counts, found = Swept(), set[Found]()
    walk = Sweep(str(root), [("alice", "Up")], RULES, counts, wall=wall, racy=RACY, chunk=3, memory=memory, full=full)
    for chunk in walk.chunks():
        found.update(chunk)
        walk.doubt([one for one in chunk if waits(one)])
    walk.remember()
    return found, counts


def calm() -> None:
    """Let all times become old enough to be trusted."""
    time.sleep(RACY * 1.5)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    folder = tmp_path / "alice/files/Up"
    for name in ("a/b", "a/c", "d"):
        (folder / name).mkdir(parents=True)
        (folder / name / "x.jpg").write_bytes(b"x")
    return folder


def names(found: set[Found]) -> set[str]:
    return {one.path.removeprefix("Up/") for one in found}


def test_only_what_changed_is_listed(tmp_path: Path, top: Path) -> None:
    memory = Memory()
    calm()
    found, counts = swept(tmp_path, memory)
    assert names(found) == {"a/b/x.jpg", "a/c/x.jpg", "d/x.jpg"}
    assert (counts.directories, counts.listed, counts.files) == (5, 5, 3)
    found, counts = swept(tmp_path, memory)
    assert found == set()
    assert (counts.directories, counts.listed, counts.files) == (5, 0, 3), "what stands there is counted all the same"
    (top / "a/c/y.jpg").write_bytes(b"y")
    (top / "d/e/f").mkdir(parents=True)
    (top / "d/e/f/z.jpg").write_bytes(b"z")
    calm()
    found, counts = swept(tmp_path, memory)
    assert names(found) == {"a/c/x.jpg", "a/c/y.jpg", "d/x.jpg", "d/e/f/z.jpg"}
    assert (counts.directories, counts.listed, counts.files) == (7, 4, 5)
    shutil.rmtree(top / "a")
    calm()
    _, counts = swept(tmp_path, memory)
    assert (counts.directories, counts.listed, counts.files) == (4, 1, 2)


def test_a_large_folder_is_listed_by_parts(tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in any part of it has it listed again, and otherwise it is trusted as a whole."""
    monkeypatch.setattr(sweep, "_MOST_LISTED", 5)
    held: list[int] = []
    parts = tree.parts

    def counted(*args: Any, **kwargs: Any) -> Iterator[tree.Listing]:
        for part in parts(*args, **kwargs):
            held.append(len(part.files) + len(part.directories))
            yield part

    monkeypatch.setattr(tree, "parts", counted)
    for number in range(23):
        (top / f"{number}.jpg").write_bytes(b"x")
    (top / "none").mkdir()
    calm()
    memory = Memory()
    found, counts = swept(tmp_path, memory)
    assert (len(found), counts.files, counts.directories, counts.listed) == (26, 26, 6, 6)
    assert max(held) == 5
    first = next(one.path for one in found if one.path.count("/") == 1)
    assert swept(tmp_path, memory)[0] == set()
    for waits in (first, "Up/22.jpg"):
        memory = Memory()
        swept(tmp_path, memory, waits=lambda one: one.path == waits)  # noqa: B023  asked within this turn
        again, counts = swept(tmp_path, memory)
        assert (len(again), counts.files, counts.listed) == (23, 26, 1)


def test_a_large_folder_that_changed_just_now_is_listed_again_by_parts(
    tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_MOST_LISTED", 5)
    for number in range(23):
        (top / f"{number}.jpg").write_bytes(b"x")
    parts = list(sweep.again(str(tmp_path), "alice", "alice/files/Up", RULES))
    assert max(map(len, parts)) <= 5
    assert sorted(one.path for part in parts for one in part) == sorted(f"Up/{number}.jpg" for number in range(23))


def test_a_full_sweep_trusts_nothing_and_sees_what_was_written_in_place(tmp_path: Path, top: Path) -> None:
    memory = Memory()
    calm()
    before, _ = swept(tmp_path, memory)
    (top / "d/x.jpg").write_bytes(b"another")
    assert swept(tmp_path, memory)[0] == set()
    assert names(swept(tmp_path, memory, full=True)[0] - before) == {"d/x.jpg"}


def test_a_directory_changed_just_now_is_listed_again(tmp_path: Path, top: Path) -> None:
    memory = Memory()
    calm()
    (top / "d/y.jpg").write_bytes(b"y")
    # However long it is until the sweep comes to it: on a busy machine that is more than these 20 ms.
    changed = (top / "d").stat().st_mtime
    _, counts = swept(tmp_path, memory, wall=lambda: changed)
    assert counts.racy == [("alice", "alice/files/Up/d")]
    found, counts = swept(tmp_path, memory)
    assert names(found) == {"d/x.jpg", "d/y.jpg"}
    calm()
    swept(tmp_path, memory)
    assert swept(tmp_path, memory)[1].listed == 0


def test_a_directory_whose_time_was_set_back_is_listed_again(tmp_path: Path, top: Path) -> None:
    """What copies folders with their times (rsync, tar) sets a directory's back after it has filled it."""
    memory = Memory()
    before = (top / "d").stat()
    calm()
    swept(tmp_path, memory)
    (top / "d/y.jpg").write_bytes(b"y")
    os.utime(top / "d", ns=(before.st_atime_ns, before.st_mtime_ns))
    calm()
    assert names(swept(tmp_path, memory)[0]) == {"d/x.jpg", "d/y.jpg"}


def test_a_directory_in_which_something_waits_is_listed_again(tmp_path: Path, top: Path) -> None:
    memory = Memory()
    calm()
    swept(tmp_path, memory, waits=lambda one: one.path == "Up/a/b/x.jpg")
    (top / "a/b/x.jpg").write_bytes(b"it grows")
    (top / "d/x.jpg").write_bytes(b"it too, but nobody waits for it")
    assert names(swept(tmp_path, memory)[0]) == {"a/b/x.jpg"}
    assert names(swept(tmp_path, memory)[0]) == set()


def test_a_sweep_that_was_cut_short_or_overtaken_is_not_believed(tmp_path: Path, top: Path) -> None:
    memory = Memory()
    calm()
    walk = Sweep(str(tmp_path), [("alice", "Up")], RULES, Swept(), wall=time.time, racy=RACY, memory=memory, full=False)
    for _ in walk.chunks():
        pass
    assert swept(tmp_path, memory)[1].listed == 5, "it never said that all had been taken in"
    memory.forget()
    walk.remember()
    assert swept(tmp_path, memory)[1].listed == 5, "what was forgotten meanwhile stays forgotten"


def test_file_systems_without_times_of_their_own_are_always_listed(
    tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystems, "_kind_of", lambda _path: "fuse.mergerfs")
    memory = Memory()
    calm()
    for _ in range(2):
        assert swept(tmp_path, memory)[1].listed == 5


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.shfs", "fuse", "vfat", "fuseblk", "9p", ""])
def test_these_are_not_trusted(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystems, "_kind_of", lambda _path: kind)
    assert not filesystems.keeps_times("/data")


def test_what_cannot_be_read_is_tried_again(tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory()
    calm()
    real = os.scandir
    closed = (top / "a/b").stat().st_ino

    def refusing(fd: int) -> object:
        if os.fstat(fd).st_ino == closed:
            raise PermissionError(13, "Permission denied")
        return real(fd)

    monkeypatch.setattr(os, "scandir", refusing)
    for _ in range(2):
        assert [path for path, _ in swept(tmp_path, memory)[1].unreadable] == ["alice/files/Up/a/b"]
    monkeypatch.undo()
    assert names(swept(tmp_path, memory)[0]) == {"a/b/x.jpg"}


def test_files_are_looked_at_by_name(tmp_path: Path, top: Path) -> None:
    (top / "Archived").mkdir()
    (top / "Archived/.nomedia").touch()
    (top / "Archived/x.jpg").touch()
    (top / "d/link.jpg").symlink_to(top / "d/x.jpg")
    wanted = [
        "Up/d/x.jpg",
        "Up/d/gone.jpg",
        "Up/gone/x.jpg",
        "Up/Archived/x.jpg",
        "Up/d/link.jpg",
        "Else/x.jpg",
        "Up/d",
    ]
    found = by_name(str(tmp_path), [("alice", name) for name in wanted] + [("bob", "Up/d/x.jpg")], RULES)
    assert [one.path for one in found] == ["Up/d/x.jpg"]
    assert found[0].fingerprint.inode == (top / "d/x.jpg").stat().st_ino


def test_a_hundred_thousand_directories_are_remembered_in_little_memory() -> None:
    tree = Remembered()
    top = tree.add(b"Up", 1, 0)
    for number in range(100_000):
        tree.add(b"2026-11-%05d" % number, UNSURE - number - 1, 10)
    tree.close(top)
    held = sum(len(part) * part.itemsize for part in (tree.signs, tree.ends, tree.files, tree._starts))
    assert held + len(tree._names) < 5_000_000
    children = list(tree.children(top))
    assert (len(children), children[-1]) == (100_000, (b"2026-11-99999", 100_000))


def directories(top: Path) -> list[Path]:
    return [top, *sorted(path for path in top.rglob("*") if path.is_dir() and not path.is_symlink())]


def files(top: Path) -> list[Path]:
    return sorted(path for path in top.rglob("*.jpg") if path.is_file() and not path.is_symlink())


def do(top: Path, kind: str, first: int, second: int) -> None:  # noqa: C901
    """Do one thing that people, their clients and the server do to folders."""
    folders, photos = directories(top), files(top)
    folder, other = folders[first % len(folders)], folders[second % len(folders)]
    photo = photos[first % len(photos)] if photos else None
    fresh = f"{second % 5}"
    match kind:
        case "file":
            (folder / f"{'w' if second % 3 == 0 else 'x'}{fresh}.jpg").unlink(missing_ok=True)
            (folder / f"{'w' if second % 3 == 0 else 'x'}{fresh}.jpg").write_bytes(os.urandom(second % 50))
        case "upload":
            (folder / f"{fresh}.jpg.part").write_bytes(b"x")
            (folder / f"{fresh}.jpg.part").rename(folder / f"x{fresh}.jpg")
        case "mkdir":
            (folder / fresh).mkdir(exist_ok=True)
        case "hide":
            (folder / ".hidden").mkdir(exist_ok=True)
            (folder / ".hidden/x.jpg").touch()
        case "link":
            if not os.path.lexists(folder / f"l{fresh}"):
                (folder / f"l{fresh}").symlink_to(other)
        case "rename" | "over" if photo is not None:
            target = photos[second % len(photos)] if kind == "over" else other / f"x{fresh}.jpg"
            photo.rename(target)
        case "unlink" if photo is not None:
            photo.unlink()
        case "write" if photo is not None and photo.name.startswith("w"):
            with photo.open("ab") as opened:
                opened.write(b"more")
        case "move" if folder != top and folder not in (other, *other.parents):
            if not os.path.lexists(other / folder.name):
                folder.rename(other / folder.name)
        case "swap" if top not in (folder, other) and folder not in (other, *other.parents):
            if other not in folder.parents:
                folder.rename(top / "between")
                other.rename(folder)
                (top / "between").rename(other)
        case "remove" if folder != top:
            shutil.rmtree(folder)
        case "archive":
            (folder / "Archived").mkdir(exist_ok=True)
            (folder / "Archived/.nomedia").touch()
        case "unarchive":
            for one in sorted(top.rglob(".nomedia"))[:1]:
                one.unlink()
        case "back in time":
            os.utime(folder, (1, 1))
        case _:
            pass


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8),
        min_size=2,
        max_size=6,
    ),
    st.booleans(),
)
def test_it_finds_what_a_full_sweep_finds(rounds: list[list[tuple[str, int, int]]], patient: bool) -> None:
    """Files whose names begin with w are never finished; only those are written in place."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        top = root / "alice/files/Up"
        for name in ("1/2", "1/3", "4"):
            (top / name).mkdir(parents=True)
            (top / name / "w1.jpg").touch()
        memory, known = Memory(), set[Found]()
        for one in rounds:
            for kind, first, second in one:
                do(top, kind, first, second)
            if patient:
                calm()
            found, counts = swept(root, memory, waits=lambda file: file.path.rpartition("/")[2].startswith("w"))
            everything, all_of_it = swept(root, None, full=True)
            assert everything - known == found - known
            assert (counts.directories, counts.files) == (all_of_it.directories, all_of_it.files)
            known |= found
