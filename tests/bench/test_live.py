"""However much happens, a page gets ten frames a second, misses no photo, and one that does not read costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.live import storm
from ui.client import MAX_BYTES

if TYPE_CHECKING:
    from pathlib import Path

RATE = 10_000


async def test_ten_thousand_events_a_second(tmp_path: Path) -> None:
    found = await storm(tmp_path / "playground", RATE, 4.0)
    assert found.events > 0.8 * RATE
    assert found.frames <= 10
    # Each one's end; where the machine let the loop wait so long that they are too many, a snapshot in their place.
    assert found.missed == 0
    assert found.photos > found.told / 2
    assert found.grown < 16 * MAX_BYTES
    assert found.healthy < 1.0
