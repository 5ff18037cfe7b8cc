"""The run over a million photos, with three thousand of them: it comes to its end, and sees what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.million import MUST_BE_NONE, Million, relay

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.long_form
@pytest.mark.timeout(600)
def test_a_home_of_three_thousand_is_relayed_as_a_whole(tmp_path: Path) -> None:
    counts = relay(tmp_path, 3_000, 500, print)
    assert counts["ended"] == counts["photos"] == 3_000
    assert counts["in the archive"] == counts["contents"] == 2_700
    assert not any(counts[name] for name in MUST_BE_NONE)


def test_what_is_lost_twice_or_left_is_counted(tmp_path: Path) -> None:
    million = Million(tmp_path, 20, print)
    million.make()
    assert len(million.contents) == 18
    photos = sorted(million.scene.source.rglob("*.jpg"))
    (million.scene.root / "log").write_text("Traceback")
    for copy in ("a.jpg", "b.jpg"):
        (million.scene.archive / copy).write_bytes(photos[0].read_bytes())
    (million.scene.archive / "c.jpg").write_bytes(b"nobody's")
    photos[1].unlink()
    counts = million.counts()
    assert {name: counts[name] for name in MUST_BE_NONE} == {
        "lost": 1,
        "twice in the archive": 1,
        "in the archive and nobody's": 1,
        "left at home, though ended": 0,
        "faults in the log": 1,
    }
