r"""Photos as a file to keep: a table for a spreadsheet, and a list of checksums that ``b3sum --check`` accepts.

Both are made while they are sent, a few hundred rows at a time, so that a ledger of any size can be exported.
"""

from __future__ import annotations

import csv
import io
import logging
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from daemon.clock import iso
from daemon.service.filters import by_hash, invalid
from daemon.text import count_in_words, shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.ledger.photo_list import Wanted

log = logging.getLogger(__name__)

AT_ONCE = 500
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection), full-width forms included."""
COLUMNS: dict[str, Callable[[Photo], Any]] = {
    "id": lambda photo: photo.id,
    "user": lambda photo: photo.user,
    "path": lambda photo: photo.path,
    "state": lambda photo: photo.state.value,
    "size": lambda photo: photo.fingerprint.size,
    "kind": lambda photo: photo.kind,
    "role": lambda photo: photo.role,
    "group_id": lambda photo: photo.group_id,
    "batch_id": lambda photo: photo.batch_id,
    "duplicate_of": lambda photo: photo.duplicate_of,
    "archived_as": lambda photo: photo.archived_as,
    "after": lambda photo: photo.after,
    "found_at": lambda photo: iso(photo.found_at),
    "proved_at": lambda photo: iso(photo.proved_at),
    "ended_at": lambda photo: iso(photo.ended_at),
    "taken": lambda photo: photo.taken,
    "code": lambda photo: photo.code,
    "message": lambda photo: photo.message,
    "blake3": lambda photo: photo.blake3.hex() if photo.blake3 else "",
    "sha1": lambda photo: photo.sha1.hex() if photo.sha1 else "",
}


class Export:
    """Writes the ledger out."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def blocks(self, form: str, wanted: Wanted) -> AsyncIterator[bytes]:
        """Give the photos as ``csv`` or ``b3sum``, in blocks; raises ``NeedsPerson`` ``request.invalid`` at once."""
        if form == "csv":
            return self._csv(wanted)
        if form == "b3sum":
            return self._checksums(wanted)
        raise invalid(f"there is no format {shown(form)}; formats are csv and b3sum")

    async def _csv(self, wanted: Wanted) -> AsyncIterator[bytes]:
        yield csv_lines([list(COLUMNS)])
        async for photos in self._all(wanted):
            yield csv_lines([[defused(read(photo)) for read in COLUMNS.values()] for photo in photos])

    async def _checksums(self, wanted: Wanted) -> AsyncIterator[bytes]:
        """Give a line for each photo whose bytes were proved in the archive, the path below the archive's root."""
        left_out = 0
        async for photos in self._all(wanted):
            lines = []
            for photo in photos:
                if photo.proved_at is None or not photo.archived_as or photo.blake3 is None:
                    continue
                line = checksum_line(photo.blake3, photo.archived_as)
                if line is None:
                    left_out += 1
                else:
                    lines.append(line)
            if lines:
                yield b"".join(lines)
        if left_out:
            log.warning(
                "a list of checksums was made without %s: b3sum --check cannot be given names that are not UTF-8 or"
                " end with a carriage return",
                count_in_words(left_out, "file"),
            )

    async def _all(self, wanted: Wanted) -> AsyncIterator[Sequence[Photo]]:
        wanted = await anyio.to_thread.run_sync(by_hash, wanted, self._ledger.photo_list)
        before: int | None = None
        while True:
            page = await anyio.to_thread.run_sync(self._ledger.photo_list.page, wanted, before, AT_ONCE)
            if page.photos:
                yield page.photos
            if page.next is None:
                return
            before = page.next


def csv_lines(rows: Sequence[Sequence[Any]]) -> bytes:
    """Give rows as RFC 4180 has them."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def defused(value: Any) -> Any:
    """Give a cell that no spreadsheet takes for a formula: a file may be called ``=HYPERLINK(…).jpg``."""
    if not isinstance(value, str):
        return value
    text = shown(value, 10_000)
    # Spaces before it do not keep every program from reading a formula.
    return f"'{text}" if value.lstrip(" ").startswith(_FORMULA) else text


def checksum_line(blake3: bytes, path: str) -> bytes | None:
    r"""Give a line of a list as b3sum writes it, ``None`` for a path that it could not read back.

    A path with a backslash or a newline is escaped and its line begins with a backslash. Of what is not UTF-8 b3sum
    refuses to read the replacement (b3sum/what_does_check_do.md), and newer ones take a carriage return at the end for
    a part of the line's end. ``-`` alone would be standard input.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        return None
    if path.endswith("\r") or "\ufffd" in path or "\0" in path:
        return None
    path = "./-" if path == "-" else path
    escaped = path.replace("\\", "\\\\").replace("\n", "\\n")
    mark = "\\" if escaped != path else ""
    return f"{mark}{blake3.hex()}  {escaped}\n".encode()
