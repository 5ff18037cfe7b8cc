"""The engine by itself: what the kernel tells, what it loses, and that nothing wakes while nothing happens."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from daemon.watch.engine import Batch, Engine
from tests.files.conftest import filesystem, mount, mounted, unmount  # noqa: F401  fixtures

if TYPE_CHECKING:
    from collections.abc import Iterator

GATHER = 0.02


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    return tmp_path


@pytest.fixture
def engine(top: Path) -> Iterator[Engine]:
    one = Engine(str(top), ["a"])
    yield one
    one.close()


def test_a_new_directory_is_watched_with_all_below(top: Path, engine: Engine) -> None:
    (top / "a/b/c").mkdir(parents=True)
    (top / "a/b/c/x.jpg").touch()
    batch = engine.read(GATHER)
    assert batch.added == {"a/b"}
    assert engine.directories == 3
    (top / "a/b/c/y.jpg").touch()
    assert engine.read(GATHER).changed == {"a/b/c/y.jpg"}


def test_every_directory_is_watched_on_every_file_system(filesystem: Path) -> None:  # noqa: F811  a fixture
    """Some count the directories in a directory as links to it, others do not, and one inside may be a mount."""
    (filesystem / "a/b/c").mkdir(parents=True)
    (filesystem / "a/over").mkdir()
    (filesystem / "a/x.jpg").touch()
    over = mount("tmpfs", filesystem / "a/over")
    try:
        (over / "inside").mkdir()
        one = Engine(str(filesystem), ["a"])
        try:
            everywhere = [path for path in (filesystem / "a").rglob("*") if path.is_dir()]
            assert one.directories == len(everywhere) + 1 == 6
            for path in everywhere:
                (path / "y.jpg").touch()
            heard = {f"{path.relative_to(filesystem)}/y.jpg" for path in everywhere}
            assert one.read(GATHER).changed == heard
        finally:
            one.close()
    finally:
        unmount(over)


def test_a_directory_that_moves_keeps_its_watches_under_its_new_name(top: Path, engine: Engine) -> None:
    (top / "a/old/deep").mkdir(parents=True)
    engine.read(GATHER)
    (top / "a/old").rename(top / "a/new")
    (top / "a/new/deep/x.jpg").touch()
    batch = engine.read(GATHER)
    assert (batch.changed, batch.added) == ({"a/old", "a/new"}, {"a/new"})
    (top / "a/new/deep/y.jpg").touch()
    assert engine.read(GATHER).changed == {"a/new/deep/y.jpg"}
    assert engine.directories == 3


def test_two_directories_that_change_places_are_told_apart(top: Path, engine: Engine) -> None:
    for name in ("one", "two"):
        (top / f"a/{name}/{name}").mkdir(parents=True)
    engine.read(GATHER)
    (top / "a/one").rename(top / "a/between")
    (top / "a/two").rename(top / "a/one")
    (top / "a/between").rename(top / "a/two")
    engine.read(GATHER)
    (top / "a/one/two/x.jpg").touch()
    (top / "a/two/one/y.jpg").touch()
    assert engine.read(GATHER).changed == {"a/one/two/x.jpg", "a/two/one/y.jpg"}


def test_what_moves_out_or_is_deleted_is_watched_no_more(top: Path, engine: Engine) -> None:
    for name in ("out/deep", "gone/deep"):
        (top / "a" / name).mkdir(parents=True)
    engine.read(GATHER)
    assert engine.directories == 5
    (top / "a/out").rename(top / "elsewhere")
    shutil.rmtree(top / "a/gone")
    engine.read(GATHER)
    engine.read(GATHER, wait=False)
    assert engine.directories == 1
    (top / "elsewhere/deep/x.jpg").touch()
    assert engine.read(GATHER, wait=False) == Batch()


def test_an_overflowing_queue_is_told_of(top: Path, engine: Engine) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for number in range(most // 2 + 100):
        (top / f"a/{number % 1000}").touch()
        (top / f"a/{number % 1000}").unlink()
    assert "overflowed" in engine.read(GATHER).trouble
    (top / "a/x.jpg").touch()
    assert engine.read(GATHER) == Batch(changed={"a/x.jpg"})


def test_reading_fills_no_queue(top: Path, engine: Engine) -> None:
    (top / "a/x.jpg").touch()
    engine.read(GATHER)
    for _ in range(100):
        (top / "a/x.jpg").read_bytes()
        list((top / "a").iterdir())
    assert engine.read(GATHER, wait=False) == Batch()


def test_a_root_that_moves_or_goes_is_lost(top: Path) -> None:
    (top / "b").mkdir()
    engine = Engine(str(top), ["a", "b", "never"])
    (top / "a").rename(top / "c")
    (top / "b").rmdir()
    assert engine.read(GATHER).lost == {"a", "b"}
    engine.close()


def test_links_are_not_followed(top: Path) -> None:
    (top / "outside/deep").mkdir(parents=True)
    (top / "a/link").symlink_to(top / "outside")
    (top / "b").symlink_to(top / "outside")
    engine = Engine(str(top), ["a", "b"])
    assert engine.directories == 1
    engine.close()


def test_a_canary_is_heard_and_writes_nothing(top: Path, engine: Engine) -> None:
    before = (top / "a").stat()
    assert engine.sing("a")
    assert engine.read(GATHER).changed == {"a"}
    after = (top / "a").stat()
    assert (before.st_ctime_ns, before.st_atime_ns) == (after.st_ctime_ns, after.st_atime_ns)
    list((top / "a").iterdir())
    assert engine.read(GATHER, wait=False) == Batch()
    engine.close()
    assert not engine.sing("a")


def test_nothing_wakes_it_but_an_event_or_the_bell(engine: Engine) -> None:
    woken: list[int] = []

    def read() -> None:
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        assert engine.read(GATHER) == Batch()
        woken.append(resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before)

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.5)
    assert thread.is_alive()
    engine.ring()
    thread.join(5)
    assert len(woken) == 1
    assert woken[0] < 5
    engine.ring()
    assert engine.read(GATHER) == Batch()


def test_what_comes_all_the_time_is_given_after_a_while(top: Path, engine: Engine) -> None:
    stop = threading.Event()

    def make() -> None:
        while not stop.wait(0.001):
            (top / "a/x.jpg").touch()

    thread = threading.Thread(target=make)
    thread.start()
    try:
        began = time.monotonic()
        assert engine.read(0.2, longest=0.3).changed == {"a/x.jpg"}
        assert 0.25 < time.monotonic() - began < 2
    finally:
        stop.set()
        thread.join()


LIMITED = """
import sys, pathlib
from daemon.watch.engine import Engine
top = pathlib.Path(sys.argv[1])
pathlib.Path("/proc/sys/user/max_inotify_watches").write_text("5")
engine = Engine(str(top), ["a"])
for number in range(6):
    (top / f"a/{number}").mkdir()
print(engine.directories, engine.read(0.02).trouble, engine.directories)
engine.close()
try:
    Engine(str(top), ["a"])
except OSError as error:
    print(error.strerror)
"""


def test_a_watch_that_the_kernel_refuses_is_told_of(top: Path) -> None:
    inside = ["unshare", "--user", "--map-root-user", sys.executable, "-c", LIMITED, str(top)]
    done = subprocess.run(inside, capture_output=True, text=True, timeout=60, check=False)
    if "unshare:" in done.stderr:
        pytest.skip("no user namespaces here")
    first, second = done.stdout.splitlines()
    assert first.startswith("1 a/")
    assert first.endswith("could not be watched: the kernel grants no more watches (fs.inotify.max_user_watches) 5")
    assert "max_user_watches" in second


def test_a_folder_that_becomes_a_link_while_it_is_set_up_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        (tmp_path / f"outside/{number}").mkdir(parents=True)
    inner = tmp_path / "base/a/inner"
    # What has no directory inside need not be listed.
    (inner / "below/innermost").mkdir(parents=True)
    listing, listed = os.scandir, 0

    def swapped(where: int | str) -> Any:
        nonlocal listed
        listed += 1
        if listed == 2:
            inner.rename(tmp_path / "aside")
            inner.symlink_to(tmp_path / "outside")
        return listing(where)

    monkeypatch.setattr(os, "scandir", swapped)
    engine = Engine(str(tmp_path / "base"), ["a"])
    try:
        assert listed == 3
        assert engine.directories == 4
        engine.read(0.01, wait=False)
        for number in range(5):
            (tmp_path / f"outside/{number}/secret.jpg").write_bytes(b"x")
        assert not [path for path in engine.read(0.01, wait=False).changed if "secret" in path]
    finally:
        engine.close()


def test_what_the_relay_hides_is_no_news_and_what_it_puts_back_is(top: Path, engine: Engine) -> None:
    photo, other, hidden = top / "a/x.jpg", top / "a/y.jpg", top / "a/.photon-relay-word-x.jpg.part"
    photo.touch()
    other.touch()
    assert engine.read(GATHER).changed == {"a/x.jpg", "a/y.jpg"}
    photo.chmod(0o664)
    other.chmod(0o664)
    photo.rename(hidden)
    assert engine.read(GATHER).changed == {"a/y.jpg"}
    photo.touch()  # an upload takes the name meanwhile
    assert engine.read(GATHER).changed == {"a/x.jpg"}
    photo.rename(hidden)
    hidden.rename(photo)
    assert engine.read(GATHER).changed == {"a/x.jpg"}
    photo.rename(top / "a/z.jpg")
    other.rename(top / ".photon-relay-elsewhere")
    assert engine.read(GATHER).changed == {"a/x.jpg", "a/y.jpg", "a/z.jpg"}
