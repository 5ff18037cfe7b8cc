"""The log, the audit, checks, messages, sweeps."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ui.api.shapes.common import Count, Cursor, Limit, Query, Shape, Time, Wish, Words

UserId = Annotated[str, Field(min_length=1, max_length=200)]


class LogLine(Shape):
    """One line of the log."""

    id: int
    time: Time
    level: str
    area: str
    message: str
    extra: dict[str, Any]


class LogAnswer(Shape):
    """Lines of the log, newest first."""

    lines: list[LogLine]
    next: int | None


class LogQuery(Query):
    """Which lines."""

    level: Literal["debug", "info", "warning", "error"] | None = Field(default=None, description="this and above")
    q: Words | None = None
    before: Cursor | None = None
    limit: Limit = 100


class AuditLine(Shape):
    """One deed that changed or removed something."""

    id: int
    at: Time | None
    who: str
    deed: str
    photo_id: int | None
    user: str
    path: str
    note: str


class AuditAnswer(Shape):
    """Deeds, newest first."""

    lines: list[AuditLine]
    next: int | None


class Check(Shape):
    """One look at something that a start needs."""

    name: str
    level: Literal["ok", "warning", "failed"]
    message: str
    hint: str
    code: str


class ChecksAnswer(Shape):
    """The last time that everything was looked at."""

    at: Time | None
    checks: list[Check]


class NotifyAnswer(Shape):
    """What became of a message sent as a test."""

    sent: bool
    server: str
    message: str
    code: str
    hint: str


class RetryWish(Wish):
    """Which photos to try again: those that wait or are held for this reason."""

    code: str = Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)+$", max_length=100)


class RetryAnswer(Shape):
    """How many photos go on now."""

    retried: Count


class SweepWish(Wish):
    """Whose folders to look through, everybody's where nobody is named; and whether only to say what would be done."""

    users: list[UserId] = Field(default=[], max_length=1000)
    dry_run: bool = False


class IndexWish(Wish):
    """Whose folders Nextcloud is to index, and whether the album's, too."""

    users: list[UserId] = Field(default=[], max_length=1000)
    album: bool = True


class ActAnswer(Shape):
    """What a button has done."""

    done: str
