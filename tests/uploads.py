"""A client's uploads exactly as Nextcloud leaves them on disk, and a data directory to leave them in.

What happens on disk is what Nextcloud's ``Connector/Sabre/File.php``, ``ChunkingPlugin`` and ``BulkUploadPlugin`` do on
local storage: a plain PUT writes ``<name>.ocTransferId<n>.part``, renames it and only then sets the time back to when
the picture was taken; nothing is synced. The functions block; ``trickle`` drives them from threads.
"""

from __future__ import annotations

import errno
import functools
import os
import random
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import anyio
import anyio.to_thread
from blake3 import blake3

from daemon.demo import samples
from daemon.demo.client import When, make_folders, part_name, put, touch, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "SAMPLE_PHOTOS", "Planned", "Upload", "abandon", "bulk", "chunked", "contents", "copy", "make_data_dir",
    "make_folders", "make_home", "move_folder_in", "overwrite", "part_name", "plan", "put", "put_split_storage",
    "touch", "trickle", "upload",
]  # fmt: skip
Way: TypeAlias = "Callable[[Path, str, bytes, When], Path]"
SAMPLE_PHOTOS = {
    "Birdie.jpg": 593_508,
    "Frog.jpg": 457_744,
    "Gorilla.jpg": 474_653,
    "Library.jpg": 2_170_375,
    "Nextcloud community.jpg": 797_325,
    "Steps.jpg": 567_689,
    "Toucan.jpg": 167_989,
    "Vineyard.jpg": 427_030,
}
"""What Nextcloud puts into ``files/Photos`` at a first login: name and size."""
_numbers = random.Random()


def _seconds(when: When) -> float | None:
    return when.timestamp() if isinstance(when, datetime) else when


def put_split_storage(home: Path, relpath: str, data: bytes, mtime: When = None) -> Path:
    """Upload with ``part_file_in_storage: false``: the part lies in the root of the files, then crosses folders."""
    target = home / "files" / relpath
    make_folders(target.parent)
    temporary = home / "files" / part_name(relpath)
    write(temporary, data)
    temporary.rename(target)
    touch(target, mtime)
    return target


def chunked(home: Path, relpath: str, data: bytes, mtime: When = None, *, chunk: int = 1 << 20) -> Path:
    """Upload in chunks: numbered files in ``uploads/<id>/``, joined to a part file, renamed, removed."""
    target = home / "files" / relpath
    folder = home / "uploads" / f"web-file-upload-{_numbers.randrange(16**16):016x}"
    folder.mkdir(parents=True)
    pieces = [data[at : at + chunk] for at in range(0, len(data), chunk)] or [b""]
    for number, piece in enumerate(pieces, 1):
        part = folder / part_name(str(number))
        write(part, piece)
        part.rename(folder / str(number))
    make_folders(target.parent)
    temporary = target.with_name(part_name(target.name))
    with temporary.open("wb", buffering=0) as file:
        for number in range(1, len(pieces) + 1):
            file.write((folder / str(number)).read_bytes())
    temporary.rename(target)
    touch(target, mtime)
    shutil.rmtree(folder)
    return target


def bulk(home: Path, relpath: str, data: bytes, mtime: When = None) -> Path:
    """Upload by the desktop client's bulk request: the final name is written directly, then its time set back."""
    target = home / "files" / relpath
    make_folders(target.parent)
    write(target, data)
    touch(target, mtime)
    return target


def copy(home: Path, source: str, relpath: str) -> Path:
    """Copy within Nextcloud: PHP's ``copy`` writes the final name directly, with the time of now."""
    target = home / "files" / relpath
    make_folders(target.parent)
    write(target, (home / "files" / source).read_bytes())
    return target


def overwrite(home: Path, relpath: str, data: bytes, mtime: When = None) -> Path:
    """Upload over a file that is there: its old version is kept, the name removed, the part file renamed to it."""
    target = home / "files" / relpath
    temporary = target.with_name(part_name(target.name))
    write(temporary, data)
    version = home / "files_versions" / f"{relpath}.v{int(target.stat().st_mtime)}"
    make_folders(version.parent)
    shutil.copyfile(target, version)
    target.unlink()
    temporary.rename(target)
    touch(target, mtime)
    return target


def move_folder_in(home: Path, relpath: str, content: dict[str, bytes], mtime: When = None) -> Path:
    """Move a filled folder to ``relpath`` in one rename, as a move or a restore from the bin does."""
    target = home / "files" / relpath
    outside = home / "files" / f"Elsewhere {_numbers.randrange(16**8):08x}"
    for name, data in content.items():
        make_folders((outside / name).parent)
        write(outside / name, data)
        touch(outside / name, mtime)
    make_folders(target.parent)
    outside.rename(target)
    return target


def abandon(home: Path, relpath: str, data: bytes) -> Path:
    """Leave what a killed request leaves: a part file that nobody will ever rename."""
    target = home / "files" / relpath
    make_folders(target.parent)
    temporary = target.with_name(part_name(target.name))
    write(temporary, data)
    return temporary


def make_home(data: Path, user: str, *, samples_too: bool = True) -> Path:
    """Make a user's home as the first login does, with the sample photos unless ``samples_too`` is false."""
    home = data / user
    for folder in ("files", "files_trashbin/files", "files_trashbin/info", "files_versions", "uploads", "cache"):
        make_folders(home / folder)
    if samples_too:
        for folder in ("Photos", "Templates", "Documents"):
            make_folders(home / "files" / folder)
        for seed, (name, size) in enumerate(SAMPLE_PHOTOS.items()):
            write(home / "files/Photos" / name, samples.jpeg(datetime(2019, 6, 1, tzinfo=UTC), seed, size))
        write(home / "files/Photos/Readme.md", b"## Welcome\n")
        write(home / "files/Nextcloud Manual.pdf", b"%PDF-1.5\n%%EOF\n")
        write(home / "files/Nextcloud intro.mp4", samples.mp4(datetime(2019, 6, 1, tzinfo=UTC), 99, 3_963_036))
    return home


def make_data_dir(path: Path, users: Iterable[str] = (), *, samples_too: bool = True) -> Path:
    """Make a Nextcloud data directory with everything that stands beside the homes, and a home for each user."""
    make_folders(path)
    (path / ".ncdata").write_text("# Nextcloud data directory\n# Do not change this file\n")
    (path / ".htaccess").write_text("Require all denied\n")
    (path / "index.html").write_text("")
    (path / "nextcloud.log").write_text('{"level":2,"app":"core"}\n')
    photo = samples.jpeg(datetime(2020, 1, 1, tzinfo=UTC), 1)
    for beside in ("appdata_oc1a2b3c4d5e/preview/a/b/42", "files_external", "__groupfolders/1/files/InstantUpload"):
        make_folders(path / beside)
    # Pictures that are nobody's upload: whoever relays one of these looked where it must not.
    write(path / "appdata_oc1a2b3c4d5e/preview/a/b/42/256-256.jpg", photo)
    write(path / "__groupfolders/1/files/InstantUpload/shared.jpg", photo)
    for user in users:
        make_home(path, user, samples_too=samples_too)
    return path


@dataclass(frozen=True, slots=True)
class Upload:
    """One file that was uploaded: the truth that a test compares with."""

    user: str
    path: str
    """Below the user's ``files/``."""
    blake3: str
    group: str
    """Files of one group belong together: a Live Photo's halves, a RAW with its JPEG, a side file."""
    duplicate: bool = False
    """The same bytes were planned before, by whomever."""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Planned:
    """One upload to come: what, where, when taken, and which way it goes."""

    user: str
    path: str
    group: str
    taken: datetime
    make: Callable[[], bytes]
    way: Way
    duplicate: bool = False


@dataclass(slots=True)
class _Planner:
    users: Sequence[str]
    folder: str
    size: int | None
    rng: random.Random
    done: list[list[Planned]] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)
    number: int = 0

    def way(self) -> Way:
        """Choose how a file arrives; most come by a plain PUT, as from phones."""
        ways: list[Way] = [put, functools.partial(put, part="name"), chunked, bulk, put_split_storage]
        return self.rng.choices(ways, [60, 15, 10, 10, 5])[0]

    def group(self, kind: str, *, again: bool) -> list[Planned]:
        user = self.rng.choice(self.users)
        self.number += 1
        self.counted[user] = self.counted.get(user, 0) + 1
        taken = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.rng.randrange(300 * 86_400))
        folder = f"{self.folder}/{taken:%Y/%m}"
        # Cameras count from one on: two people's pictures have the same name, one person's do not.
        stem = f"{folder}/IMG_{self.counted[user]:04}"
        name = f"group-{self.number}"
        if again:
            old = self.rng.choice(self.done)
            return [
                Planned(
                    user, f"{folder}/again-{self.number:04}{Path(one.path).suffix}", name, one.taken, one.make,
                    self.way(), duplicate=True,
                )
                for one in old
            ]  # fmt: skip
        contents = _contents(kind, taken, self.number, self.size)
        made = [Planned(user, stem + ext, name, taken, make, self.way()) for ext, make in contents]
        self.done.append(made)
        return made


def _contents(kind: str, taken: datetime, seed: int, size: int | None) -> list[tuple[str, Callable[[], bytes]]]:
    def half(index: int) -> Callable[[], bytes]:
        return lambda: samples.live_pair(taken, seed, size)[index]

    match kind:
        case "live":
            return [(".heic", half(0)), (".mov", half(1))]
        case "raw":
            return [(".dng", lambda: samples.dng(taken, seed)), (".jpg", lambda: samples.jpeg(taken, seed, size))]
        case "edited":
            return [(".jpg", lambda: samples.jpeg(taken, seed, size)), (".xmp", lambda: samples.xmp(seed))]
        case "video":
            return [(".mp4", lambda: samples.mp4(taken, seed, size))]
        case "screenshot":
            return [(".png", lambda: samples.png(taken, seed, size))]
        case "heic":
            return [(".heic", lambda: samples.heic(taken, seed, size))]
        case _:
            return [(".jpg", lambda: samples.jpeg(taken, seed, size))]


def plan(
    users: Sequence[str],
    count: int,
    *,
    seed: int = 0,
    duplicates: float = 0.1,
    live: float = 0.1,
    folder: str = "InstantUpload",
    size: int | None = None,
) -> list[list[Planned]]:
    """Plan ``count`` files or one group more, in groups, the same for the same seed.

    ``duplicates`` and ``live`` are shares of the groups. A duplicate repeats a whole earlier group under another name,
    so the bytes of a Live Photo's halves stay together; its own members count as duplicates too.
    """
    planner, groups, files = _Planner(users, folder, size, random.Random(seed)), [], 0
    while files < count:
        again = bool(planner.done) and planner.rng.random() < duplicates
        kinds = ["live", "raw", "edited", "video", "screenshot", "heic", "photo"]
        rest = 1 - live
        weights = [live, *(share * rest for share in (0.03, 0.03, 0.06, 0.05, 0.15, 0.68))]
        group = planner.group(planner.rng.choices(kinds, weights)[0], again=again)
        groups.append(group)
        files += len(group)
    return groups


def upload(data: Path, planned: Planned) -> Upload:
    """Do one planned upload and tell its truth."""
    content = planned.make()
    planned.way(data / planned.user, planned.path, content, planned.taken)
    return Upload(
        planned.user, planned.path, blake3(content).hexdigest(), planned.group, planned.duplicate, len(content)
    )


async def trickle(
    data: Path,
    users: Sequence[str],
    count: int,
    *,
    seed: int = 0,
    duplicates: float = 0.1,
    live: float = 0.1,
    folder: str = "InstantUpload",
    size: int | None = None,
    pause: float = 0.0,
    told: Callable[[Upload], None] | None = None,
) -> list[Upload]:
    """Make ``count`` uploads (or one group's more), all users at the same time, and give the truth.

    Each user's own files come one after another, ``pause`` seconds apart; the homes must be there. ``told`` hears of
    each upload once it is complete. Planned by ``seed``: names, bytes and ways are the same every time, only how the
    users' uploads interleave is not.
    """
    groups = plan(users, count, seed=seed, duplicates=duplicates, live=live, folder=folder, size=size)
    truth: dict[int, Upload] = {}
    order = {id(one): index for index, one in enumerate(one for group in groups for one in group)}

    async def one_user(user: str) -> None:
        for one in (one for group in groups for one in group if one.user == user):
            made = await anyio.to_thread.run_sync(upload, data, one)
            truth[order[id(one)]] = made
            if told is not None:
                told(made)
            if pause:
                await anyio.sleep(pause)

    async with anyio.create_task_group() as tasks:
        for user in users:
            tasks.start_soon(one_user, user)
    return [truth[index] for index in sorted(truth)]


def contents(root: Path) -> dict[str, int]:
    """Count the files below ``root`` by BLAKE3: what an archive holds, whatever the names."""
    counted: dict[str, int] = {}
    for folder, _, names in os.walk(root, onerror=_raise):
        for name in names:
            digest = blake3(Path(folder, name).read_bytes()).hexdigest()
            counted[digest] = counted.get(digest, 0) + 1
    return counted


def _raise(error: OSError) -> None:
    if error.errno != errno.ENOENT:
        raise error
