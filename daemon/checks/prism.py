"""PhotoPrism over HTTP: does it answer, and may the token do what the relay needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.checks.check import Check, of_error, ok, warning
from daemon.text import count_in_words, shown

if TYPE_CHECKING:
    from daemon.photoprism.client import PhotoPrism
    from daemon.settings import Settings

PHOTOPRISM = "PhotoPrism"
DAY = 86400
SOON = 30 * DAY
"""Seconds before the end of an app password from which on a warning is due."""
NEARLY_FULL = 95
"""Percent of its quota or disk from which on a warning is due."""


async def photoprism(settings: Settings, prism: PhotoPrism | None) -> list[Check]:
    """Probe PhotoPrism by doing: the import of a folder that is not there shows whether the account may import."""
    if prism is None:
        message = "archive.via was changed and PhotoPrism is asked from the next start on"
        return [warning(PHOTOPRISM, message, "Restart the daemon.", "config.restart")]
    probe = await prism.probe(by_doing=True)
    found: list[Check] = []
    if probe.reachable and not probe.faults:
        edition = f" ({shown(probe.edition, 20)})" if probe.edition else ""
        version = f" {shown(probe.version, 40)}{edition}" if probe.version else ""
        said = f"PhotoPrism{version} at {shown(settings.photoprism.url)} answers"
        # Only a token with a scope that we do not need may ask for its own end, so it is told where a person sees it.
        unseen = "; when its app password ends is to be seen there alone (`photoprism auth ls`)"
        known = probe.token_ends_in is not None or not settings.photoprism.token.get_secret_value()
        found.append(ok(PHOTOPRISM, f"{said}, and lets us look files up and import{'' if known else unseen}"))
    found += [of_error(PHOTOPRISM, fault) for fault in probe.faults]
    left = probe.token_ends_in
    if left is not None and left < SOON:
        message = f"PhotoPrism's app password ends in {count_in_words(max(1, round(left / DAY)), 'day')}"
        hint = "Make a new one, best without an end (`photoprism auth add … -e -1`), and put it into photoprism.token."
        found.append(warning(PHOTOPRISM, message, hint, "photoprism.token_ends"))
    used = probe.originals_used_percent
    if used is not None and used >= NEARLY_FULL:
        message = f"PhotoPrism says that {used} % of its room for originals is used"
        hint = "Free some space, or raise its quota (PHOTOPRISM_FILES_QUOTA); when full it imports nothing."
        found.append(warning(PHOTOPRISM, message, hint, "photoprism.nearly_full"))
    return found
