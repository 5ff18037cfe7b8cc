"""What a schedule says in words, and when it is due, with the clocks going forward and back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from daemon.service.timetable import explained

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("every 15m", "every 15 minutes"),
        ("every 1h", "every hour"),
        ("every 1h 30m", "every 1 hour 30 minutes"),
        ("every 90s", "every 1 minute 30 seconds"),
        ("0 3 * * *", "daily at 03:00"),
        ("30 2,14 * * *", "daily at 02:30 and 14:30"),
        ("*/15 * * * *", "every 15 minutes"),
        ("* * * * *", "every minute"),
        ("0 * * * *", "hourly"),
        ("0 */6 * * *", "every 6 hours"),
        ("30 2 * * mon-fri", "on weekdays at 02:30"),
        ("0 3 * * 6,7", "on Saturdays and Sundays at 03:00"),
        ("0 3 1 * *", "on day 1 of every month at 03:00"),
        ("0 4 * jun,jul 0", "on Sundays in June and July at 04:00"),
        ("*/7 * * * *", "at the times of the cron expression */7 * * * *"),
        ("0 3 * * 5#2", "at the times of the cron expression 0 3 * * 5#2"),
    ],
)
def test_schedules_in_plain_words(expression: str, words: str) -> None:
    found = explained(expression, BERLIN, NOW)
    assert found["valid"]
    assert found["words"] == words
    assert len(found["next"]) == 5


@pytest.mark.parametrize("expression", ["", "15m", "every", "every 0s", "61 * * * *", "0 0 31 2 *", "a b c d e"])
def test_what_is_no_schedule_says_why(expression: str) -> None:
    found = explained(expression, BERLIN, NOW)
    assert not found["valid"]
    assert "every" in found["error"]
    assert found["next"] == []


def test_an_hour_that_is_skipped_is_made_up_for_and_the_next_day_is_right() -> None:
    found = explained("30 2 * * *", BERLIN, datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert found["next"][:2] == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]


def test_an_hour_that_comes_twice_counts_once() -> None:
    found = explained("30 2 * * *", BERLIN, datetime(2026, 10, 24, 12, tzinfo=UTC))
    assert found["next"][:2] == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]


def test_a_fixed_pause_knows_no_daylight_saving() -> None:
    found = explained("every 1h", BERLIN, datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    assert found["next"][:2] == ["2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"]
