"""Folders are asked for together where that costs less, and what is asked for covers all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.nextcloud.joining import Place, Price, joined
from daemon.nextcloud.refresh_plan import INDEX, SCAN, Changed, Features, MemoriesIndex, Scan, plan_refresh

MONTHS = [f"Album/2026/{month:02}" for month in range(1, 13)]
ALL = Features(generate_metadata=True, memories="7.8.2", memories_option="--path", photos=True)


def test_many_small_folders_are_one_call_and_large_ones_one_each() -> None:
    assert joined(MONTHS, SCAN, lambda _: 100) == [Place("Album/2026", whole=True)]
    assert joined(MONTHS, SCAN, lambda _: 10_000) == [Place(path) for path in MONTHS]
    assert joined(MONTHS, INDEX, lambda _: 10_000) == [Place("Album/2026", whole=True)]
    assert joined(MONTHS[:1], SCAN, lambda _: 0) == [Place(MONTHS[0])]
    assert joined([], SCAN, lambda _: 0) == []


def test_a_small_year_is_joined_beside_a_large_one() -> None:
    paths = [*MONTHS, "Album/2025/01", "Album/2025/02"]
    files = {"Album/2026": 50, "Album/2025": 50_000, "Album": 50_050}
    assert joined(paths, SCAN, files.__getitem__) == [
        Place("Album/2025/01"),
        Place("Album/2025/02"),
        Place("Album/2026", whole=True),
    ]


def test_the_albums_root_and_a_whole_home_are_never_scanned_as_one() -> None:
    plan = plan_refresh(
        {"alice": [Changed("In"), Changed("Camera")]},
        [Changed("2025/01", ("a.jpg",), 1), Changed("2026/01", ("b.jpg",), 1)],
        album="/Album",
        seen_by="admin",
        features=ALL,
        count=lambda _user, _path: 1,
    )
    scans = [call for call in plan.calls if isinstance(call, Scan) and not call.generate_metadata]
    assert scans == [
        Scan("alice", "Camera"),
        Scan("alice", "In"),
        Scan("admin", "Album/2025/01"),
        Scan("admin", "Album/2026/01"),
    ]
    # Memories reads what Nextcloud knows, not the disk: one index for the root.
    assert [call for call in plan.calls if isinstance(call, MemoriesIndex)] == [MemoriesIndex("admin", "Album")]


PATHS = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join), max_size=12)


@given(PATHS, st.integers(0, 5000), st.integers(0, 5))
def test_all_are_covered_for_no_more_than_one_by_one(paths: list[str], files: int, known: int) -> None:
    price = Price(0.5, 0.6, 0.001)
    places = joined(paths, price, lambda path: files if len(path) > known else None)
    for path in paths:
        assert any(path == one.path or (one.whole and path.startswith(f"{one.path}/")) for one in places)
    cost = sum(price.start + files * price.each if one.whole else price.folder for one in places)
    assert cost <= price.folder * len(set(paths)) + 1e-9
    assert len(places) <= len(set(paths))
