"""A partner that came too late: which archived photo does it belong to? Blocking; reads the ledger only.

The film of a Live Photo, a RAW beside its JPEG or a recipe (XMP, AAE) may settle after its photo has gone. Names alone
prove nothing (cameras count to 9999 and begin again), so there must be evidence besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.watch.media import group_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo

SAME_TIME = 24 * 3600.0
"""Seconds within which equal names in one folder are taken for one photo's where the files themselves do not tell."""


def with_some(ledger: Ledger, groups: Sequence[Sequence[Photo]]) -> list[Sequence[Photo]]:
    """Give those of many groups for which :func:`companions` may have something to say; mostly there are none."""
    beside = [(group[0].user, group[0].directory, group_key(group[0].name)) for group in groups]
    return [groups[number] for number in ledger.photos.any_archived_beside(beside)]


def companions(ledger: Ledger, group: Sequence[Photo]) -> list[Photo]:
    """Give the archived main files that must be delivered once more so that the archive joins this group with them."""
    first = group[0]
    key = group_key(first.name)
    found = [
        photo
        for photo in ledger.photos.archived_beside(first.user, first.directory, key)
        if photo.role == "main" and photo.directory == first.directory and group_key(photo.name) == key
    ]
    belonging = [photo for photo in found if any(_belong(photo, member) for member in group)]
    names = {member.name for member in group}
    newest: dict[str, Photo] = {photo.name: photo for photo in belonging if photo.name not in names}
    return list(newest.values())


def _belong(archived: Photo, late: Photo) -> bool:
    if archived.content_id or late.content_id:
        # Apple writes the same ContentIdentifier into both halves of a Live Photo.
        if archived.content_id == late.content_id:
            return True
        if late.role == "main":
            return False
    return abs(late.found_at - archived.found_at) <= SAME_TIME
