"""What the doors and the live hub serve, described for the document."""

from __future__ import annotations

from ui.api.operations import Operation
from ui.api.shapes.common import Query, Whole
from ui.api.shapes.doors import (
    SessionAnswer,
)


class LiveQuery(Query):
    """Where to go on."""

    since: Whole | None = None


LIVE = (
    Operation(
        "GET",
        "/live",
        "read",
        "WebSocket: a snapshot, then numbered changes; `since` is the last number seen before a break.",
        status=101,
        query=LiveQuery,
    ),
)
OPERATIONS: tuple[Operation, ...] = (
    Operation("GET", "/session", "none", "Who am I, and the CSRF token.", answer=SessionAnswer),
)
