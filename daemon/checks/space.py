"""Free space where photos are put and where the ledger stands. Blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.checks.check import Check, failed, of_error, ok, warning
from daemon.checks.state import nearest
from daemon.errors import RelayError
from daemon.files.publishing import free_bytes
from daemon.text import shown, size_in_words

if TYPE_CHECKING:
    from daemon.settings import Settings

SPACE = "free space"


def free_space(settings: Settings) -> list[Check]:
    """Compare the space that is free with ``relay.min_free``; a place that is not there is another check's to tell."""
    least = settings.relay.min_free
    target = settings.photoprism.import_ if settings.archive.via == "photoprism" else settings.archive.folder.path
    found = []
    for path, needed in ((target, True), (nearest(settings.state), False)):
        try:
            free = free_bytes(path)
        except RelayError as error:
            if error.code != "file.vanished":
                found.append(of_error(SPACE, error))
            continue
        said = f"{shown(path)} has {size_in_words(free)} free"
        if free >= least:
            found.append(ok(SPACE, said))
        elif needed:
            message = f"{said}, and below {size_in_words(least)} nothing is put there"
            found.append(failed(SPACE, message, "Free some space, or lower relay.min_free.", "disk.low"))
        else:
            message = f"{said}; a full disk would stop the ledger, and with it everything"
            found.append(warning(SPACE, message, "Free some space, or lower relay.min_free.", "disk.low"))
    return found
