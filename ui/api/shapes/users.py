"""Users: who is there, what is relayed of theirs, and what a change would do."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ui.api.shapes.common import Bytes, Count, Shape, Time, Wish

After = Literal["trash", "delete", "archive", "tag", "keep"]
Folder = Annotated[str, Field(max_length=1000, description="below the user's files")]


class UserFolder(Shape):
    """A real folder of a user."""

    path: str
    photos: Count
    watched: bool
    auto_upload: bool


class User(Shape):
    """One user of Nextcloud."""

    id: str
    decision: Literal["include", "exclude", "ask"]
    asking: bool
    home: Literal["there", "gone"]
    first_seen: Time | None
    gone_since: Time | None
    rules: dict[str, Any]
    own: dict[str, Any]
    folders: list[UserFolder]
    photos: dict[str, Count]
    last_photo_at: Time | None


class UsersAnswer(Shape):
    """Everyone found."""

    users: list[User]


class UserWish(Wish):
    """What to change; `null` goes back to the value common to all, what is left out stays as it is."""

    decision: Literal["include", "exclude", "ask"] | None = None
    folders: list[Folder] | None = Field(default=None, max_length=200)
    after: After | None = None
    existing: bool | None = None
    release_after: Annotated[str, Field(max_length=20, examples=["7d"])] | None = None


class PreviewWish(UserWish):
    """What a change would be."""

    include: bool | None = None


class PreviewFolder(Shape):
    """How many photos a folder has that would be relayed."""

    path: str
    photos: Count


class PreviewCounts(Shape):
    """What stands there."""

    would_move: Count
    bytes: Bytes
    existing_stay: Count
    screenshots: Count
    videos: Count
    side_files: Count


class PreviewAnswer(Shape):
    """What a change would do, before it is done."""

    sentence: str
    counts: PreviewCounts
    folders: list[PreviewFolder]
    warnings: list[str]
