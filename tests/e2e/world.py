"""A whole world for one test: a data directory, both stand-ins, a configuration file, and the program as a process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml
from blake3 import blake3

from daemon.ledger import way
from tests import uploads
from tests.standins.occ import StandInOcc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 3
"""How much longer than on an idle machine a test waits before it gives up."""
TOKEN = "wORLDs-tOkEnX-aBcDeF-gHiJkL"
ENDED = {"done", "refused", "restored"}
MOVING = {"found", "settled", "examined", "placed", "imported", "archived", "released", "waiting"}


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Prism:
    """The PhotoPrism stand-in as a process, which can be killed and started again over the same rows."""

    def __init__(self, folder: Path, imports: Path, originals: Path) -> None:
        self.imports, self.originals = imports, originals
        self.port = free_port()
        self._db = folder / "photoprism.db"
        self._log = folder / "photoprism.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it can be reached."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, token: str = TOKEN) -> None:
        """Start it and wait until it answers."""
        assert self._process is None
        words = [sys.executable, "-m", "tests.standins.photoprism", "--import", str(self.imports)]
        words += ["--originals", str(self.originals), "--token", token, "--port", str(self.port), "--db", str(self._db)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE * 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self.state()
                return
            time.sleep(0.05)
        raise AssertionError(f"the stand-in did not start:\n{self._log.read_text()}")

    def kill(self) -> None:
        """Kill it, whatever it is doing: from now on connections are refused."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def state(self) -> dict[str, Any]:
        """Give what it knows and what it was asked."""
        with urllib.request.urlopen(f"{self.url}/_control", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def control(self, **deeds: Any) -> None:
        """Do something behind its back, such as ``archive=[sha1]`` or ``reset=True``."""
        body = json.dumps(deeds).encode()
        request = urllib.request.Request(f"{self.url}/_control", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer) == {"ok": True}

    def traps(self, **traps: Any) -> None:
        """Set switches."""
        self.control(traps=traps)

    def imported(self) -> list[str]:
        """Give the folders it was asked to import, in their order."""
        return [call["path"] for call in self.state()["imports"]]


class World:
    """One Nextcloud, one PhotoPrism, one Photon Relay."""

    def __init__(self, folder: Path, users: Sequence[str] = ("alice", "bob"), *, samples_too: bool = False) -> None:
        self.folder = folder
        self.data, self.state = folder / "data", folder / "state"
        self.imports, self.originals = folder / "import", folder / "originals"
        self.config, self.log = folder / "photon-relay.yaml", folder / "daemon.log"
        for made in (self.imports, self.originals):
            made.mkdir(exist_ok=True)
        self.users = list(users)
        uploads.make_data_dir(self.data, [*users, "admin"], samples_too=samples_too)
        self.occ = StandInOcc(self.data, folder / "occ.json", {self.originals: "/Album"})
        self.prism = Prism(folder, self.imports, self.originals)
        self.process: subprocess.Popen[bytes] | None = None
        self.settings: dict[str, Any] = {
            "nextcloud": {
                "data": str(self.data),
                "occ": {"via": "command", "command": self.occ.command},
                "album": {"folder": "/Album", "seen_by": "admin"},
            },
            "users": {"include": {user: {} for user in users}, "exclude": ["admin"], "after": "delete"},
            "photoprism": {
                "url": self.prism.url,
                "token": TOKEN,
                "import": str(self.imports),
                "originals": str(self.originals),
            },
            "watch": {"settle": "300ms", "partner": "2s"},
            "relay": {"min_free": "1MiB"},
            "ui": {"listen": f"127.0.0.1:{free_port()}"},
            "state": str(self.state),
        }
        self.configure()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.prism.kill()

    # -- the configuration --------------------------------------------------------------------------------------

    def configure(self, **changes: Mapping[str, Any] | str) -> None:
        """Change sections of the configuration and write the file, by renaming as editors do."""
        for section, values in changes.items():
            if isinstance(values, str):
                self.settings[section] = values
            else:
                self.settings.setdefault(section, {}).update(values)
        fresh = self.config.with_suffix(".new")
        fresh.write_text(yaml.safe_dump(self.settings, sort_keys=False))
        fresh.replace(self.config)

    # -- the program --------------------------------------------------------------------------------------------

    @staticmethod
    def _words(*words: str, hasty: bool) -> list[str]:
        return [sys.executable, "-m", "tests.e2e.hasty" if hasty else "daemon", *words]

    @staticmethod
    def _environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PHOTON_RELAY", "OCC_"))}
        return {**kept, "PYTHONWARNINGS": "error", "PYTHONUNBUFFERED": "1", **(extra or {})}

    def start(self, *, hasty: bool = True, ready: bool = True, environment: Mapping[str, str] | None = None) -> None:
        """Start the daemon; with ``ready`` wait until it watches."""
        assert self.process is None
        words = self._words("run", "--config", str(self.config), hasty=hasty)
        with self.log.open("ab") as log:
            before = log.tell()
            self.process = subprocess.Popen(
                words, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self._environment(environment)
            )
        if ready:
            self.until(lambda: "sweep (start)" in self.text(before), "the first sweep", 30)

    def stop(self, within: float = 10.0) -> int:
        """Ask the daemon to stop and give its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(within)
        self.process = None
        return code

    def kill(self) -> None:
        """Kill the daemon."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def run(
        self, *words: str, hasty: bool = True, within: float = 60.0, config: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            self._words(*words, "--config", str(config or self.config), hasty=hasty),
            cwd=ROOT,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE * within,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    # -- what is seen -------------------------------------------------------------------------------------------

    def text(self, start: int = 0) -> str:
        """Give what the daemon has logged."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(start)
            return log.read().decode("utf-8", "replace")

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Ask the ledger, without writing to it."""
        if not (self.state / "ledger.db").exists():
            return []
        for _ in range(50):
            try:
                with contextlib.closing(sqlite3.connect(f"file:{self.state}/ledger.db?mode=ro", uri=True)) as db:
                    db.row_factory = sqlite3.Row
                    return db.execute(query, values).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return []
                time.sleep(0.1)
        raise AssertionError("the ledger cannot be read")

    def photos(self, user: str = "%", path: str = "%") -> list[sqlite3.Row]:
        """Give the photos in the ledger whose user and path match these patterns, oldest first."""
        return self.rows("SELECT * FROM photos WHERE user LIKE ? AND CAST(path AS TEXT) LIKE ? ORDER BY id", user, path)

    def photo(self, name: str) -> sqlite3.Row:
        """Give the newest photo in the ledger whose path ends so."""
        return self.photos(path=f"%{name}")[-1]

    def states(self) -> dict[str, str]:
        """Give each photo's state by ``user:path``; a path that came more than once counts by its newest."""
        return {f"{row['user']}:{os.fsdecode(row['path'])}": row["state"] for row in self.photos()}

    def history(self, photo: int) -> list[str]:
        """Give the states that a photo went through."""
        return [
            line["state"]
            for row in self.rows("SELECT found_at, way FROM photos WHERE id = ?", photo)
            for line in way.lines(row["found_at"], row["way"])
        ]

    def status(self) -> dict[str, Any]:
        """Give what ``status --json`` says."""
        done = self.run("status", "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def until(self, condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
        """Wait until something holds, or fail with what is known by then."""
        deadline = time.monotonic() + PATIENCE * seconds
        while time.monotonic() < deadline:
            if condition():
                return
            if self.process is not None and self.process.poll() is not None:
                break
            time.sleep(0.1)
        states = [f"{key}: {state}" for key, state in self.states().items() if state != "done"][:40]
        troubles = [dict(row) for row in self.rows("SELECT state, code, message FROM photos WHERE code <> '' LIMIT 9")]
        raise AssertionError(
            f"{seconds} s passed without {what}\n{len(self.photos())} photos, not done:\n" + "\n".join(states)
            + f"\n{troubles}\n{self.text()[-6000:]}"
        )  # fmt: skip

    def until_done(self, count: int | None = None, seconds: float = 45.0) -> None:
        """Wait until ``count`` photos (all there are) have ended or are held, and no folder is to be scanned."""

        def quiet() -> bool:
            photos = self.photos()
            if len(photos) < (count or 1) or any(row["state"] in MOVING for row in photos):
                return False
            return not self.rows("SELECT 1 FROM jobs")

        self.until(quiet, f"{count or 'all'} photos done", seconds)

    def files(self, *folders: str) -> set[str]:
        """Give the files below a user's folder ``alice/files/x`` as the user sees them, without the folder itself."""
        return {
            str(path.relative_to(self.data / folder))
            for folder in folders
            for path in (self.data / folder).rglob("*")
            if path.is_file()
        }

    def in_originals(self) -> dict[str, int]:
        """Count what the archive holds, by BLAKE3."""
        return uploads.contents(self.originals)

    def left_in_import(self) -> list[str]:
        """Give what stands in the import folder."""
        return sorted(str(path.relative_to(self.imports)) for path in self.imports.rglob("*"))

    def private_names(self) -> list[str]:
        """Give every hidden name of ours anywhere."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob(".photon-relay*"))

    def snapshot(self, *roots: Path) -> dict[str, tuple[int, int, int, int]]:
        """Give what stands below some folders with inode, size, mtime and ctime: unchanged means not touched.

        Folders without their ctime: the watch proves itself alive by setting their access time.
        """
        found = {}
        for root in roots or (self.data, self.imports, self.originals):
            for path in [root, *root.rglob("*")]:
                status = path.lstat()
                changed = 0 if stat.S_ISDIR(status.st_mode) else status.st_ctime_ns
                found[str(path)] = (status.st_ino, status.st_size, status.st_mtime_ns, changed)
        return found

    def scanned(self) -> list[tuple[str, ...]]:
        """Give the arguments of each plain folder scan that occ was asked for."""
        return [tuple(argv) for argv in self.occ.calls("files:scan")]

    def scanned_paths(self) -> set[str]:
        """Give the paths of all scans without metadata."""
        return {path for path, _ in self.scans()}

    def scans(self) -> set[tuple[str, bool]]:
        """Give the paths of all scans without metadata, each with whether all below was scanned too."""
        return {
            (word.partition("=")[2], "--shallow" not in argv)
            for argv in self.occ.calls("files:scan")
            if not any("metadata" in word for word in argv) and "--help" not in argv
            for word in argv
            if word.startswith("--path=")
        }

    def in_order(self) -> None:
        """Hold what holds at every end: no fault of the program, no secret told, nothing of ours lying about."""
        text = self.text()
        assert "Traceback" not in text, text[text.index("Traceback") - 500 :][:4000]
        assert "task.crashed" not in text
        assert TOKEN not in text
        assert self.left_in_import() == []
        assert self.private_names() == []


def digest(content: bytes) -> str:
    """Give a content's BLAKE3 in hex."""
    return blake3(content).hexdigest()


def expected(contents: Iterable[bytes]) -> dict[str, int]:
    """Give what an archive holds that has each of these contents exactly once."""
    return dict.fromkeys(map(digest, contents), 1)
