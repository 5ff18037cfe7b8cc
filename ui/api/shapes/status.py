"""The snapshot that the live page starts from, and the flat summary."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ui.api.shapes.common import Bytes, Count, Shape, Time
from ui.api.shapes.photos import PhotoRow


class Figures(Shape):
    """What came to an end in a span of time."""

    done: Count
    bytes: Bytes
    duplicates: Count
    duplicate_bytes: Bytes
    refused: Count
    restored: Count


class Day(Shape):
    """One day on which something came to an end."""

    date: str
    done: Count
    bytes: Bytes
    duplicates: Count


class Lamp(Shape):
    """How one thing outside is that the relay needs."""

    id: str
    name: str
    state: Literal["ok", "warning", "error", "off", "unknown"]
    message: str
    hint: str
    code: str
    since: Time | None
    detail: dict[str, Any]


class Action(Shape):
    """What a button beside an issue does."""

    do: str
    label: str
    subject: str


class Issue(Shape):
    """One thing that is wrong now."""

    about: str
    code: str
    message: str
    hint: str
    since: Time | None
    actions: list[Action]


class Trouble(Shape):
    """Why photos wait or are held, by code."""

    state: str
    code: str
    photos: Count
    since: Time | None
    message: str
    hint: str


class BatchNow(Shape):
    """The batch under way."""

    id: int
    name: str
    state: str
    step: str
    photos: Count
    done: Count = Field(description="in this step")
    bytes: Bytes
    bytes_done: Bytes
    bytes_per_second: float | None
    seconds_left: float | None
    in_hand: dict[str, Any] | None
    created_at: Time | None
    waits_since: Time | None
    next_try: Time | None
    code: str
    message: str


class UsersNow(Shape):
    """How many users there are of each kind."""

    included: Count
    asking: Count
    excluded: Count
    gone: Count


class ConfigNow(Shape):
    """How the configuration file is."""

    etag: str
    valid: bool
    faults: list[Any]
    writable: bool
    restart_needed: bool
    path: str


class PageNow(Shape):
    """What the page itself is to know."""

    popups: Literal["scifi", "plain"]
    timezone: str
    others: Count = Field(description="how many other relays it shows")


class Status(Shape):
    """How everything is, at one glance."""

    now: Time
    version: str
    running_since: Time
    paused: bool
    dry_run: bool
    photos: dict[str, Count] = Field(description="how many in each state")
    today: Figures
    total: Figures
    activity: list[Day]
    lamps: list[Lamp]
    issues: list[Issue]
    troubles: list[Trouble]
    batch: BatchNow | None
    last_batch: dict[str, Any] | None
    recent: list[PhotoRow]
    refreshed: list[dict[str, Any]]
    nextcloud_jobs: Count
    watch: dict[str, Any]
    sweep: dict[str, Any]
    last_sweep: dict[str, Any] | None
    users: UsersNow
    config: ConfigNow
    page: PageNow


class OtherRelay(Shape):
    """Another relay, as it was just now."""

    name: str
    url: str
    at: Time
    summary: dict[str, Any] | None
    trouble: str


class OtherRelays(Shape):
    """The relays of `ui.others`."""

    others: list[OtherRelay]


class Paused(Shape):
    """Whether new work is begun."""

    paused: bool


class Summary(Shape):
    """One flat object of numbers, words and dates, for dashboards."""
