"""The playground's ground: folders, configuration, and the uploads that will come."""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from blake3 import blake3

from daemon.demo import client, occ, samples
from daemon.errors import NeedsPerson

if TYPE_CHECKING:
    from collections.abc import Iterator

USERS = ("alice", "bob")
FOLDER = "InstantUpload"
_MARK = "# A playground of Photon Relay; `photon-relay demo` made it and may fill it again.\n"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Files that one person uploads together: names below their ``files/``, and contents."""

    user: str
    what: str
    """For people: what this shows."""
    files: dict[str, bytes]
    taken: datetime


@dataclass(slots=True)
class Playground:
    """A data directory with two users, an archive folder, a stand-in ``occ``, and the configuration for them."""

    root: Path
    sent: dict[str, str] = field(default_factory=dict)
    """BLAKE3 of every file uploaded so far, and its name."""

    @property
    def data(self) -> Path:
        """Nextcloud's data directory."""
        return self.root / "nextcloud-data"

    @property
    def archive(self) -> Path:
        """The archive, a plain folder."""
        return self.root / "archive"

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.root / "photon-relay.yaml"

    def make(self, port: int) -> None:
        """Make what is not there yet.

        Raises:
            NeedsPerson: ``demo.not_empty`` for a folder that holds anything else than a playground.

        """
        if self.root.exists() and any(self.root.iterdir()) and not self._is_ours():
            raise NeedsPerson(
                "demo.not_empty",
                f"{self.root} is not empty and no playground; nothing is done there.",
                hint="Give --dir a folder that is empty or not there yet.",
            )
        for user in USERS:
            for folder in ("files", "files_trashbin/files", "files_versions", "uploads", "cache"):
                client.make_folders(self.data / user / folder)
        client.make_folders(self.archive)
        (self.data / ".ncdata").touch()
        self.config.write_text(_MARK + yaml.safe_dump(self.settings(port), sort_keys=False, allow_unicode=True))

    def _is_ours(self) -> bool:
        try:
            return self.config.read_text().startswith(_MARK)
        except OSError:
            return False

    def settings(self, port: int) -> dict[str, Any]:
        """Give the configuration: everything real, only smaller and faster than at home."""
        return {
            "nextcloud": {
                "data": str(self.data),
                "occ": {"via": "command", "command": [sys.executable, "-I", "-S", occ.__file__, str(self.root)]},
                "album": {"folder": f"/{occ.ALBUM}", "seen_by": USERS[0]},
            },
            "users": {"include": {user: {} for user in USERS}, "folders": [FOLDER], "existing": True, "after": "trash"},
            "archive": {"via": "folder", "folder": {"path": str(self.archive)}},
            "watch": {"settle": "1s", "partner": "5s"},
            "relay": {"min_free": "16MiB"},
            "ui": {"listen": f"127.0.0.1:{port}"},
            "state": str(self.root / "state"),
            "log": {"level": "info"},
        }

    def upload(self, delivery: Delivery) -> None:
        """Upload as a phone does, one file after another; blocking."""
        for name, content in delivery.files.items():
            client.put(self.data / delivery.user, name, content, delivery.taken)
            self.sent[blake3(content).hexdigest()] = f"{delivery.user}: {name}"

    def left(self) -> list[str]:
        """List the files that still stand in the watched folders."""
        return [
            f"{user}: {path.relative_to(self.data / user / 'files')}"
            for user in USERS
            for path in sorted((self.data / user / "files" / FOLDER).rglob("*"))
            if path.is_file()
        ]

    def archived(self) -> dict[str, int]:
        """Count the archive's files by their BLAKE3."""
        counted: dict[str, int] = {}
        for path in self.archive.rglob("*"):
            if path.is_file():
                digest = blake3(path.read_bytes()).hexdigest()
                counted[digest] = counted.get(digest, 0) + 1
        return counted

    def unseen(self) -> list[str]:
        """List the archive's files that Nextcloud's file cache or Memories lacks, or that Photos has no date for."""
        server = occ.Server(str(self.root))
        with server.opened():
            known = server.cache
        names = sorted(str(path.relative_to(self.archive)) for path in self.archive.rglob("*") if path.is_file())
        shown = {"indexed": True, "metadata": True}
        return [name for name in names if not shown.items() <= known.get(f"/{occ.ALBUM}/{name}", {}).items()]

    def faults(self) -> list[str]:
        """Say what is wrong once all has been relayed: a content that the archive lacks or has twice, an original left.

        A photo that Nextcloud or Memories does not know is wrong, too.
        """
        archived = self.archived()
        faults = [f"not in the archive: {name}" for digest, name in self.sent.items() if digest not in archived]
        faults += [f"more than once in the archive: {self.sent[one]}" for one in self.sent if archived.get(one, 0) > 1]
        faults += [f"not in the galleries: {name}" for name in self.unseen()]
        return faults + [f"still with its owner: {name}" for name in self.left()]


def fixed() -> list[Delivery]:
    """Give the deliveries of ``--once``: every kind, a Live Photo, a RAW, a duplicate, a name used twice."""
    start = datetime(2026, 5, 17, 14, 3, 20, tzinfo=UTC)
    days = [start + timedelta(days=day, minutes=7 * day) for day in range(8)]
    lake = samples.jpeg(days[0], 1)
    still, moving = samples.live_pair(days[2], 3)
    raw = {"DSC_0004.dng": samples.dng(days[6], 6), "DSC_0004.jpg": samples.jpeg(days[6], 7)}
    planned: list[tuple[str, str, datetime, dict[str, bytes]]] = [
        ("alice", "a photo", days[0], {"2026/05/IMG_0001.jpg": lake}),
        ("bob", "the same name, another photo", days[1], {"IMG_0001.jpg": samples.jpeg(days[1], 2)}),
        ("alice", "a Live Photo", days[2], {"2026/05/IMG_0002.heic": still, "2026/05/IMG_0002.mov": moving}),
        ("bob", "a video", days[3], {"VID_0003.mp4": samples.mp4(days[3], 4)}),
        ("bob", "alice's photo again: a duplicate", days[0], {"from alice.jpg": lake}),
        ("alice", "a screenshot", days[5], {"Screenshots/Screen Shot.png": samples.png(days[5], 5)}),
        ("bob", "a RAW with its JPEG", days[6], raw),
        ("alice", "an iPhone's HEIC", days[7], {"2026/05/IMG_0005.heic": samples.heic(days[7], 8)}),
    ]
    return [
        Delivery(user, what, {f"{FOLDER}/{name}": content for name, content in files.items()}, taken)
        for user, what, taken, files in planned
    ]


def endless(first: int) -> Iterator[Delivery]:
    """Give deliveries for ever, numbered from ``first``, taken just now: mostly photos, now and then something else."""
    last: Delivery | None = None
    for number in itertools.count(first):
        user, taken = USERS[number % 2], datetime.now(UTC).replace(microsecond=0)
        stem = f"{FOLDER}/{taken:%Y/%m}/IMG_{number:04}"
        match number % 10:
            case 3:
                still, moving = samples.live_pair(taken, number)
                made = Delivery(user, "a Live Photo", {f"{stem}.heic": still, f"{stem}.mov": moving}, taken)
            case 5:
                made = Delivery(user, "a video", {f"{stem}.mp4": samples.mp4(taken, number)}, taken)
            case 7 if last is not None:
                content = next(iter(last.files.values()))
                made = Delivery(user, "a duplicate", {f"{stem}{Path(next(iter(last.files))).suffix}": content}, taken)
            case 8:
                made = Delivery(user, "a HEIC", {f"{stem}.heic": samples.heic(taken, number)}, taken)
            case 9:
                made = Delivery(user, "a screenshot", {f"{stem}.png": samples.png(taken, number)}, taken)
            case _:
                made = Delivery(user, "a photo", {f"{stem}.jpg": samples.jpeg(taken, number, 400_000)}, taken)
        yield made
        last = made
