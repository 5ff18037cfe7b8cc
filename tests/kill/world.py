"""A small world for a program that is going to be killed: two users, an archive, and how all of it stands."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import yaml

from daemon.demo import samples
from daemon.files.names import hidden_name
from tests import uploads
from tests.standins.occ import StandInOcc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kill.zygote import OccServer
    from tests.standins.photoprism import PhotoPrismStandIn

ALICE, BOB = "alice", "bob o'hara"
TAKEN = datetime(2026, 5, 17, 14, 3, 20, tzinfo=UTC)
LATER = datetime(2026, 5, 18, 9, 0, 0, tzinfo=UTC)
HIDDEN = ".photon-relay-"
FOLDER = "InstantUpload"
TAKEN_NAME = "2026/05/20260517_140320_IMG_0001.jpg"
"""Stands in the folder archive before, with other bytes than the photo that wants this name."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """How the program is set up: where to, and what becomes of each user's originals."""

    via: str
    alice: str
    bob: str
    namesakes: bool = False
    """Whether two of one name go into one bin: that takes a second more in every run."""
    stocked: bool = False
    """Whether the archive holds some of the photos already, and others that look like them, put there by hand."""
    existing: bool = True
    """Whether what stands in the homes at first is relayed; where not, a lost ledger has left a photo hidden there."""

    def __str__(self) -> str:
        return f"{self.via}-{self.alice}-{self.bob}"

    @property
    def occ(self) -> bool:
        """Tell whether Nextcloud is asked for anything."""
        return self.via == "photoprism" or bool({"trash", "tag"} & {self.alice, self.bob})


@cache
def _files() -> tuple[tuple[str, str, bytes], ...]:
    """Give what the users have uploaded: user, path below the watched folder, bytes."""
    still, moving = samples.live_pair(TAKEN, 7)
    shared = samples.jpeg(LATER, 3)
    return (
        (ALICE, "IMG_0001.jpg", samples.jpeg(TAKEN, 1)),
        (ALICE, "IMG_0002.HEIC", still),
        (ALICE, "IMG_0002.MOV", moving),
        (ALICE, "IMG_0002.xmp", samples.xmp(7)),
        (ALICE, "Trip/IMG_0001.jpg", samples.jpeg(TAKEN, 2)),
        (ALICE, "from bob.jpg", shared),
        (BOB, "IMG_0001.jpg", samples.jpeg(TAKEN, 4)),
        (BOB, "IMG_0009.jpg", shared),
        (BOB, "Übersee's $(film).mp4", samples.mp4(LATER, 5)),
    )


@cache
def _stock() -> tuple[tuple[str, bytes], ...]:
    """Give what stands in a stocked archive: path, bytes."""
    uploaded = {f"{user}/{path}": content for user, path, content in _files()}
    photo, film = uploaded[f"{ALICE}/IMG_0001.jpg"], uploaded[f"{BOB}/Übersee's $(film).mp4"]
    return (
        ("1999/scan 7.jpg", photo),
        ("film/copy.mp4", film),
        # Of a size with them: other at the beginning, which is read, and at the end, for which the whole is.
        *((f"alike/{number}.jpg", bytes((number,)) + photo[1:]) for number in range(6)),
        *((f"alike/ends/{number}.mp4", film[:-1] + bytes((number,))) for number in range(4)),
        ("other/sizes.jpg", samples.jpeg(LATER, 102, 50_000)),
    )


def digest(data: bytes) -> str:
    """Give a short hash of some bytes."""
    return hashlib.blake2b(data, digest_size=6).hexdigest()


@dataclass
class World:
    """One data directory, one archive, one state folder."""

    root: Path
    configuration: Configuration
    occ_server: OccServer
    url: str = ""
    desk: Path = field(default=None)  # type: ignore[assignment]
    """Where settings, output and Nextcloud's database lie: beside the disk that is disturbed; by default ``root``."""
    state: Path = field(default=None)  # type: ignore[assignment]
    """The program's state folder."""
    shelf: Path = field(default=None)  # type: ignore[assignment]
    """Where the archive and PhotoPrism's import lie: another disk, perhaps; by default ``root``."""
    prism: PhotoPrismStandIn | None = None
    """PhotoPrism, where it is the archive."""
    all: set[str] = field(default_factory=set)
    """Every content that there is and that must never be lost."""

    def __post_init__(self) -> None:
        self.desk = self.desk or self.root
        self.state = self.state or self.root / "state"
        self.shelf = self.shelf or self.root

    @property
    def data(self) -> Path:
        """Nextcloud's data directory."""
        return self.root / "data"

    @property
    def archive(self) -> Path:
        """The archive's own folder; PhotoPrism's originals."""
        return self.shelf / "archive"

    @property
    def imports(self) -> Path:
        """PhotoPrism's import folder."""
        return self.shelf / "import"

    @property
    def occ(self) -> StandInOcc:
        """Nextcloud's side of it."""
        return StandInOcc(self.data, self.desk / "occ.json", {self.archive: "/Album"})

    def make(self) -> None:
        """Make it anew."""
        for folder in {self.root, self.desk, self.state, self.shelf}:
            shutil.rmtree(folder, ignore_errors=True)
        self.desk.mkdir(parents=True)
        self.shelf.mkdir(parents=True, exist_ok=True)
        uploads.make_data_dir(self.data, [ALICE, BOB, "admin"], samples_too=False)
        for folder in (self.archive, self.imports):
            uploads.make_folders(folder)
        for user, path, content in _files():
            if self.configuration.alice == "trash" and not self.configuration.namesakes:
                path = path.replace("Trip/IMG_0001", "Trip/IMG_0003")
            self._put(self.data / user / "files" / FOLDER / path, content)
        if not self.configuration.existing:
            hidden = self.data / ALICE / "files" / FOLDER / "Trip" / hidden_name("left.jpg", 16 * "x")
            hidden.write_bytes(samples.jpeg(LATER, 103))
        # What others have put where our files want to go: it must stand there unharmed for ever.
        self._put(self.data / ALICE / "files/Archived" / FOLDER / "IMG_0001.jpg", samples.jpeg(LATER, 100))
        if self.configuration.via == "folder":
            self._put(self.archive / TAKEN_NAME, samples.jpeg(LATER, 101))
        for path, content in _stock() if self.configuration.stocked else ():
            self._put(self.archive / path, content)
        for settle in ("0s", "300ms"):
            settings = self._settings() | {"watch": {"settle": settle, "partner": "1s"}}
            (self.desk / f"settle-{settle}.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True))
        if self.configuration.occ:
            self._scan()

    def _put(self, path: Path, content: bytes) -> None:
        uploads.make_folders(path.parent)
        path.write_bytes(content)
        uploads.touch(path, TAKEN)
        self.all.add(digest(content))

    def _scan(self) -> None:
        """Let Nextcloud know the uploads, as it does when they come by itself."""
        command = self.occ_server.command(self.data, self.occ.state, self.archive)
        self.occ_server.ask({"argv": [*command[1:], "files:scan", "--all"]})

    def _settings(self) -> dict[str, Any]:
        wanted = self.configuration
        occ: dict[str, Any] = {"via": "off"}
        if wanted.occ:
            occ = {"via": "command", "command": self.occ_server.command(self.data, self.occ.state, self.archive)}
        return {
            "nextcloud": {
                "data": str(self.data),
                "occ": occ,
                "album": {"folder": "/Album" if wanted.via == "photoprism" else "", "seen_by": "admin"},
            },
            "users": {
                "include": {ALICE: {"after": wanted.alice}, BOB: {"after": wanted.bob}},
                "new": "exclude",
                "existing": wanted.existing,
                "after": "keep",
                "folders": [FOLDER],
            },
            "archive": {"via": wanted.via, "folder": {"path": str(self.archive)}},
            "photoprism": {
                "url": self.url or "http://127.0.0.1:9",
                "token": "standin-standin-standin-xyz",
                "import": str(self.imports),
                "originals": str(self.archive),
            },
            "relay": {"min_free": "1MiB"},
            "ui": {"listen": "127.0.0.1:0"},
            "state": str(self.state),
        }

    # -- how it stands ------------------------------------------------------------------------------------------

    def standing(self) -> Iterator[tuple[str, str]]:
        """Give every place where a photo may stand, with its content: users first, since things move away from them."""
        for user in (ALICE, BOB):
            for below in ("files", "files_trashbin/files"):
                yield from _contents(self.data / user / below, f"{user}/{below}/")
        yield from _contents(self.archive, "archive/")

    def missing_now(self) -> set[str]:
        """Give the contents that stand nowhere at this instant, complete and under a name that counts."""
        # A private name in a user's folder counts only where the ledger knows it, in the archive never.
        known = {os.fsdecode(row["hidden"]) for row in self.rows("SELECT hidden FROM photos WHERE hidden <> x''")}
        found = {
            content
            for path, content in self.standing()
            if not (name := path.rpartition("/")[2]).startswith(HIDDEN)
            or (name in known and not path.startswith("archive/"))
        }
        return self.all - found

    def rows(self, sql: str) -> list[sqlite3.Row]:
        ledger = self.state / "ledger.db"
        if not ledger.exists():
            return []
        with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            try:
                return connection.execute(sql).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):  # killed before the tables were made
                    return []
                raise

    def end(self) -> dict[str, Any]:
        """Tell how all of it stands, as far as it must be the same whatever happened on the way."""
        places = sorted(f"{_nameless(path)} = {content}" for path, content in self.standing())
        photos = self.rows("SELECT * FROM photos ORDER BY user, path, id")
        # Which of two equal photos is called the duplicate is a matter of who was first; that one is, is not.
        duplicates = Counter(row["blake3"] for row in photos if row["duplicate_of"] is not None)
        known = {
            user: sorted(
                _nameless(path) for path in self.occ.known(user) if self.configuration.occ and HIDDEN not in path
            )
            for user in (ALICE, BOB, "admin")
        }
        return {
            "places": places,
            "times": self._times(),
            "private names": sorted(
                path
                for top in {self.root, self.shelf}
                for _, folders, names in os.walk(top)
                for path in (*folders, *names)
                if HIDDEN in path
            ),
            "import": sorted(path.name for path in self.imports.iterdir()),
            "photos": [
                (row["user"], os.fsdecode(row["path"]), row["state"], duplicates[row["blake3"]], row["after"],
                 os.fsdecode(row["archived_as"]), os.fsdecode(row["hidden"]), row["code"])
                for row in photos
            ],
            "contents": sorted(
                (row["blake3"].hex(), os.fsdecode(row["path"])) for row in self.rows("SELECT * FROM contents")
            ),
            "listed": sorted(
                (os.fsdecode(row["path"]), row["size"], (row["head"] or b"").hex())
                for row in self.rows("SELECT * FROM stock")
            ),
            "stood there": sorted(
                (row["user"], os.fsdecode(row["path"])) for row in self.rows("SELECT * FROM baseline")
            ),
            "unfinished batches": [dict(row) for row in self.rows("SELECT * FROM batches WHERE state <> 'ended'")],
            "jobs": [dict(row) for row in self.rows("SELECT * FROM jobs")],
            "job photos": [tuple(row) for row in self.rows("SELECT * FROM job_photos")],
            "audit": dict(sorted(Counter(
                f"{row['user']}/{os.fsdecode(row['path'])}: {row['deed'].partition(' ')[0]}"
                for row in self.rows("SELECT deed, p.user, p.path FROM audit JOIN photos p ON p.id = photo_id")
            ).items())),
            "known to Nextcloud": known,
            "tags": {
                user: {path: sorted(tags) for path, tags in self.occ.tagged(user).items()}
                for user in (ALICE, BOB) if self.configuration.occ
            },
        }  # fmt: skip

    def _times(self) -> dict[str, int]:
        """Give the times of the archived files: those of the originals."""
        return {
            path.relative_to(self.archive).as_posix(): int(path.stat().st_mtime)
            for path in sorted(self.archive.rglob("*"))
            if path.is_file()
        }


def _contents(root: Path, prefix: str) -> Iterator[tuple[str, str]]:
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            if name == ".nomedia":
                continue
            try:
                with open(os.path.join(folder, name), "rb") as file:  # noqa: PTH118, PTH123
                    content = file.read()
            except FileNotFoundError:
                continue
            below = os.path.relpath(folder, root)
            yield prefix + (name if below == "." else f"{below}/{name}"), digest(content)


def _nameless(path: str) -> str:
    """Take the second of its deletion off the name of a file in the bin."""
    return re.sub(r"\.d\d+$", "", path) if "/files_trashbin/" in path else path


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Say what of one world's end is not as in another's."""
    said = []
    for key, wanted in expected.items():
        there = found[key]
        if wanted == there:
            continue
        if isinstance(wanted, dict) and isinstance(there, dict):
            said += [
                f"{key}: {name}: expected {wanted.get(name)}, found {there.get(name)}"
                for name in sorted({*wanted, *there})
                if wanted.get(name) != there.get(name)
            ]
        elif isinstance(wanted, list) and isinstance(there, list):
            said += [f"{key}: expected {one}" for one in wanted if one not in there]
            said += [f"{key}: found {one}" for one in there if one not in wanted]
            said += [f"{key}: twice: {one}" for one, count in Counter(map(str, there)).items() if count > 1]
        else:
            said.append(f"{key}: expected {wanted}, found {there}")
    return said
