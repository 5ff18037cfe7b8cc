"""The settings file as it was: the last twenty versions, each with when it came and who made it."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from daemon.errors import NeedsPerson
from daemon.settings.storing import etag_of, put_private, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEPT = 20
BY_HAND = "by hand"
_NAME = re.compile(r"([0-9]{1,12})\.json")
_BEFORE, _AFTER = "written-over.yaml", "being-written.yaml"


@dataclass(frozen=True)
class Version:
    """One version of the file. ``at`` is wall time in seconds, ``who`` who saved it."""

    id: int
    at: float
    who: str
    etag: str
    size: int


class Versions:
    """Keeps versions in a folder that only the daemon may read: they hold secrets. All of it blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[Version]:
        """Give all versions, newest first; what cannot be read is left out."""
        names: list[str] = []
        with suppress(OSError):
            names = [file.name for file in self._folder.iterdir() if _NAME.fullmatch(file.name)]
        found = [version for name in names if (version := self._read(name)) is not None]
        return sorted(found, key=lambda version: version.id, reverse=True)

    def _read(self, name: str) -> Version | None:
        try:
            values: dict[str, Any] = json.loads((self._folder / name).read_text(encoding="utf-8"))
            version = Version(
                int(values["id"]),
                float(values["at"]),
                str(values["who"]),
                str(values["etag"]),
                int(values["size"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return version if f"{version.id}.json" == name else None

    def note(self, content: bytes, who: str, at: float) -> Version:
        """Keep this content as the newest version, unless it is that already; the oldest beyond twenty go.

        On the disk when this returns. Raises `NeedsPerson` ``config.no_versions`` where it cannot be kept.
        """
        try:
            return self._note(content, who, at)
        except OSError as error:
            raise _not_kept(error) from None

    def _note(self, content: bytes, who: str, at: float) -> Version:
        found = self.all()
        etag = etag_of(content)
        if found and found[0].etag == etag:
            return found[0]
        self._made()
        version = Version(found[0].id + 1 if found else 1, at, who, etag, len(content))
        # The description comes last: a version without one is none.
        put_private(self._folder / f"{version.id}.yaml", content)
        # Power cut here: a text without a description, which the next version takes the place of.
        put_private(self._folder / f"{version.id}.json", json.dumps(asdict(version)).encode())
        for old in [version, *found][KEPT:]:
            for name in (f"{old.id}.json", f"{old.id}.yaml"):
                with suppress(OSError):
                    # Power cut here: more than twenty are kept until the next one comes.
                    (self._folder / name).unlink()
        return version

    def _made(self) -> None:
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Power cut here: no versions yet. From here on the folder's own name lasts.
            sync_folder(self._folder.parent)

    @contextmanager
    def written_over(self, before: bytes, after: bytes) -> Iterator[None]:
        """Keep both texts while one is written over the other in place; `half_written` gives them when that was cut.

        Raises `NeedsPerson` ``config.no_versions`` where they cannot be kept.
        """
        try:
            self._made()
            put_private(self._folder / _BEFORE, before)
            # Power cut here: the file stands as it was, whatever is kept of an earlier time.
            put_private(self._folder / _AFTER, after)
        except OSError as error:
            raise _not_kept(error) from None
        # Where the writing fails, what stands there is not sure either: the next start looks.
        yield
        self.written()

    def written(self) -> None:
        """Forget what `written_over` kept."""
        for name in (_AFTER, _BEFORE):
            with suppress(OSError):
                # Power cut here: the file is whole; what is kept then differs from it or is it, and mends nothing.
                (self._folder / name).unlink()

    def half_written(self) -> tuple[bytes, bytes] | None:
        """Give the text that was being written over, and the one that was to stand there, if nobody saw the end."""
        try:
            return (self._folder / _BEFORE).read_bytes(), (self._folder / _AFTER).read_bytes()
        except OSError:
            return None

    def content(self, number: int) -> bytes:
        """Give a version's bytes; raises `NeedsPerson` ``version.unknown``."""
        version = next((one for one in self.all() if one.id == number), None)
        try:
            content = (self._folder / f"{number}.yaml").read_bytes() if version else b""
        except OSError:
            version = None
        if version is None or etag_of(content) != version.etag:
            raise NeedsPerson(
                "version.unknown", f"there is no version {number} of the settings", hint="the last twenty are kept"
            )
        return content


def _not_kept(error: OSError) -> NeedsPerson:
    return NeedsPerson(
        "config.no_versions",
        f"the earlier version of the settings could not be kept: {error.strerror}; nothing was changed",
        hint="look after the state folder: is it full, or not writable?",
    )
