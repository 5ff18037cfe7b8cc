"""What whoever comes before the daemon is ready is told."""

from __future__ import annotations

from daemon.errors import Transient


def starting() -> Transient:
    """Give the error for whoever comes before the daemon is ready."""
    return Transient(
        "daemon.starting",
        "the daemon is starting, or taking up new settings",
        hint="it is tried again by itself; if this stays, the log says what it waits for",
        retry_after=2.0,
    )
