"""What is told: the kinds of messages, how important each is, and how loudly that rings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.notify.ntfy import PRIORITIES

if TYPE_CHECKING:
    from daemon.settings.messages import Ntfy

DAY = 86400.0
LEVELS = {
    "issue.error": "error",
    "issue.warning": "warning",
    "config.invalid": "error",
    "disk.low": "error",
    "photo.held": "error",
    "photo.refused": "warning",
    "photo.noted": "info",
    "user.new": "new_user",
    "user.gone": "warning",
    "login.failed": "warning",
    "sweep.missed": "warning",
    "batch.ended": "success",
}
"""The level of each kind; ``issue.closed`` has that of what has ended, ``digest`` one of its own."""

STALE = {
    "batch.ended": DAY / 2,
    "photo.noted": DAY / 2,
    "sweep.missed": DAY,
    "digest": DAY,
    "login.failed": 2 * DAY,
    "user.new": 30 * DAY,
}
"""Seconds after which nobody wants to hear of it any more."""
STALE_ELSE = 7 * DAY

_WARNINGS = frozenset(
    {
        *("config.restart", "nextcloud.album_lags", "nextcloud.galleries_lag", "photo.noted", "ledger.no_copy"),
        "archive.half_copy",
    }
)
_BENIGN = frozenset({"photo.put_back", "photo.kept", "file.replaced", "media.no_main"})
"""Refusals that somebody wanted, or that follow from another one: nothing to tell."""


def kind_of_issue(issue: dict[str, Any]) -> str:
    """Tell what kind of message an issue is."""
    code, about = str(issue.get("code", "")), str(issue.get("about", ""))
    if code in {"user.new", "user.gone", "config.invalid", "disk.low"}:
        return code
    if issue.get("level") == "warning" or code in _WARNINGS or about.startswith(("scan ", "occ ", "hook")):
        return "issue.warning"
    return "issue.error"


def worth_telling(kind: str, code: str) -> bool:
    """Tell whether a photo's end is of interest to anybody."""
    return kind != "photo.refused" or code not in _BENIGN


def loudness(ntfy: Ntfy, kind: str, of: str = "") -> str:
    """Give how loudly a message rings by the settings; ``of`` is the kind that an ``issue.closed`` ends."""
    if kind in ntfy.events:
        return ntfy.events[kind]
    if kind == "digest":
        return "low"
    if kind == "issue.closed":
        # Good news rings no louder than usual, and only where the bad news rang.
        return min(loudness(ntfy, of or "issue.error"), "default", key=_rank)
    return str(getattr(ntfy.levels, LEVELS[kind]))


def priority(level: str) -> int:
    """Give ntfy's number for a level; 0 where nothing is sent."""
    return PRIORITIES.get(level, 0)


def _rank(level: str) -> int:
    return priority(level)
