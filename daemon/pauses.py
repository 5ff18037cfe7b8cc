"""How long to wait before the next try."""

from __future__ import annotations

import random

FIRST = 2.0
LONGEST = 300.0
BEYOND = 2 * LONGEST
"""No pause reaches so far: a try that is due later than that was set by a clock that has been set back since."""


def pause(attempts: int, wanted: float | None = None) -> float:
    """Give the seconds until the next try after ``attempts`` that failed (0 for the first failure).

    Pauses double from 2 s to 5 min, with a fifth of jitter so that a hundred photos do not all ask in the same
    second. ``wanted`` is what the other side asked for; it counts as the least.
    """
    grown = min(FIRST * 2.0 ** min(attempts, 10), LONGEST)
    spread = grown * random.uniform(0.8, 1.2)  # noqa: S311  no secret depends on it
    return min(max(spread, wanted or 0.0), LONGEST)
