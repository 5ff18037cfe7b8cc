"""A schedule in words and in moments, so that whoever writes one sees what it means."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from daemon.schedule import Schedule
from daemon.settings.values import MILLISECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

MOMENTS = 5
_UNITS = {"d": "day", "h": "hour", "m": "minute", "s": "second", "ms": "millisecond"}
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip


def explained(expression: str, timezone: str, now: datetime) -> dict[str, Any]:
    """Tell whether a schedule can be used, what it says in words, and its next five moments in that time zone."""
    try:
        schedule = Schedule.parse(expression, timezone)
        moments = upcoming(schedule, now)
    except (ValueError, OverflowError, StopIteration) as error:
        return {"valid": False, "error": str(error) or "this never comes", "words": None, "next": []}
    return {
        "valid": True,
        "error": None,
        "words": in_words(schedule),
        "next": [moment.isoformat(timespec="seconds") for moment in moments],
    }


def upcoming(schedule: Schedule, now: datetime, count: int = MOMENTS) -> list[datetime]:
    """Give the next moments in the schedule's own time zone."""
    found: list[datetime] = []
    moment = now.astimezone(UTC)
    for _ in range(count):
        moment = schedule.next_after(moment)
        found.append(moment.astimezone(ZoneInfo(schedule.timezone)))
    return found


def in_words(schedule: Schedule) -> str:
    """Say a schedule in plain words."""
    if schedule.period is not None:
        return _every(schedule.period)
    minute, hour, day, month, weekday = schedule.cron.split(" ")
    return _cron(minute, hour, day, month, weekday) or f"at the times of the cron expression {schedule.cron}"


def _every(seconds: float) -> str:
    left = round(seconds * 1000)
    parts = []
    for unit, name in _UNITS.items():
        count, left = divmod(left, MILLISECONDS[unit])
        if count:
            parts.append((count, name))
    if len(parts) == 1 and parts[0][0] == 1:
        return f"every {parts[0][1]}"
    return "every " + " ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in parts)


def _cron(minute: str, hour: str, day: str, month: str, weekday: str) -> str:
    when = _time(minute, hour)
    days = _days(day, month, weekday)
    if not when or not days:
        return ""
    if days == "daily":
        return f"daily {when}" if when.startswith("at ") else when
    return f"{days} {when}" if when.startswith("at ") else f"{when}, {days}"


def _time(minute: str, hour: str) -> str:
    minutes, hours = _numbers(minute, 0, 59), _numbers(hour, 0, 23)
    if minutes and hours and len(minutes) * len(hours) <= 6:
        return "at " + _listed([f"{one:02d}:{other:02d}" for one in hours for other in minutes])
    if hour == "*":
        if minute == "*":
            return "every minute"
        if (step := _stepping(minute)) and 60 % step == 0:
            return "every minute" if step == 1 else f"every {step} minutes"
        if minutes and len(minutes) <= 6:
            return "hourly" if minutes == [0] else f"hourly at minute {_listed([str(one) for one in minutes])}"
    if minutes == [0] and (step := _stepping(hour)) and 24 % step == 0:
        return "hourly" if step == 1 else f"every {step} hours"
    return ""


def _days(day: str, month: str, weekday: str) -> str:
    months = _numbers(month.lower(), 1, 12, [name[:3].lower() for name in _MONTHS], first=1)
    during = f" in {_listed([_MONTHS[one - 1] for one in months])}" if months and month != "*" else ""
    if month != "*" and not during:
        return ""
    if day == "*" and weekday == "*":
        return f"every day{during}" if during else "daily"
    if day == "*":
        names = [name[:3].lower() for name in _DAYS]
        found = sorted({one % 7 for one in _numbers(weekday.lower(), 0, 7, names)})
        if found == [1, 2, 3, 4, 5]:
            return f"on weekdays{during}"
        if found == [0, 6]:
            return f"on Saturdays and Sundays{during}"
        return f"on {_listed([f'{_DAYS[one]}s' for one in found])}{during}" if found else ""
    if weekday == "*" and (numbers := _numbers(day, 1, 31)):
        word = "day" if len(numbers) == 1 else "days"
        return f"on {word} {_listed([str(one) for one in numbers])} of {during[4:] if during else 'every month'}"
    return ""


def _stepping(field: str) -> int:
    found = re.fullmatch(r"\*/([1-9][0-9]?)", field)
    return int(found[1]) if found else 0


def _numbers(field: str, least: int, most: int, names: Sequence[str] = (), first: int = 0) -> list[int]:
    """Give the numbers of a plain list or range (``1,15``, ``mon-fri``); nothing for anything else."""
    found: list[int] = []
    for part in field.split(","):
        ends = [names.index(end) + first if end in names else end for end in part.split("-")]
        if len(ends) > 2 or not all(isinstance(end, int) or end.isdecimal() for end in ends):
            return []
        start, stop = int(ends[0]), int(ends[-1])
        if not least <= start <= stop <= most:
            return []
        found += range(start, stop + 1)
    return sorted(set(found))


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
