"""The order of what is done to the disk, asserted from a trace of the whole program: write, sync, rename, sync folder.

And of the release: an original's name is taken away only after the archive's file, its folder, all folders above it and
the line in the ledger that says so are synced; what was taken away is synced in its turn.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.files.conftest import mounted  # noqa: F401  the fixture
from tests.kill.world import HIDDEN, Configuration, World
from tests.standins.photoprism import PhotoPrismStandIn
from tests.torture.needs import LONG
from tests.torture.order.trace import Call, read, traced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).parents[3]
CASES = [(Configuration("folder", "delete", "archive"), "btrfs"), (Configuration("photoprism", "trash", "delete"), "")]
if LONG:
    CASES += [
        (Configuration("folder", "archive", "delete"), ""),
        (Configuration("folder", "trash", "archive"), "xfs"),
        (Configuration("folder", "tag", "delete"), "tmpfs"),
        (Configuration("photoprism", "archive", "tag"), "btrfs"),
    ]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class OccCommand:
    """Calls of the stand-in ``occ`` as a command of its own."""

    def command(self, data: Path, state: Path, archive: Path) -> list[str]:
        """Give what stands in the configuration as ``nextcloud.occ.command``."""
        occ = [sys.executable, "-m", "tests.standins.occ"]
        return [*occ, "--data", str(data), "--state", str(state), "--album", f"{archive}=/Album", "--"]

    def ask(self, request: dict[str, Any]) -> None:
        """Do one call."""
        subprocess.run([sys.executable, *request["argv"]], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(("configuration", "on"), CASES, ids=str)
async def test_everything_is_synced_before_it_counts(
    configuration: Configuration,
    on: str,
    tmp_path: Path,
    mounted: Callable[[str], Path],  # noqa: F811
) -> None:
    if shutil.which("strace") is None and not os.environ.get("PHOTON_RELAY_TEST_ALL"):
        pytest.skip("strace is not installed")
    place = mounted(on) / tmp_path.name if on else tmp_path / "place"
    world = World(place, configuration, OccCommand())  # type: ignore[arg-type]
    if configuration.via == "photoprism":
        async with PhotoPrismStandIn(world.imports, world.archive) as prism:
            world.url = prism.url
            calls = await _swept(world, tmp_path)
    else:
        calls = await _swept(world, tmp_path)
    photos = _photos(world)
    assert len(photos) == 9
    published = _check_places(calls, world)
    _check_releases(calls, world, photos)
    # What the trace must hold for any of this to have been looked at.
    assert published == (6 + 2 if configuration.via == "folder" else published)
    assert published >= 1
    shutil.rmtree(place)


async def _swept(world: World, folder: Path) -> list[Call]:
    import anyio.to_thread

    world.make()
    argv = [sys.executable, "-m", "daemon", "--config", str(world.desk / "settle-0s.yaml"), "sweep"]
    code, calls = await anyio.to_thread.run_sync(
        lambda: traced(argv, folder / "trace", cwd=ROOT, env=dict(os.environ, PYTHONPATH=str(ROOT)))
    )
    assert code == 0
    return calls


def _photos(world: World) -> list[tuple[str, str, str, str]]:
    """Give each photo's original, its copy in the archive, its state and what became of the original."""
    with closing(sqlite3.connect(world.state / "ledger.db")) as connection:
        rows = connection.execute("SELECT user, path, archived_as, state, after FROM photos").fetchall()
    return [
        (
            f"{world.data}/{user}/files/{os.fsdecode(path)}",
            f"{world.archive}/{os.fsdecode(archived_as)}",
            state,
            after,
        )
        for user, path, archived_as, state, after in rows
    ]


def _check_places(calls: Sequence[Call], world: World) -> int:
    """Whatever gets a name in the archive, or below ``import``, had its bytes synced before, and its folder after."""
    count = 0
    for call in calls:
        if not call.names or not call.paths[-1].startswith((f"{world.archive}/", f"{world.imports}/")):
            continue
        source, target = call.paths
        if Path(target).name.startswith(HIDDEN):
            continue
        count += 1
        before = [other for other in calls if other.ended < call.begun]
        inside = [other for other in before if other.writes and _is_or_is_in(other.paths[-1], source)]
        for path in {other.paths[-1] for other in inside}:
            last = max(other.ended for other in inside if other.paths[-1] == path)
            assert any(_synced(other, path) and other.begun > last for other in before), f"{path} is not synced before"
        for folder in {str(Path(path).parent) for path in (other.paths[0] for other in before if other.name == "openat")
                       if _is_or_is_in(path, source) and path != source}:  # fmt: skip
            last = max(o.ended for o in before if o.name == "openat" and str(Path(o.paths[0]).parent) == folder)
            assert any(_synced(other, folder) and other.begun > last for other in before), f"{folder} before its name"
        after = [other for other in calls if other.begun > call.ended]
        assert any(_synced(other, str(Path(target).parent)) for other in after), f"the folder of {target}"
    return count


def _check_releases(calls: Sequence[Call], world: World, photos: Sequence[tuple[str, str, str, str]]) -> None:
    released = 0
    for original, archived, state, after in photos:
        assert state == "done"
        taking = [call for call in calls if call.takes_away(original)]
        if after in {"keep", "tag"}:
            assert not taking
            continue
        released += 1
        first = min(call.begun for call in taking)
        before = [call for call in calls if call.ended < first]
        way = [archived]
        while way[-1] != str(world.archive):
            way.append(str(Path(way[-1]).parent))
        last = 0
        named = max((call.ended for call in before if call.names and call.paths[-1] == archived), default=-1)
        for path in way:
            syncs = [call.ended for call in before if _synced(call, path) and (path == archived or call.begun > named)]
            assert syncs, f"{path} is not synced before {original} goes"
            last = max(last, min(syncs))
        commits = [call for call in before if call.name == "fdatasync" and "ledger.db-wal" in call.paths[0]]
        assert any(call.begun > last for call in commits), f"no commit between the proof and the release of {original}"
        if after != "trash":  # Nextcloud moves it into its bin, and syncs nothing
            _check_gone(calls, taking, original)
    assert released >= 3


def _check_gone(calls: Sequence[Call], taking: Sequence[Call], original: str) -> None:
    """The hidden name is taken away too, and that is synced, in the folder it went to as well."""
    hidden = taking[-1].paths[-1]
    (end,) = (call for call in calls if call.takes_away(hidden))
    after = [call for call in calls if call.begun > end.ended]
    for folder in {str(Path(original).parent), *(str(Path(end.paths[1]).parent) for _ in [end] if end.moves)}:
        assert any(_synced(call, folder) for call in after), f"{folder} is not synced after {original} went"


def _synced(call: Call, path: str) -> bool:
    return call.syncs and (call.paths[0] == path or call.name == "syncfs")


def _is_or_is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def test_a_trace_is_read_with_its_escapes_and_what_was_interrupted() -> None:
    lines: Iterator[str] = iter([
        '7 renameat2(5</a/b>, "\\303\\234x.jpg", 6</c>, "y \\"z\\"", RENAME_NOREPLACE) = 0\n',
        "8 fsync(9</a/\\303\\234x.jpg> <unfinished ...>\n",
        '7 unlinkat(5</a>, "gone", 0) = -1 ENOENT (No such file or directory)\n',
        '7 openat(5</a>, "new", O_RDWR|O_CREAT, 0600) = 7</a/new>\n',
        "8 <... fsync resumed>) = 0\n",
        '7 linkat(AT_FDCWD</w>, "/proc/self/fd/9", 6</c>, "l", AT_SYMLINK_FOLLOW) = 0\n',
        "7 ioctl(7</c/new>, BTRFS_IOC_CLONE or FICLONE, 6) = 0\n",
        "7 copy_file_range(6</a/x>, [0] => [5], 7</c/new>, [0] => [5], 5, 0) = 5\n",
    ])  # fmt: skip
    found = list(read(lines))
    assert [(call.name, call.paths, call.begun, call.ended) for call in found] == [
        ("renameat2", ("/a/b/Üx.jpg", '/c/y "z"'), 0, 0),
        ("openat", ("/a/new",), 3, 3),
        ("fsync", ("/a/Üx.jpg",), 1, 4),
        ("linkat", ("/proc/self/fd/9", "/c/l"), 5, 5),
        ("ioctl", ("/c/new",), 6, 6),
        ("copy_file_range", ("/a/x", "/c/new"), 7, 7),
    ]
    assert [call.writes for call in found] == [False, False, False, False, True, True]
