from __future__ import annotations

import errno
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.files import publishing, releasing, settling
from daemon.files.names import hidden_name, name_of_hidden
from daemon.files.opening import directory_below
from daemon.files.releasing import hide, move_hidden_to, new_hidden_name, new_hidden_names, put_back, unlink_hidden
from daemon.files.settling import Where, hidden_in, settle_hidden
from daemon.fingerprint import Fingerprint
from tests.files.conftest import unmount
from tests.files.test_placing import without_renameat2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HIDDEN = hidden_name("x.jpg", "abcdefgh")
EXAMINED, OTHER = b"the examined photo", b"a newer upload!!!!"


@pytest.fixture
def photo(filesystem: Path) -> Path:
    path = filesystem / "x.jpg"
    path.write_bytes(EXAMINED)
    return path


@pytest.fixture
def dir_fd(filesystem: Path) -> Iterator[int]:
    with directory_below(str(filesystem), "") as fd:
        yield fd


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def fingerprint(path: Path) -> Fingerprint:
    return Fingerprint.of(path.stat())


@pytest.mark.parametrize("kernel", ["renameat2", "link"])
def test_the_examined_file_is_hidden_and_deleted(
    photo: Path, dir_fd: int, monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    if kernel == "link":
        without_renameat2(monkeypatch)
    before = fingerprint(photo)
    after = hide(dir_fd, "x.jpg", HIDDEN, before)
    assert before.renamed(after)
    assert contents(photo.parent) == {HIDDEN: EXAMINED}
    unlink_hidden(dir_fd, HIDDEN, after)
    assert contents(photo.parent) == {}


def test_a_file_changed_before_is_not_touched(photo: Path, dir_fd: int) -> None:
    before = photo.stat()
    photo.write_bytes(OTHER)
    os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a client does that sends the capture time
    assert photo.stat().st_size == before.st_size
    with pytest.raises(Transient, match="since it was examined"):
        hide(dir_fd, "x.jpg", HIDDEN, Fingerprint.of(before))
    assert contents(photo.parent) == {"x.jpg": OTHER}


def upload(folder: Path, data: bytes = OTHER) -> None:
    """What Nextcloud does: a part file renamed over the name."""
    (folder / "x.jpg.part").write_bytes(data)
    (folder / "x.jpg.part").rename(folder / "x.jpg")


class Between:
    """Runs something just before or after a call of the real thing."""

    def __init__(self, real: Callable[..., Any], *, before: Callable[[], object] | None = None) -> None:
        self.real = real
        self.before = before
        self.after: Callable[[], object] | None = None

    def __call__(self, *args: Any, **more: Any) -> Any:
        before, self.before = self.before, None
        if before:
            before()
        result = self.real(*args, **more)
        after, self.after = self.after, None
        if after:
            after()
        return result


def test_an_upload_just_before_the_rename_is_put_back(
    photo: Path, dir_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint(photo)
    monkeypatch.setattr(
        releasing, "rename_noreplace", Between(publishing.rename_noreplace, before=lambda: upload(photo.parent))
    )
    with pytest.raises(Transient) as caught:
        hide(dir_fd, "x.jpg", HIDDEN, before)
    assert caught.value.context["kept_as"] == "x.jpg"
    assert contents(photo.parent) == {"x.jpg": OTHER}


def test_two_uploads_around_the_rename_are_both_kept_and_visible(
    photo: Path, dir_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint(photo)
    between = Between(publishing.rename_noreplace, before=lambda: upload(photo.parent))
    between.after = lambda: upload(photo.parent, b"a third one")
    monkeypatch.setattr(releasing, "rename_noreplace", between)
    with pytest.raises(Transient, match="kept") as caught:
        hide(dir_fd, "x.jpg", HIDDEN, before)
    assert caught.value.context["kept_as"] == "x (kept).jpg"
    assert contents(photo.parent) == {"x.jpg": b"a third one", "x (kept).jpg": OTHER}


def test_an_upload_after_the_rename_stays_untouched(photo: Path, dir_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    between = Between(publishing.rename_noreplace)
    between.after = lambda: upload(photo.parent)
    monkeypatch.setattr(releasing, "rename_noreplace", between)
    after = hide(dir_fd, "x.jpg", HIDDEN, fingerprint(photo))
    unlink_hidden(dir_fd, HIDDEN, after)
    assert contents(photo.parent) == {"x.jpg": OTHER}


def test_a_write_in_place_between_look_and_rename_is_put_back(
    photo: Path, dir_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint(photo)
    monkeypatch.setattr(
        releasing,
        "rename_noreplace",
        Between(publishing.rename_noreplace, before=lambda: photo.write_bytes(EXAMINED + b"more")),
    )
    with pytest.raises(Transient, match="changed"):
        hide(dir_fd, "x.jpg", HIDDEN, before)
    assert contents(photo.parent) == {"x.jpg": EXAMINED + b"more"}


def test_a_link_or_folder_put_under_the_name_is_put_back(
    photo: Path, dir_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint(photo)

    def swap() -> None:
        photo.rename(photo.with_name("y.jpg"))
        photo.symlink_to("y.jpg")

    monkeypatch.setattr(releasing, "rename_noreplace", Between(publishing.rename_noreplace, before=swap))
    with pytest.raises(Transient, match="changed"):
        hide(dir_fd, "x.jpg", HIDDEN, before)
    assert photo.is_symlink()
    assert contents(photo.parent) == {"x.jpg": EXAMINED, "y.jpg": EXAMINED}


def test_a_vanished_file_is_told(photo: Path, dir_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(photo)
    monkeypatch.setattr(releasing, "rename_noreplace", Between(publishing.rename_noreplace, before=photo.unlink))
    for _ in range(2):
        with pytest.raises(RelayError) as caught:
            hide(dir_fd, "x.jpg", HIDDEN, before)
        assert caught.value.code == "file.vanished"


def test_a_hidden_name_that_is_taken_is_not_overwritten(photo: Path, dir_fd: int) -> None:
    (photo.parent / HIDDEN).write_bytes(OTHER)
    with pytest.raises(Transient) as caught:
        hide(dir_fd, "x.jpg", HIDDEN, fingerprint(photo))
    assert caught.value.code == "file.hidden_taken"
    assert contents(photo.parent) == {"x.jpg": EXAMINED, HIDDEN: OTHER}


def test_a_write_through_an_open_descriptor_stops_the_deletion(photo: Path, dir_fd: int) -> None:
    with photo.open("r+b") as writer:
        after = hide(dir_fd, "x.jpg", HIDDEN, fingerprint(photo))
        writer.write(b"X")
        writer.flush()
        os.utime(writer.fileno(), ns=(after.mtime_ns, after.mtime_ns))
    with pytest.raises(Transient, match="changed"):
        unlink_hidden(dir_fd, HIDDEN, after)
    assert put_back(dir_fd, HIDDEN, "x.jpg") == "x.jpg"
    assert photo.read_bytes() == b"X" + EXAMINED[1:]


def test_the_last_name_of_what_was_linked_is_not_deleted(photo: Path, dir_fd: int) -> None:
    """The archive's name of it has gone: nobody else has these bytes."""
    after = hide(dir_fd, "x.jpg", HIDDEN, fingerprint(photo))
    with pytest.raises(Transient) as raised:
        unlink_hidden(dir_fd, HIDDEN, after, linked=True)
    assert raised.value.code == "file.changed"
    assert contents(photo.parent) == {HIDDEN: EXAMINED}


def test_put_back_numbers_and_never_replaces(photo: Path, dir_fd: int) -> None:
    for number in range(3):
        (photo.parent / HIDDEN).write_bytes(bytes([number]))
        put_back(dir_fd, HIDDEN, "x.jpg")
    assert contents(photo.parent) == {
        "x.jpg": EXAMINED,
        "x (kept).jpg": b"\0",
        "x (kept 2).jpg": b"\1",
        "x (kept 3).jpg": b"\2",
    }


def test_nothing_is_hidden_where_no_rename_is_safe(photo: Path, dir_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    without_renameat2(monkeypatch)
    monkeypatch.setattr(os, "link", lambda *_args, **_more: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    with pytest.raises(NeedsPerson):
        hide(dir_fd, "x.jpg", HIDDEN, fingerprint(photo))
    assert contents(photo.parent) == {"x.jpg": EXAMINED}


def test_an_archived_original_is_numbered_where_its_name_is_taken(photo: Path, dir_fd: int) -> None:
    archived = photo.parent / "Archived"
    archived.mkdir()
    (archived / "x.jpg").write_bytes(OTHER)
    after = hide(dir_fd, "x.jpg", HIDDEN, fingerprint(photo))
    with directory_below(str(archived), "") as to_fd:
        assert move_hidden_to(dir_fd, HIDDEN, to_fd, "x.jpg", after) == "x (2).jpg"
    assert contents(archived) == {"x.jpg": OTHER, "x (2).jpg": EXAMINED}
    assert contents(photo.parent) == {}


def test_across_file_systems_it_is_copied_then_unlinked(
    photo: Path, dir_fd: int, mounted: Callable[[str], Path], tmp_path: Path
) -> None:
    other = mounted("tmpfs") / f"other-{tmp_path.name}"
    other.mkdir()
    (other / "x.jpg").write_bytes(OTHER)
    os.utime(photo, ns=(10**18, 10**18))
    after = hide(dir_fd, "x.jpg", HIDDEN, fingerprint(photo))
    with directory_below(str(other), "") as to_fd:
        assert move_hidden_to(dir_fd, HIDDEN, to_fd, "x.jpg", after) == "x (2).jpg"
    assert contents(other) == {"x.jpg": OTHER, "x (2).jpg": EXAMINED}
    assert (other / "x (2).jpg").stat().st_mtime_ns == 10**18
    assert contents(photo.parent) == {}


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", ["copy_into", "hash_only_blake3", "_move", "unlink_hidden", "sync_dir"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", [1, 2])
def test_killed_at_each_step_a_move_across_file_systems_ends_with_one_file(
    tmp_path: Path, mounted: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, step: str, when: str, call: int
) -> None:
    here, there = tmp_path, mounted("tmpfs") / tmp_path.name
    there.mkdir()
    (here / HIDDEN).write_bytes(EXAMINED)
    expected = fingerprint(here / HIDDEN)
    real, calls = getattr(releasing, step), 0

    def dying(*args: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and when == "before":
            raise Killed
        result = real(*args, **more)
        if calls == call:
            raise Killed
        return result

    with directory_below(str(here), "") as dir_fd, directory_below(str(there), "") as to_fd:
        with monkeypatch.context() as patch, suppress(Killed):
            patch.setattr(releasing, step, dying)
            move_hidden_to(dir_fd, HIDDEN, to_fd, "x.jpg", expected)
        assert calls, "the step was never taken: the test proves nothing"
        assert EXAMINED in [*contents(here).values(), *contents(there).values()]
        settled = settle_hidden(dir_fd, HIDDEN, "x.jpg", expected, moved_to=(to_fd, "x.jpg"))
        if settled.where is Where.HIDDEN:
            assert settled.fingerprint is not None
            move_hidden_to(dir_fd, HIDDEN, to_fd, "x.jpg", settled.fingerprint)
    assert contents(here) == {}
    assert contents(there) == {"x.jpg": EXAMINED}


def test_a_copy_that_an_earlier_run_has_made_is_synced_before_the_original_goes(
    tmp_path: Path, mounted: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was killed may not have come to it, and to its name."""
    here, there = tmp_path, mounted("tmpfs") / tmp_path.name
    there.mkdir()
    for path in (here / HIDDEN, there / "x.jpg"):
        path.write_bytes(EXAMINED)
        os.utime(path, ns=(10**18, 10**18))
    done = _noted(monkeypatch)
    with directory_below(str(here), "") as dir_fd, directory_below(str(there), "") as to_fd:
        assert move_hidden_to(dir_fd, HIDDEN, to_fd, "x.jpg", fingerprint(here / HIDDEN)) == "x.jpg"
    assert done[: done.index(f"unlink {HIDDEN}")] == [f"sync {there / 'x.jpg'}", f"sync {there}"]


def _noted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note what is synced and unlinked, in its order."""
    done: list[str] = []
    fsync, unlink = os.fsync, os.unlink

    def synced(fd: int) -> None:
        done.append(f"sync {Path(f'/proc/self/fd/{fd}').readlink()}")
        fsync(fd)

    def unlinked(name: Any, **more: Any) -> None:
        done.append(f"unlink {name}")
        unlink(name, **more)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "unlink", unlinked)
    return done


def test_two_mounts_of_one_folder_lose_nothing(tmp_path: Path) -> None:
    real, bound = tmp_path / "real", tmp_path / "bound"
    real.mkdir()
    bound.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    subprocess.run(["mount", "--bind", str(real), str(bound)], check=True)
    try:
        (real / HIDDEN).write_bytes(EXAMINED)
        with directory_below(str(real), "") as dir_fd, directory_below(str(bound), "") as to_fd:
            assert move_hidden_to(dir_fd, HIDDEN, to_fd, "x.jpg", fingerprint(real / HIDDEN)) == "x.jpg"
        assert contents(real) == {"x.jpg": EXAMINED}
    finally:
        unmount(bound)


def settle(photo: Path, dir_fd: int, expected: Fingerprint) -> tuple[Where, str]:
    settled = settle_hidden(dir_fd, HIDDEN, "x.jpg", expected)
    again = settle_hidden(dir_fd, HIDDEN, "x.jpg", expected)
    assert again.where in {settled.where, Where.GONE}
    if settled.fingerprint:
        assert settled.fingerprint == fingerprint(photo.parent / settled.name)
    return settled.where, settled.name


def test_settling_tells_each_state_after_a_crash(photo: Path, dir_fd: int) -> None:
    expected = fingerprint(photo)
    assert settle(photo, dir_fd, expected) == (Where.NAME, "x.jpg")
    after = hide(dir_fd, "x.jpg", HIDDEN, expected)
    assert settle(photo, dir_fd, expected) == (Where.HIDDEN, HIDDEN)
    upload(photo.parent)
    assert settle(photo, dir_fd, expected) == (Where.HIDDEN, HIDDEN)
    unlink_hidden(dir_fd, HIDDEN, after)
    assert settle(photo, dir_fd, expected) == (Where.GONE, "")
    assert contents(photo.parent) == {"x.jpg": OTHER}
    photo.unlink()
    assert settle(photo, dir_fd, expected) == (Where.GONE, "")


def test_settling_gives_a_wrongly_hidden_file_a_visible_name(photo: Path, dir_fd: int) -> None:
    expected = fingerprint(photo)
    (photo.parent / HIDDEN).write_bytes(OTHER)
    assert settle_hidden(dir_fd, HIDDEN, "x.jpg", expected).name == "x (kept).jpg"
    assert contents(photo.parent) == {"x.jpg": EXAMINED, "x (kept).jpg": OTHER}
    photo.unlink()
    (photo.parent / HIDDEN).write_bytes(b"third")
    settled = settle_hidden(dir_fd, HIDDEN, "x.jpg", expected)
    assert (settled.where, settled.name) == (Where.RETURNED, "x.jpg")


def test_settling_ends_a_link_without_its_unlink(photo: Path, dir_fd: int) -> None:
    expected = fingerprint(photo)
    os.link("x.jpg", HIDDEN, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    assert settle(photo, dir_fd, expected) == (Where.NAME, "x.jpg")
    assert contents(photo.parent) == {"x.jpg": EXAMINED}
    archived = photo.parent / "Archived"
    archived.mkdir()
    after = hide(dir_fd, "x.jpg", HIDDEN, fingerprint(photo))
    (archived / "x.jpg").write_bytes(OTHER)
    (archived / "x (2).jpg").hardlink_to(photo.parent / HIDDEN)
    with directory_below(str(archived), "") as to_fd:
        settled = settle_hidden(dir_fd, HIDDEN, "x.jpg", after, moved_to=(to_fd, "x.jpg"))
        assert (settled.where, settled.name) == (Where.MOVED, "x (2).jpg")
        assert contents(photo.parent) == {}
        settled = settle_hidden(dir_fd, HIDDEN, "x.jpg", after, moved_to=(to_fd, "x.jpg"))
        assert (settled.where, settled.name) == (Where.MOVED, "x (2).jpg")


def test_a_second_name_is_gone_for_good_when_that_is_told(
    photo: Path, dir_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.link("x.jpg", HIDDEN, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    done = _noted(monkeypatch)
    assert settle_hidden(dir_fd, HIDDEN, "x.jpg", fingerprint(photo)).where is Where.NAME
    assert done == [f"unlink {HIDDEN}", f"sync {photo.parent}"]


def test_one_name_seen_twice_is_no_second_name(photo: Path) -> None:
    """Some file systems tell one inode number for all, or show one folder twice: there nothing may be unlinked."""
    status = photo.stat()
    assert not settling._one_file(status, status)
    (photo.parent / "second.jpg").hardlink_to(photo)
    assert settling._one_file(photo.stat(), (photo.parent / "second.jpg").stat())


def test_hidden_files_are_found_without_a_ledger(photo: Path, dir_fd: int) -> None:
    hidden = new_hidden_name("x.jpg")
    hide(dir_fd, "x.jpg", hidden, fingerprint(photo))
    (photo.parent / ".photon-relay-copy.abc.part").write_bytes(b"half a copy")
    assert hidden_in(dir_fd) == [(hidden, "x.jpg")]


def test_many_hidden_names_are_each_of_their_own() -> None:
    names = [f"IMG_{number}.jpg" for number in range(300)]
    hidden = new_hidden_names(names)
    assert [name_of_hidden(one) for one in hidden] == names
    assert len({one.split("-")[2] for one in hidden}) == 300
    assert new_hidden_names([]) == []
