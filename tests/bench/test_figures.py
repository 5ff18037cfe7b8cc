"""The table says of each figure whether its goal is kept."""

from __future__ import annotations

import pytest

from tests.bench.figures import HEADS, Figure, table


@pytest.mark.parametrize(
    ("figure", "ratio", "kept"),
    [
        (Figure("a batch", 12.0, "s", 10.0, "sha1sum", goal=1.25), 1.2, True),
        (Figure("a batch", 13.0, "s", 10.0, "sha1sum", goal=1.25), 1.3, False),
        (Figure("a batch", 150.0, "/s", 100.0, "rsync", goal=1.5, least=True), 1.5, True),
        (Figure("a batch", 149.0, "/s", 100.0, "rsync", goal=1.5, least=True), 1.49, False),
        (Figure("small ones", 1499.0, "/s", 1500.0, least=True), 0.999, False),
        (Figure("idle", 0.001, "%", 0.002), 0.5, True),
        (Figure("written at rest", 0, "B", 0), 0, True),
        (Figure("written at rest", 1, "B", 0), 1, False),
    ],
)
def test_a_goal_is_kept_or_not(figure: Figure, ratio: float, *, kept: bool) -> None:
    assert figure.ratio == pytest.approx(ratio, abs=0.001)
    assert figure.kept is kept
    assert figure.cells()[-1] == ("ok" if kept else "SHORT")


def test_a_row_names_its_rival_with_what_it_took() -> None:
    rival = Figure("2,000 photos", 12.0, "s", 10.0, "sha1sum", goal=1.25, runs=5)
    assert rival.cells() == ("2,000 photos", "at most 1.25 x", "12.0 s", "1.20", "sha1sum: 10.0 s", "5", "ok")
    limit = Figure("idle", 0.00123, "%", 0.002)
    assert limit.cells() == ("idle", "at most 0.2 %", "0.123 %", "0.61", "the limit", "1", "ok")
    speed = Figure("small photos", 1801.4, "photos/s", 1500.0, least=True)
    assert speed.cells()[1:4] == ("at least 1,500 photos/s", "1,801 photos/s", "1.20")


def test_the_table_is_markdown_and_aligned() -> None:
    lines = table([Figure("short", 1, "s", 2), Figure("a longer name", 1.5, "s", 3, "rival")]).splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert all(line.count("|") == len(HEADS) + 1 for line in lines)
