"""Where the benchmark plays: a data directory, an archive, the program's configuration, the program itself."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import HTTPCookieProcessor, Request, build_opener

import yaml

from daemon.demo import samples
from tests import uploads

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "alice"
FOLDER = "InstantUpload"
PROGRAM = Path(sys.executable).with_name("photon-relay")


@dataclass(frozen=True, slots=True)
class Scene:
    """One data directory and one archive, empty at first; state and logs beside the data."""

    root: Path
    archive: Path

    @property
    def data(self) -> Path:
        """Nextcloud's data directory."""
        return self.root / "data"

    @property
    def source(self) -> Path:
        """The folder that uploads come to."""
        return self.data / USER / "files" / FOLDER

    @property
    def config(self) -> Path:
        """The program's configuration file."""
        return self.root / "photon-relay.yaml"

    def make(self, *, settle: str = "0s", more: dict[str, Any] | None = None) -> None:
        """Make the folders and the configuration; ``more`` are sections that stand in it besides or instead."""
        uploads.make_data_dir(self.data, [USER], samples_too=False)
        uploads.make_folders(self.source)
        uploads.make_folders(self.archive)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        settings: dict[str, Any] = {
            "nextcloud": {"data": str(self.data), "occ": {"via": "off"}},
            "users": {"include": {USER: {"folders": [FOLDER]}}, "new": "exclude", "existing": True, "after": "delete"},
            "archive": {"via": "folder", "folder": {"path": str(self.archive)}},
            "watch": {"settle": settle},
            "relay": {"min_free": "1MiB"},
            "ui": {"listen": f"127.0.0.1:{port}"},
            "state": str(self.root / "state"),
        }
        self.config.write_text(yaml.safe_dump(settings | (more or {})))

    def remove(self) -> None:
        """Take everything away."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.archive, ignore_errors=True)

    @contextlib.contextmanager
    def daemon(self, *, patience: float = 120) -> Iterator[tuple[int, float]]:
        """Run the program; give its process id and the seconds until it said that it is well."""
        with (self.root / "log").open("wb") as log:
            started = time.monotonic()
            process = subprocess.Popen(
                [PROGRAM, "--config", self.config, "run"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            try:
                # Asked before it runs, each question would be a process that takes the time from its start.
                while not (self._runs() and self._healthy()):
                    if process.poll() is not None or time.monotonic() - started > patience:
                        raise RuntimeError((self.root / "log").read_text(errors="replace")[-3000:])
                    time.sleep(0.1)
                yield process.pid, time.monotonic() - started
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def post(self, path: str) -> None:
        """Ask the running program for something, as its page does; ``path`` is below ``/api/v1/``."""
        base = f"http://{yaml.safe_load(self.config.read_text())['ui']['listen']}"
        browser = build_opener(HTTPCookieProcessor())
        with browser.open(f"{base}/api/v1/session", timeout=30) as session:
            token = json.load(session)["csrf"]
        headers = {"X-CSRF-Token": token, "Origin": base, "Content-Type": "application/json"}
        browser.open(Request(f"{base}/api/v1/{path}", b"{}", headers), timeout=30).close()

    def ledger(self, sql: str) -> Any:
        """Give the one value that a question to the ledger has for its answer."""
        with contextlib.closing(sqlite3.connect(self.root / "state/ledger.db", timeout=30)) as ledger:
            [[value]] = ledger.execute(sql).fetchall()
        return value

    def _runs(self) -> bool:
        return "running; state in" in (self.root / "log").read_text(errors="replace")

    def _healthy(self) -> bool:
        asked: list[str | Path] = [PROGRAM, "--config", self.config, "health"]
        return subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def make_photos(folder: Path, count: int, size: int) -> int:
    """Write ``count`` different photos of ``size`` bytes, one an hour; give their bytes in all."""
    uploads.make_folders(folder)
    for seed in range(count):
        # Years ago, all of them: a date to come is not believed, and exiftool is asked about each.
        taken = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=seed)
        path = folder / f"IMG_{seed:05}.jpg"
        path.write_bytes(samples.jpeg(taken, seed, size))
        uploads.touch(path, taken)
    return count * size


def photos_in(folder: Path) -> int:
    """Count the photos below a folder; a name that begins with a dot is not one yet."""
    return sum(name.endswith(".jpg") and not name.startswith(".") for _, _, names in os.walk(folder) for name in names)


def marks(folder: Path, size: int) -> Counter[bytes]:
    """Give the photos below a folder, made with ``size`` bytes, by what each has in its middle and no other has.

    Counted from the end, so that a photo is known again whatever its name, also when a program has written more
    metadata into it; one that is shorter than it was is not the photo any more and counts as another.
    """
    found: Counter[bytes] = Counter()
    for where, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".jpg") and not name.startswith("."):
                with Path(where, name).open("rb") as photo:
                    if photo.seek(0, os.SEEK_END) >= size:
                        photo.seek(-size // 2, os.SEEK_END)
                    found[photo.read(64)] += 1
    return found


@contextlib.contextmanager
def second_file_system(near: Path, size: int) -> Iterator[tuple[Path, str]]:
    """Give a folder on another file system and what it is: a loop mount where one may, else shared memory."""
    image, mount = near / "second.img", near / "second"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(size)
    mkfs = shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    with contextlib.ExitStack() as stack:
        made = mkfs is not None and _quietly(mkfs, "-q", "-F", image) and _quietly("mount", "-o", "loop", image, mount)
        if made:
            stack.callback(_quietly, "umount", "-l", mount)
            yield mount, "ext4 on a loop device"
            return
        memory = Path("/dev/shm") / f"photon-relay-bench-{os.getpid()}"
        memory.mkdir()
        stack.callback(shutil.rmtree, memory, ignore_errors=True)
        yield memory, "tmpfs (no right to mount here)"


def _quietly(*command: str | Path) -> bool:
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
