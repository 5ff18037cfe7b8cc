"""Half copies that stand in the archive: found beside the whole photo, told to a person, never touched.

A PhotoPrism whose ``import`` and ``originals`` are two mounts copies under the final name and syncs nothing, so a power
cut leaves a part of the bytes there. What comes next gets a number beside it (``.00001``), or, where PhotoPrism's row
has outlived the bytes, is thrown away as a duplicate. Whose file that is only its owner can say; the program says which
one it is. A half copy is what may become of a file that was not synced: not all of its bytes, zeros at a page's end or
beginning where some are missing, and nothing that the photo has not.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from daemon.errors import NeedsPerson, Refused, RelayError
from daemon.files.opening import directory_below, file_below, look
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from daemon.issues import Issues
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.relay.archive import Archive

CODE = "archive.half_copy"
_PAGE = 4096
_BLOCK = 1 << 20
_MARK = "half copies"
_MOST = 100
_NUMBERED = re.compile(r"(?P<stem>.+)\.(?P<number>\d{5})(?P<extension>\.[^./]+)")
"""How PhotoPrism names what finds its name taken (``internal/photoprism/import.go``)."""
_LOOKED_AT = 9
"""Names with a lower number that are looked at: each cut leaves one at most."""


def numbered(path: str) -> bool:
    """Tell whether PhotoPrism has given this file a number, since its name was taken. Does not block."""
    return _NUMBERED.fullmatch(path) is not None


def beside(root: str, path: str) -> tuple[str, ...]:
    """Give the half copies of a numbered, whole file of the archive that stand under the names before it.

    Nothing where they cannot be read: who looks here has proved the photo already. Blocking; reads only.
    """
    named = _NUMBERED.fullmatch(path)
    if named is None:
        return ()
    stem, extension = named["stem"], named["extension"]
    before = [f".{number:05}" if number else "" for number in range(min(int(named["number"]), _LOOKED_AT))]
    return tuple(one for middle in before if is_half(root, one := f"{stem}{middle}{extension}", root, path))


def is_half(root: str, half: str, whole_root: str, whole: str, photo: Photo | None = None) -> bool:
    """Tell whether one file is a half copy of another; ``photo`` is who the other one must still be. Blocking."""
    with suppress(RelayError, OSError), file_below(whole_root, whole) as all_of_it, file_below(root, half) as part:
        if photo is None or all_of_it.fingerprint == photo.fingerprint:
            return _is_part(part.fd, part.status.st_size, all_of_it.fd, all_of_it.status.st_size)
    return False


def _is_part(part: int, size: int, whole: int, most: int) -> bool:
    if size > most:
        return False
    same = size == most
    for at in range(0, size, _BLOCK):
        found = os.pread(part, min(_BLOCK, size - at), at)
        wanted = os.pread(whole, len(found), at)
        if found != wanted:
            same = False
            for first in range(0, len(found), _PAGE):
                # Of a page that several writes filled, some may have reached the disk: zeros around what did.
                page = found[first : first + _PAGE]
                kept = page.strip(b"\0")
                if not wanted[first : first + _PAGE].startswith(kept, len(page) - len(page.lstrip(b"\0"))):
                    return False
    return not same


def refuses_copies(halves: Sequence[tuple[Photo, str]]) -> NeedsPerson:
    """Give the error for a group of which PhotoPrism has half copies, and throws each whole one away: all of them."""
    which = ", and ".join(
        f"{shown(half)} is a half copy of {shown(photo.name)} of {photo.user}" for photo, half in halves
    )
    names = " and ".join(shown(half) for _, half in halves)
    return NeedsPerson(
        CODE,
        f"PhotoPrism's {which}, as a power cut or a failing disk leaves it; PhotoPrism takes it for the photo and"
        " throws each whole one away; the original is kept",
        hint=f"delete {names} in PhotoPrism's originals, then press Try again or run a sweep",
    )


class HalfCopies:
    """Those that were found beside whole photos, as issues until somebody has deleted them; a restart keeps them."""

    def __init__(self, ledger: Ledger, archive: Archive, issues: Issues) -> None:
        self._ledger = ledger
        self._archive = archive
        self._issues = issues
        self._known: dict[str, dict[str, Any]] = json.loads(ledger.marks.get(_MARK) or "{}")

    async def found(self, photo: Photo, whole: str, halves: Iterable[str]) -> None:
        """Tell of half copies of a photo that stands whole in the archive; once for each, however often it is met."""
        for half in halves:
            if half not in self._known and len(self._known) < _MOST:
                who = f"{shown(photo.name)} of {photo.user}"
                self._known[half] = {"photo": who, "whole": shown(whole), "seen": await self._look(half)}
                await self._keep()
                self._report(half)

    async def look_again(self) -> None:
        """Report what still stands, and take back what does not."""
        for half, known in list(self._known.items()):
            try:
                there = await self._look(half)
            except (RelayError, OSError):
                continue  # its disk is away: then nobody knows
            if there is not None and there == known["seen"]:
                self._report(half)
            else:
                del self._known[half]
                await self._keep()
                self._issues.clear(_about(half))

    def _report(self, half: str) -> None:
        known = self._known[half]
        error = NeedsPerson(
            CODE,
            f"PhotoPrism's {shown(half)} is a half copy of {known['photo']}, as a power cut or a failing disk"
            f" leaves it; the photo stands whole beside it as {known['whole']}",
            hint=f"delete the file {shown(half)} in PhotoPrism's originals",
        )
        self._issues.report(_about(half), error)

    async def _look(self, half: str) -> list[int] | None:
        return await anyio.to_thread.run_sync(_seen, self._archive.root, half)

    async def _keep(self) -> None:
        await anyio.to_thread.run_sync(self._ledger.marks.put, _MARK, json.dumps(self._known))


def _about(half: str) -> str:
    return f"half copy {shown(half)}"


def _seen(root: str, half: str) -> list[int] | None:
    """Give by what a file is known again, or ``None`` where it is gone. Blocking."""
    if not root:
        return None
    folder, _, name = half.rpartition("/")
    try:
        with directory_below(root, folder) as fd:
            found = look(fd, name)
    except Refused:
        return None
    return None if found is None else [found.st_ino, found.st_size, found.st_mtime_ns]
