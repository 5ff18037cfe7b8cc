"""When a repeated job is next due: ``every 15m``, or a cron expression in the user's time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from daemon.settings.values import parse_duration
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

_EVERY = re.compile(r"every\s+(\S.*)", re.IGNORECASE)
SHORTEST = 1.0


@dataclass(frozen=True)
class Schedule:
    """A rule that tells the next moment: a fixed pause (``period`` in seconds) or a cron expression."""

    text: str
    period: float | None
    cron: str
    timezone: str

    @classmethod
    def parse(cls, text: str, timezone: str = "") -> Schedule:
        """Read ``every <duration>`` or a cron expression of five fields; raises ``ValueError`` with words for people.

        ``timezone`` is an IANA name such as ``Europe/Berlin``; empty means UTC.
        """
        zone = timezone or "UTC"
        if not is_zone(zone):
            raise ValueError(f"{shown(zone)} is not a time zone such as Europe/Berlin")
        cleaned = " ".join(text.split())
        if match := _EVERY.fullmatch(cleaned):
            period = parse_duration(match[1])
            if period < SHORTEST:
                raise ValueError("must be at least `every 1s`")
            return cls(cleaned, period, "", zone)
        schedule = cls(cleaned, None, cleaned, zone)
        try:
            if len(cleaned.split(" ")) != 5:
                raise CronSimError("five fields")
            schedule.next_after(datetime(2024, 1, 1, tzinfo=UTC))
        except (CronSimError, StopIteration):
            raise ValueError(
                'must be `every` and a length of time, such as `every 15m`, or a cron expression such as "0 3 * * *"'
            ) from None
        return schedule

    def next_after(self, moment: datetime) -> datetime:
        """Give the first due moment strictly after ``moment``, in UTC.

        ``moment`` must know its time zone. A cron time that a clock change skips is due when the clocks have jumped;
        one that a clock change repeats is due once.
        """
        if moment.tzinfo is None:
            raise ValueError("the moment must know its time zone")
        if self.period is not None:
            return moment.astimezone(UTC) + timedelta(seconds=self.period)
        return next(CronSim(self.cron, moment.astimezone(ZoneInfo(self.timezone)))).astimezone(UTC)


def zone_name(configured: str, environ: Mapping[str, str]) -> str:
    """Give the time zone that holds: the configured one, else ``TZ`` where it is a zone's name, else ``UTC``."""
    for name in (configured, environ.get("TZ", "").removeprefix(":")):
        if name and is_zone(name):
            return name
    return "UTC"


def is_zone(name: str) -> bool:
    """Tell whether this is the IANA name of a time zone, such as ``Europe/Berlin``."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return False
    return True
