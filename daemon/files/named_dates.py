"""Dates from file names, as phones, cameras and messengers write them. Pure.

``IMG_20240102_030405``, ``PXL_20240102_030405123.MP``, ``2024-01-02 03.04.05``, ``2020-06-22_23-15-31_IMG_2292``
(Nextcloud's iOS app), ``Screenshot_2024-01-02-03-04-05-12``, ``Screen Shot 2024-01-02 at 3.04.05 PM``,
``WIN_20240102_03_04_05_Pro``, ``DJI_20240102030405_0001``, ``IMG-20240102-WA0001``, ``FB_IMG_1704164645123``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_DATE = r"(?<!\d)(?P<y>(?:18|19|20)\d\d)(?P<s>[-_.:]?)(?P<m>[01]\d)(?P=s)(?P<d>[0-3]\d)"
_TIME = r"(?:[-_ T.]{1,2}|\s+at\s+|\s*,\s*)?(?P<H>\d{1,2})(?P<t>[-_.:h]?)(?P<M>[0-5]\d)(?P=t)(?P<S>[0-5]\d)"
_HALF = r"(?:\d{1,6})?(?:[\s\u202f]?(?P<half>[AaPp][Mm]))?(?!\d)"
_WITH_TIME = re.compile(_DATE + _TIME + _HALF)
_DATE_ONLY = re.compile(_DATE + r"(?!\d)")
# Facebook and WeChat name what they save by the milliseconds since 1970.
_SINCE_1970 = re.compile(r"(?:FB_IMG_|mmexport)(?P<ms>1\d{12})(?!\d)")


def date_in_name(name: str) -> datetime | None:
    """Give the date and time that a file's name tells, in the camera's own time; midnight where it has no time.

    ``None`` where the name holds no date, or only numbers that are none.
    """
    name = name[:255]
    for found in _WITH_TIME.finditer(name):
        when = _built(found, with_time=True)
        if when is not None:
            return when
    ticks = _SINCE_1970.search(name)
    if ticks:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(ticks["ms"]))
    for found in _DATE_ONLY.finditer(name):
        when = _built(found, with_time=False)
        if when is not None:
            return when
    return None


def _built(found: re.Match[str], *, with_time: bool) -> datetime | None:
    hour = minute = second = 0
    if with_time:
        hour, minute, second = int(found["H"]), int(found["M"]), int(found["S"])
        if found["half"]:
            hour = hour % 12 + (12 if found["half"].lower() == "pm" else 0)
    try:
        # Names are the camera's wall clock; which zone that was, they do not tell.
        return datetime(int(found["y"]), int(found["m"]), int(found["d"]), hour, minute, second)  # noqa: DTZ001
    except ValueError:
        return None
