"""The program as a process over disks that each test brings along, and what must hold at the end of every trial."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from daemon.demo import samples
from tests import uploads
from tests.e2e.world import World, digest
from tests.torture.counts import COUNTS
from tests.torture.disks import BALLAST

if TYPE_CHECKING:
    from pathlib import Path

WHEN = datetime(2026, 11, 5, 10, 20, 30, tzinfo=UTC)
FOLDER = "InstantUpload"
SECRET = b"only its owner may read, write or delete this"


def photo(seed: int, size: int | None = None) -> bytes:
    """Give a photo that no other seed gives."""
    return samples.jpeg(WHEN, seed, size)


class House(World):
    """A world with the folder archive and without occ, over mounts that stand already; everything put in is noted.

    ``outside`` holds what is nobody's business: its bytes, times and access times must be the same at the end.
    """

    def __init__(self, folder: Path, *, after: str = "delete", users: tuple[str, ...] = ("alice", "bob")) -> None:
        super().__init__(folder, users)
        self.outside = folder / "outside"
        (self.outside / FOLDER / "deeper").mkdir(parents=True)
        for place in (self.outside, self.outside / FOLDER, self.outside / FOLDER / "deeper"):
            (place / "IMG_1.jpg").write_bytes(photo(77))
            (place / "secret.jpg").write_bytes(SECRET)
        self._canaries = sorted([self.outside, *self.outside.rglob("*")])
        for canary in self._canaries:
            # An access time older than the time of the last change moves at the first reading, with relatime too.
            os.utime(canary, ns=(0, canary.stat().st_mtime_ns))
        self._outside = self._look_outside()
        self.given: dict[str, bytes] = {}
        self.configure(
            nextcloud={"occ": {"via": "off"}, "album": {"folder": ""}},
            users={"existing": True, "after": after},
            archive={"via": "folder", "folder": {"path": str(self.originals)}},
        )

    def with_photoprism(self) -> None:
        """Relay to PhotoPrism instead of the folder."""
        self.prism.start()
        self.configure(archive={"via": "photoprism"})

    # -- what people do ------------------------------------------------------------------------------------------

    def home(self, user: str = "alice") -> Path:
        """Give a user's watched folder."""
        return self.data / user / "files" / FOLDER

    def put(self, name: str, seed: int, user: str = "alice", size: int | None = None) -> Path:
        """Upload a photo as a client does, and note that it must never be lost."""
        content = photo(seed, size)
        self.given[digest(content)] = content
        return uploads.put(self.data / user, f"{FOLDER}/{name}", content, WHEN)

    # -- what is seen --------------------------------------------------------------------------------------------

    def snapshot_of_page(self) -> dict[str, Any]:
        """Give what the page starts from."""
        return self.page("/api/v1/status")

    def page(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask the page's API; with a ``body`` it is told to do something."""
        status, found = self.ask(path, body)
        assert status < 300, found
        return found

    def ask(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> tuple[int, dict[str, Any]]:
        """Ask the page's API, and give the status of its answer too."""
        host, port = self.settings["ui"]["listen"].split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        try:
            connection.request("GET", path if body is None else "/api/v1/session")
            answer = connection.getresponse()
            found: dict[str, Any] = json.load(answer)
            if body is not None:
                headers = {
                    "X-CSRF-Token": found["csrf"],
                    "Cookie": (answer.getheader("Set-Cookie") or "").partition(";")[0],
                    "Content-Type": "application/json",
                    "Origin": f"http://{host}:{port}",
                }
                connection.request(method, path, json.dumps(body), headers)
                answer = connection.getresponse()
                found = json.load(answer)
            return answer.status, found
        finally:
            connection.close()

    def said(self, code: str) -> str:
        """Give the words in which the page says what is wrong, empty where it does not."""
        now = self.snapshot_of_page()
        return " ".join(one["message"] for one in (*now["issues"], *now["troubles"]) if one["code"] == code)

    def codes(self) -> set[str]:
        """Give the codes of all that the page says is wrong now: issues, and why photos wait or are held."""
        now = self.snapshot_of_page()
        return {one["code"] for one in (*now["issues"], *now["troubles"])} | {
            lamp["code"] for lamp in now["lamps"] if lamp.get("code")
        }

    def issues(self) -> set[str]:
        """Give the codes of the issues that are open: those that people are sent a message about."""
        return {one["code"] for one in self.snapshot_of_page()["issues"]}

    def tried(self) -> int:
        """Count the tries that failed, of batches and of photos, as the ledger has them."""
        batches = self.rows("SELECT COALESCE(SUM(attempts), 0) n FROM batches")
        photos = self.rows("SELECT COALESCE(SUM(attempts), 0) n FROM photos")
        return sum(int(row["n"]) for row in (*batches, *photos))

    def until_said(self, code: str, seconds: float = 20.0) -> None:
        """Wait until the page says so."""

        def said() -> bool:
            with contextlib.suppress(OSError):  # it is not served yet
                return code in self.codes()
            return False

        self.until(said, f"{code} said on the page", seconds)

    def in_place(self, user: str = "alice") -> dict[str, str]:
        """Give the BLAKE3 of each file in a user's watched folder."""
        return {
            str(path.relative_to(self.home(user))): digest(path.read_bytes())
            for path in self.home(user).rglob("*")
            if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 26
        }

    def archived(self) -> list[str]:
        """Give the BLAKE3 of each file in the archive, private names left out."""
        return sorted(
            digest(path.read_bytes())
            for path in self.originals.rglob("*")
            if path.is_file()
            and not any(part.startswith((".photon-relay", BALLAST)) for part in path.relative_to(self.originals).parts)
        )

    def until_relayed(self, seconds: float = 30.0) -> None:
        """Wait until everything that was put in is in the archive and gone from its folders, then look closely."""
        self.until(lambda: self.archived() == sorted(self.given), "all of it in the archive, once", seconds)
        self.until_done(seconds=seconds)
        self.nothing_lost()

    def nothing_lost(self) -> None:
        """Hold what holds at every instant at which nothing moves."""
        archived = self.archived()
        standing = {one for user in self.users for one in self.in_place(user).values()}
        missing = set(self.given) - set(archived) - standing
        COUNTS.lost += len(missing)
        assert not missing, f"lost: {missing}"
        twice = {one for one in archived if archived.count(one) > 1}
        COUNTS.twice += len(twice)
        assert not twice, f"in the archive twice: {twice}"
        assert self._look_outside() == self._outside, "something outside was touched"

    def _look_outside(self) -> dict[str, tuple[object, ...]]:
        """Give what stands outside, without reading any of it."""
        found: dict[str, tuple[object, ...]] = {}
        for path in self._canaries:
            status = path.lstat()
            found[str(path)] = (
                status.st_ino, status.st_size, status.st_mode, status.st_uid, status.st_nlink,
                status.st_mtime_ns, status.st_ctime_ns, status.st_atime_ns,
            )  # fmt: skip
        return found

    def well_spoken(self) -> None:
        """Hold that the program had a word for whatever happened: no fault of its own, no traceback."""
        text = self.text()
        assert "Traceback" not in text, text[text.index("Traceback") - 1500 :][:5000]
        assert "task.crashed" not in text, text[max(0, text.index("task.crashed") - 2000) :][:3000]
        assert "fault of the program" not in text
