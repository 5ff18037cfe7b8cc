"""When a repeated job is next due."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.schedule import Schedule, zone_name

BERLIN = ZoneInfo("Europe/Berlin")


def due(text: str, start: datetime, count: int, zone: str = "Europe/Berlin") -> list[datetime]:
    schedule, found = Schedule.parse(text, zone), []
    for _ in range(count):
        start = schedule.next_after(start)
        found.append(start)
    return found


def test_every_is_a_pause() -> None:
    start = datetime(2026, 3, 29, 0, 50, tzinfo=UTC)
    assert due("every 15m", start, 2) == [start + timedelta(minutes=15), start + timedelta(minutes=30)]
    assert Schedule.parse("EVERY  1h 30m").period == 5400


def test_cron_is_read_in_the_time_zone() -> None:
    start = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert due("0 3 * * *", start, 1) == [datetime(2026, 6, 2, 1, tzinfo=UTC)]
    assert due("0 3 * * *", start, 1, "") == [datetime(2026, 6, 2, 3, tzinfo=UTC)]
    assert due("0 3 * * *", start, 1, "Asia/Tokyo") == [datetime(2026, 6, 1, 18, tzinfo=UTC)]


def test_the_hour_that_is_skipped_in_spring_is_not_left_out() -> None:
    found = due("30 2 * * *", datetime(2026, 3, 28, 12, tzinfo=BERLIN), 2)
    assert [moment.astimezone(BERLIN).strftime("%d %H:%M") for moment in found] == ["29 03:00", "30 02:30"]


def test_the_hour_that_comes_twice_in_autumn_is_due_once() -> None:
    found = due("30 2 * * *", datetime(2026, 10, 24, 12, tzinfo=BERLIN), 2)
    assert [moment.astimezone(BERLIN).strftime("%d %H:%M %z") for moment in found] == [
        "25 02:30 +0200",
        "26 02:30 +0100",
    ]


@pytest.mark.parametrize("day", [datetime(2026, 3, 28, 22, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC)])
def test_a_short_rhythm_goes_on_through_a_clock_change(day: datetime) -> None:
    assert all(later - earlier == timedelta(minutes=30) for earlier, later in pairwise(due("*/30 * * * *", day, 12)))


@given(
    st.sampled_from(["every 1s", "every 7m", "*/5 * * * *", "30 2 * * *", "0 3 * * 1", "59 23 31 12 *"]),
    st.integers(946_684_800, 3_786_912_000).map(lambda second: datetime.fromtimestamp(second, UTC)),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"]),
)
def test_the_next_moment_is_always_later(text: str, moment: datetime, zone: str) -> None:
    following = Schedule.parse(text, zone).next_after(moment)
    assert following > moment
    assert following.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "every",
        "every 0s",
        "every 15",
        "@daily",
        "* * * * * *",
        "0 3 * *",
        "61 * * * *",
        "0 0 30 2 *",
        "often",
        "\ud800",
    ],
)
def test_other_schedules_are_refused_with_words(text: str) -> None:
    with pytest.raises(ValueError, match="must "):
        Schedule.parse(text)


@given(st.text(max_size=20) | st.text(alphabet="0123456789*/,-LW# ", max_size=20))
def test_any_text_is_a_schedule_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert Schedule.parse(text).next_after(datetime(2026, 1, 1, tzinfo=UTC)) > datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Mars", "../../etc/passwd", "/etc/localtime", "a\0b", "Europe", "\ud800"])
def test_unknown_zones_are_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="not a time zone"):
        Schedule.parse("every 1m", zone)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Schedule.parse("every 1m").next_after(datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("configured", "tz", "zone"),
    [
        ("Asia/Tokyo", "Europe/Berlin", "Asia/Tokyo"),
        ("", "Europe/Berlin", "Europe/Berlin"),
        ("", ":Europe/Berlin", "Europe/Berlin"),
        ("", "CET-1CEST,M3.5.0,M10.5.0/3", "UTC"),
        ("", "", "UTC"),
    ],
)
def test_the_configured_zone_wins_over_that_of_the_machine(configured: str, tz: str, zone: str) -> None:
    assert zone_name(configured, {"TZ": tz}) == zone
