"""When a photo or video was taken, by the best witness there is, and which witness that was."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any, Literal

from daemon.files.boxes import MovieFacts, movie_facts
from daemon.files.exif import apple_identifier, dates, text_of
from daemon.files.exiftool import ask_exiftool
from daemon.files.kinds import SNIFFED, sniff
from daemon.files.named_dates import date_in_name
from daemon.files.window import BudgetSpent, Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Source = Literal["exif", "quicktime", "exiftool", "name", "mtime"]

_OLDEST = 1826  # the first photograph
_OLDEST_MOVIE_CLOCK = 1971  # a movie header's zero is 1904, and a writer that mistook the epoch wrote 1970

_STAMP = re.compile(
    r"\s*(\d{4})[:\-/.](\d{1,2})[:\-/.](\d{1,2})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?)?"
    r"\s*(Z|[+-]\d{2}:?\d{2})?"
)
_OFFSET = re.compile(r"\s*([+-])(\d{2}):?(\d{2})")
_IDENTIFIER = re.compile(r"[0-9A-Za-z-]{8,64}")


@dataclass(frozen=True, slots=True)
class Taken:
    """When, as the camera's clock showed it (with its zone, where the file tells it), and who says so."""

    when: datetime
    source: Source


def taken_at(
    fd: int,
    name: str,
    *,
    now: datetime,
    zone: tzinfo | None = None,
    exiftool: str | None = None,
    first: bytes | None = None,
) -> Taken:
    """Give when an open file was taken: Exif or the movie's header, else exiftool, else its name, else its mtime.

    What cannot be true (before 1826, zeros, more than a day after ``now``) is passed over. Instants without a place
    (a movie header's UTC, the mtime) come in ``zone``, the system's own if that is ``None``. ``exiftool`` is the path
    of the program, or ``None`` to do without. ``first`` are the file's first bytes, where they were read already (as
    many as ``sniff`` wants). Never fails for what is in the file.
    """
    first = os.pread(fd, SNIFFED, 0) if first is None else first
    for when, source in _witnesses(fd, first, name, now, zone, exiftool):
        if _plausible(when, now):
            return Taken(when, source)
    status = os.fstat(fd)
    seconds = status.st_mtime
    if not 0 < seconds <= now.timestamp() + 86400:
        seconds = status.st_ctime
    return Taken(datetime.fromtimestamp(seconds, UTC).astimezone(zone), "mtime")


def content_identifier(fd: int, first: bytes | None = None) -> str | None:
    """Give Apple's ContentIdentifier, by which the two halves of a Live Photo name each other, else ``None``.

    In a photo it is tag 0x0011 of Apple's maker note, in a movie a metadata key. A photo that has one announces a
    movie.
    """
    first = os.pread(fd, SNIFFED, 0) if first is None else first
    kind = sniff(first)
    if kind == "mp4":
        found = _movie(fd).content_identifier or ""
    elif kind in {"jpeg", "heif"}:
        found = apple_identifier(fd, first)
    else:
        return None
    return found if _IDENTIFIER.fullmatch(found) else None


def _witnesses(
    fd: int, first: bytes, name: str, now: datetime, zone: tzinfo | None, exiftool: str | None
) -> Iterator[tuple[datetime, Source]]:
    if sniff(first) == "mp4":
        facts = _movie(fd)
        stamp = _stamp(facts.creation_date or "")
        if stamp:
            yield stamp, "quicktime"
        if facts.created and facts.created.year >= _OLDEST_MOVIE_CLOCK and _plausible(facts.created, now):
            yield facts.created.astimezone(zone), "quicktime"
    else:
        for when in _from_exif(dates(fd, first)):
            yield when, "exif"
    if exiftool:
        for when in _from_exiftool(ask_exiftool(exiftool, fd)):
            yield when, "exiftool"
    named = date_in_name(name)
    if named:
        yield (named.astimezone(zone) if named.tzinfo else named), "name"


def _from_exif(tags: Mapping[str, Any]) -> Iterator[datetime]:
    for date, offset in (
        ("DateTimeOriginal", "OffsetTimeOriginal"),
        ("DateTimeDigitized", "OffsetTimeDigitized"),
        ("DateTime", "OffsetTime"),
    ):
        stamp = _stamp(text_of(tags, f"EXIF {date}", f"Image {date}"))
        if stamp:
            yield _in_zone(stamp, text_of(tags, f"EXIF {offset}", f"Image {offset}"))


def _from_exiftool(tags: Mapping[str, Any]) -> Iterator[datetime]:
    for name in ("DateTimeOriginal", "CreationDate", "CreateDate", "MediaCreateDate"):
        stamp = _stamp(str(tags.get(name, "")))
        if stamp:
            yield _in_zone(stamp, str(tags.get("OffsetTimeOriginal", ""))) if name == "DateTimeOriginal" else stamp


def _movie(fd: int) -> MovieFacts:
    size = os.fstat(fd).st_size
    try:
        return movie_facts(Window(fd, 0, size), size)
    except (BudgetSpent, OSError, ValueError):
        return MovieFacts()


def _stamp(text: str) -> datetime | None:
    """Read ``2024:01:02 03:04:05`` and its relatives, with a zone if there is one."""
    found = _STAMP.match(text[:64])
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    try:
        when = datetime(year, month, day, hour % 24, minute, min(second, 59))  # noqa: DTZ001 - the camera's wall clock
    except ValueError:
        return None
    return _in_zone(when, found[7] or "")


def _in_zone(when: datetime, offset: str) -> datetime:
    if when.tzinfo is not None:
        return when
    if offset == "Z":
        return when.replace(tzinfo=UTC)
    found = _OFFSET.match(offset)
    if not found:
        return when
    minutes = int(found[2]) * 60 + int(found[3])
    if minutes > 18 * 60:
        return when
    return when.replace(tzinfo=timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes)))


def _plausible(when: datetime, now: datetime) -> bool:
    plain = when.replace(tzinfo=UTC) if when.tzinfo is None else when
    return when.year >= _OLDEST and plain <= now + timedelta(days=1)
