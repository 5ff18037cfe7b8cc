"""Photos and batches."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ui.api.shapes.common import Bytes, Count, Cursor, Limit, Moment, Query, Shape, Time, Whole, Words

State = Literal[
    "found",
    "settled",
    "examined",
    "placed",
    "imported",
    "archived",
    "released",
    "done",
    "waiting",
    "held",
    "refused",
    "restored",
]


class PhotoRow(Shape):
    """One photo, or film, or side file."""

    id: int
    user: str
    name: str
    path: str = Field(description="relative to the user's files")
    folder: str
    state: State
    resume: str | None
    size: Bytes
    kind: str | None
    role: str
    group_id: int | None
    batch_id: int | None
    duplicate_of: int | None
    archived_as: str | None
    after: str | None
    found_at: Time | None
    ended_at: Time | None
    taken: str | None
    code: str | None
    message: str | None
    hint: str | None
    since: Time | None
    next_try: Time | None
    blake3: str | None
    sha1: str | None
    thumbnail: str | None


class PhotosAnswer(Shape):
    """A page of the ledger, newest first."""

    photos: list[PhotoRow]
    next: int | None = Field(description="give it as `before` to go on; null at the end")
    searched_back_to: Time | None


class Step(Shape):
    """One step of a photo's way."""

    at: Time | None
    state: str
    note: str


class Member(Shape):
    """Another file of the same group."""

    id: int
    name: str
    role: str
    state: str


class Can(Shape):
    """What can be done with it."""

    retry: bool
    restore: bool


class PhotoAnswer(PhotoRow):
    """One photo with its whole way."""

    history: list[Step]
    places: dict[str, Any]
    members: list[Member]
    audit: list[dict[str, Any]]
    can: Can


class Restored(Shape):
    """A photo that was put back."""

    photo: PhotoRow
    path: str


class Filters(Query):
    """Which photos."""

    state: State | None = None
    user: Words | None = None
    q: Words | None = Field(default=None, description="part of the name or path, or a hash's first 8 digits and more")
    since: Moment | None = Field(default=None, description="found then or later")
    until: Moment | None = Field(default=None, description="found then or earlier")
    batch: Whole | None = Field(default=None, description="of this batch only")


class PhotosQuery(Filters):
    """Which photos, and how many of them."""

    before: Cursor | None = None
    limit: Limit = 50


class ExportQuery(Filters):
    """Which photos, and in which form."""

    format: Literal["csv", "b3sum"] = Field(
        default="csv", description="csv: a table; b3sum: a list for `b3sum --check` in the archive's root"
    )


class BatchRow(Shape):
    """One batch."""

    id: int
    name: str
    state: str
    created_at: Time | None
    ended_at: Time | None
    photos: Count
    bytes: Bytes
    duplicates: Count
    restored: Count
    held: Count
    users: list[str]
    code: str | None
    message: str | None
    waits_since: Time | None
    next_try: Time | None


class BatchesAnswer(Shape):
    """A page of batches, newest first."""

    batches: list[BatchRow]
    next: int | None


class BatchAnswer(BatchRow):
    """One batch with its photos, 500 at most."""

    rows: list[PhotoRow]


class PageQuery(Query):
    """Where to go on, and how many."""

    before: Cursor | None = None
    limit: Limit = 50
