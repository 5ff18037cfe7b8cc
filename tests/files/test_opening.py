from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from daemon.errors import Refused, RelayError, Transient
from daemon.files.opening import directory_below, file_below, names_in
from daemon.fingerprint import Fingerprint


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def refused(root: Path, relpath: str) -> str:
    with pytest.raises(RelayError) as caught, file_below(str(root), relpath):
        pass
    assert isinstance(caught.value, Refused)
    return caught.value.code


def test_a_file_far_below_is_opened_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x.jpg").write_bytes(b"bytes")
    with file_below(str(tmp_path), "a/b/x.jpg") as opened:
        assert os.read(opened.fd, 99) == b"bytes"
        assert names_in(opened.dir_fd) == ["x.jpg"]
        assert opened.fingerprint == Fingerprint.of((tmp_path / "a/b/x.jpg").stat())


def test_names_may_be_any_bytes(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9\n.jpg")
    (tmp_path / name).write_bytes(b"1")
    with file_below(str(tmp_path), name) as opened:
        assert opened.name == name


def test_names_that_came_after_the_opening_are_listed(filesystem: Path) -> None:
    with directory_below(str(filesystem), "") as fd:
        assert names_in(fd) == []
        (filesystem / "new.jpg").touch()
        assert names_in(fd) == names_in(fd) == ["new.jpg"]


def test_an_open_folder_serves_as_root(tmp_path: Path, folder: int) -> None:
    (tmp_path / "x.jpg").write_bytes(b"1")
    with file_below(folder, "x.jpg") as opened:
        assert opened.status.st_size == 1
    os.fstat(folder)


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.jpg").write_bytes(b"1")
    (tmp_path / "link").symlink_to("real")
    with file_below(str(tmp_path / "link"), "x.jpg") as opened:
        assert opened.status.st_size == 1


@pytest.mark.parametrize("relpath", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./x", "a/", "a\0b", ".."])
def test_paths_that_could_lead_elsewhere_are_refused(tmp_path: Path, relpath: str) -> None:
    assert refused(tmp_path, relpath) == "file.outside"


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.jpg").write_bytes(b"1")
    (tmp_path / "dir").symlink_to("in")
    (tmp_path / "file.jpg").symlink_to("in/x.jpg")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "dir").symlink_to("../in")
    assert refused(tmp_path, "dir/x.jpg") == "file.link"
    assert refused(tmp_path, "file.jpg") == "file.link"
    assert refused(tmp_path, "loop/x.jpg") == "file.link"
    assert refused(tmp_path, "deep/dir/x.jpg") == "file.link"
    (tmp_path / "in" / "sub").mkdir()
    (tmp_path / "in" / "sub" / "y.jpg").write_bytes(b"1")
    assert refused(tmp_path, "dir/sub/y.jpg") == "file.link"
    assert refused(tmp_path, "deep/dir/sub/y.jpg") == "file.link"
    with pytest.raises(Refused, match="link"), directory_below(str(tmp_path), "dir"):
        pass


def test_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "dir.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.jpg"))
        assert refused(tmp_path, "socket.jpg") == "file.not_regular"
    assert refused(tmp_path, "fifo.jpg") == "file.not_regular"
    assert refused(tmp_path, "dir.jpg") == "file.not_regular"
    assert refused(tmp_path, "fifo.jpg/x") == "file.not_directory"


def test_a_vanished_file_and_a_missing_mount_are_told_apart(tmp_path: Path) -> None:
    assert refused(tmp_path, "x.jpg") == "file.vanished"
    assert refused(tmp_path, "gone/x.jpg") == "file.vanished"
    with pytest.raises(Transient) as caught, file_below(str(tmp_path / "gone"), "x.jpg"):
        pass
    assert caught.value.code == "disk.no_root"


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"1")
    (tmp_path / "a" / "link").symlink_to("x")
    before = descriptors()
    for relpath in ("a/x", "a/link", "a/x/y", "b/x", "a"):
        with suppress(RelayError), file_below(str(tmp_path), relpath):
            pass
    assert descriptors() == before


@pytest.mark.parametrize("below", ["", "c"])
def test_a_folder_swapped_for_a_link_at_any_moment_never_leads_out(tmp_path: Path, below: str) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    (outside / below).mkdir(parents=True)
    (outside / below / "x.jpg").write_bytes(b"secret")
    (root / "a" / "b" / below).mkdir(parents=True)
    (root / "a" / "b" / below / "x.jpg").write_bytes(b"mine")
    (root / "link").symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (root / "a" / "b").rename(root / "a" / "real")
            (root / "link").rename(root / "a" / "b")
            (root / "a" / "b").rename(root / "link")
            (root / "a" / "real").rename(root / "a" / "b")

    thread = threading.Thread(target=swap)
    thread.start()
    seen: dict[str, int] = {}
    try:
        for _ in range(4000):
            try:
                with file_below(str(root), str(Path("a/b", below, "x.jpg"))) as opened:
                    found = os.read(opened.fd, 10).decode()
            except Refused as error:
                found = error.code
            seen[found] = seen.get(found, 0) + 1
    finally:
        stop.set()
        thread.join()
    assert set(seen) <= {"mine", "file.link", "file.vanished", "file.not_directory"}
    assert seen["mine"]
    assert "file.link" in seen, "the swap never came between: the test proves nothing"
