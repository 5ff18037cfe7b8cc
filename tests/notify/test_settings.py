"""What may be set about messages and hooks, and what is said where it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.notify.kinds import loudness, priority
from daemon.settings import Settings
from daemon.settings.findings import findings


def said(notify: dict[str, Any] | None = None, hooks: list[dict[str, Any]] | None = None) -> list[str]:
    ntfy = {"url": "http://ntfy.example", "topic": "photos", **(notify or {})}
    settings = Settings.model_validate({"notify": {"ntfy": ntfy}, "hooks": hooks or []})
    prefix = ("notify", "hooks")
    return [
        f"{'.'.join(map(str, one.about[0]))}: {one.message}" for one in findings(settings) if one.about[0][0] in prefix
    ]


@pytest.mark.parametrize(
    ("notify", "expected"),
    [
        ({"user": "me"}, "notify.ntfy.password: must not be empty"),
        ({"password": "x"}, "notify.ntfy.user: must not be empty"),
        ({"user": "me", "password": "x", "token": "y"}, "notify.ntfy.password: give either"),
        ({"events": {"batch.end": "low"}}, "notify.ntfy.events.batch.end: is no event that is told"),
        ({"digest": "25:00"}, "notify.ntfy.digest: must be a time of day"),
        ({"digest": "evening"}, "notify.ntfy.digest: must be a time of day"),
    ],
)
def test_what_is_wrong_is_said(notify: dict[str, Any], expected: str) -> None:
    [line] = said(notify)
    assert line.startswith(expected)
    assert "password: x" not in line


def test_what_is_right_is_not_spoken_of() -> None:
    assert said({"user": "me", "password": "x", "events": {"batch.ended": "low"}, "digest": "7:05"}) == []


@pytest.mark.parametrize("timeout", ["50ms", "2h"])
def test_a_hooks_time_limit_is_sensible(timeout: str) -> None:
    [line] = said(hooks=[{"on": "photo.*", "url": "http://x", "timeout": timeout}])
    assert line.startswith("hooks.0.timeout: must be at least")


@pytest.mark.parametrize("on", ["photo*", "Photo.done", "photo.", "**", "", "photo.*.done"])
def test_odd_names_of_events_are_refused(on: str) -> None:
    with pytest.raises(ValueError, match="on"):
        Settings.model_validate({"hooks": [{"on": on, "url": "http://x"}]})


def test_levels_and_single_events() -> None:
    ntfy = Settings.model_validate(
        {"notify": {"ntfy": {"levels": {"error": "max"}, "events": {"photo.held": "min", "issue.closed": "off"}}}}
    ).notify.ntfy
    assert priority(loudness(ntfy, "issue.error")) == 5
    assert priority(loudness(ntfy, "photo.held")) == 1
    assert priority(loudness(ntfy, "issue.closed", "issue.error")) == 0
    assert priority(loudness(ntfy, "batch.ended")) == 0
    assert priority(loudness(ntfy, "digest")) == 2
    plain = Settings().notify.ntfy
    assert loudness(plain, "issue.closed", "issue.error") == "default"
    assert loudness(plain, "issue.closed", "photo.noted") == "off"
