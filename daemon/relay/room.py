"""Is there room? Asked before anything is placed, so that a full disk is a sentence and not a half-made file."""

from __future__ import annotations

from daemon.errors import Transient
from daemon.files.publishing import free_bytes
from daemon.text import size_in_words


def need_room(path: str, size: int, min_free: int) -> None:
    """Return if ``size`` bytes fit onto the disk of ``path`` and leave ``min_free``; raise ``disk.low`` if not."""
    free = free_bytes(path)
    if free < size + min_free:
        raise Transient(
            "disk.low",
            f"{path} has only {size_in_words(free)} free; nothing is placed until there is room for"
            f" {size_in_words(size)} with {size_in_words(min_free)} left over",
            hint="free some space, or lower relay.min_free",
        )
