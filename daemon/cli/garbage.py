"""How often Python looks for objects that only hold one another: by default too often for many small photos."""

from __future__ import annotations

import gc

_OBJECTS = 10_000
"""So many more objects than were let go, and the youngest are looked through; a photo makes some hundred."""


def look_seldom() -> None:
    """Leave what was loaded by now out of it for good, and look through the rest a tenth as often.

    With Python's own numbers it took a tenth of what small photos take, and stopped all threads for 50 ms at a time.
    What waits for it meanwhile is a few megabytes at most. For a process of ours only, after everything is loaded.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS, 10, 10)
