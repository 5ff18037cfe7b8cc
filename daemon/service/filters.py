"""What a list of photos is narrowed down to, read from what a person typed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from daemon.errors import NeedsPerson
from daemon.ledger.model import State
from daemon.ledger.photo_list import Wanted
from daemon.schedule import zone_name
from daemon.text import shown

if TYPE_CHECKING:
    from daemon.ledger.photo_list import PhotoList

_HEX = re.compile(r"[0-9a-fA-F]{8,64}")
_SPACE_FOR_PLUS = re.compile(r"(T.*) (\d\d:?\d\d)$")
_LONGEST = 300
_LARGEST_ID = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Filters:
    """What was asked for, as it came: empty and ``None`` stand for all.

    ``q`` is a part of a name or path, or eight or more hex digits with which a hash begins. ``since`` and ``until``
    are ISO 8601; a date alone is the whole day, in the page's time zone as are times without one.
    """

    state: str | None = None
    user: str | None = None
    q: str | None = None
    since: str | None = None
    until: str | None = None
    batch: int | None = None

    def wanted(self, timezone: str) -> Wanted:
        """Give the filters as the ledger takes them, ``q`` as a part of a name; see :func:`by_hash`.

        Raises ``NeedsPerson`` ``request.invalid``.
        """
        q = (self.q or "").strip()
        if len(q) > _LONGEST:
            raise invalid(f"q is longer than {_LONGEST} characters")
        zone = ZoneInfo(zone_name(timezone, os.environ))
        return Wanted(
            state=_state(self.state),
            user=self.user or None,
            batch=None if self.batch is None else within_int64(self.batch),
            name=q,
            since=moment(self.since, zone, "since"),
            until=moment(self.until, zone, "until", end=True),
        )


def by_hash(wanted: Wanted, photos: PhotoList) -> Wanted:
    """Take hex digits for a hash's beginning where some hash begins so; else they are of a name. Blocking."""
    hashes = photos.hashes(wanted.name.lower()) if _HEX.fullmatch(wanted.name) else ()
    return replace(wanted, name="", hashes=hashes) if hashes else wanted


def invalid(why: str) -> NeedsPerson:
    """Give the error for a question that cannot be understood."""
    return NeedsPerson("request.invalid", why)


def within_int64(number: int) -> int:
    """Give a number as SQLite can hold it: beyond that nothing has it as its id."""
    return max(-1, min(number, _LARGEST_ID))


def moment(words: str | None, zone: tzinfo, name: str, *, end: bool = False) -> float | None:
    """Give an ISO date or time as seconds since the epoch; a date alone is its first moment, with ``end`` its last."""
    if not words:
        return None
    try:
        if len(words) == 10:
            day = date.fromisoformat(words) + timedelta(days=1 if end else 0)
            return datetime.combine(day, time(), zone).timestamp()
        # A plus sign in a URL's query means a space.
        when = datetime.fromisoformat(_SPACE_FOR_PLUS.sub(r"\1+\2", words))
        return (when if when.tzinfo else when.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        raise invalid(f"{name} must be a date such as 2026-11-22 or 2026-11-22T18:00:00Z, not {shown(words)}") from None


def _state(name: str | None) -> State | None:
    if not name:
        return None
    try:
        return State(name)
    except ValueError:
        raise invalid(f"there is no state {shown(name)}; states are {', '.join(State)}") from None
