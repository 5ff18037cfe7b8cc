from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.nextcloud.refresh_plan import Changed, Features, MemoriesIndex, Plan, Scan, plan_refresh

ALL = Features(
    generate_metadata=True, memories="7.8.2", memories_option="--path", memories_skip_cleanup=True, photos=True
)
NONE = Features()


def plan(
    users: dict[str, list[Changed]] | None = None, archive: list[Changed] | None = None, *, features: Features = ALL
) -> Plan:
    return plan_refresh(users or {}, archive or [], album="/Album", seen_by="admin", features=features)


def test_scans_first_then_metadata_then_memories() -> None:
    found = plan(
        {"bob": [Changed("Camera")], "alice": [Changed("InstantUpload/2026"), Changed("InstantUpload")]},
        [Changed("2026/12", ("b.jpg", "a.jpg"), 300), Changed("2026/11", ("c.jpg",), 80)],
    )
    assert found == Plan(
        (
            Scan("alice", "InstantUpload"),
            Scan("alice", "InstantUpload/2026"),
            Scan("bob", "Camera"),
            Scan("admin", "Album/2026/11"),
            Scan("admin", "Album/2026/12"),
            Scan("admin", "Album/2026/11/c.jpg", generate_metadata=True),
            Scan("admin", "Album/2026/12/a.jpg", generate_metadata=True),
            Scan("admin", "Album/2026/12/b.jpg", generate_metadata=True),
            MemoriesIndex("admin", "Album/2026/11"),
            MemoriesIndex("admin", "Album/2026/12"),
        )
    )


def test_the_same_folder_twice_is_one_call() -> None:
    found = plan(
        {"alice": [Changed("In"), Changed("/In/")]},
        [Changed("2026", ("a.jpg",), 200), Changed("2026/", ("a.jpg", "b.jpg"), 201)],
    )
    assert found.calls == (
        Scan("alice", "In"),
        Scan("admin", "Album/2026"),
        Scan("admin", "Album/2026/a.jpg", generate_metadata=True),
        Scan("admin", "Album/2026/b.jpg", generate_metadata=True),
        MemoriesIndex("admin", "Album/2026"),
    )


def test_metadata_goes_the_cheaper_way() -> None:
    def ways(gained: int, there: int) -> list[str]:
        names = tuple(f"{number:04}.jpg" for number in range(gained))
        return [
            call.path
            for call in plan(archive=[Changed("2026", names, there)]).calls
            if isinstance(call, Scan) and call.generate_metadata
        ]

    assert ways(1, 2000) == ["Album/2026/0000.jpg"]  # 0.6 s against 90.5 s
    assert ways(1, 1) == ["Album/2026"]  # 0.6 s against 0.545 s
    assert ways(10, 100) == ["Album/2026"]  # 6 s against 5 s
    assert len(ways(8, 100)) == 8  # 4.8 s against 5 s
    twice = [Changed("2026", ("a.jpg",), 14), Changed("2026", ("a.jpg",), 14)]
    assert Scan("admin", "Album/2026/a.jpg", generate_metadata=True) in plan(archive=twice).calls  # 0.6 s, 1.13 s
    assert ways(100, 0) == ["Album/2026"]  # there are at least those that came


def test_the_root_of_the_album_is_never_scanned() -> None:
    found = plan(archive=[Changed("", ("a.jpg",), 1), Changed("/", ("b.jpg",), 1), Changed("2026")])
    assert found.calls == (Scan("admin", "Album/2026"),)
    assert len(found.warnings) == 1
    assert "2 photos" in found.warnings[0]


def test_no_album_no_calls_for_it() -> None:
    gained = [Changed("2026", ("a.jpg",), 1)]
    for album in ("", "/"):
        assert plan_refresh({}, gained, album=album, seen_by="admin", features=ALL) == Plan(())
    found = plan_refresh({}, gained, album="/Album", seen_by="", features=ALL)
    assert found.calls == ()
    assert len(found.warnings) == 1


def test_what_nextcloud_cannot_do_is_not_asked_of_it() -> None:
    gained = [Changed("2026", ("a.jpg",), 900)]
    assert plan(archive=gained, features=NONE).calls == (Scan("admin", "Album/2026"),)
    whole = Features(memories="9.9")
    two = [*gained, Changed("2027", ("b.jpg",), 900)]
    assert plan(archive=two, features=whole).calls == (
        Scan("admin", "Album/2026"),
        Scan("admin", "Album/2027"),
        MemoriesIndex("admin", None),
    )


def test_switches() -> None:
    gained = [Changed("2026", ("a.jpg",), 900)]
    scan, metadata = Scan("admin", "Album/2026"), Scan("admin", "Album/2026/a.jpg", generate_metadata=True)
    index = MemoriesIndex("admin", "Album/2026")
    no_photos = Features(generate_metadata=True, memories="7", memories_option="--path")

    def calls(features: Features, **switches: str) -> tuple[tuple[object, ...], int]:
        found = plan_refresh({}, gained, album="Album", seen_by="admin", features=features, **switches)  # type: ignore[arg-type]
        return found.calls, len(found.warnings)

    assert calls(no_photos) == ((scan, index), 0)
    assert calls(no_photos, photos="on") == ((scan, metadata, index), 0)
    assert calls(ALL, photos="off", memories="off") == ((scan,), 0)
    assert calls(NONE, photos="on", memories="on") == ((scan,), 2)
    assert calls(NONE, photos="off", memories="off") == ((scan,), 0)


def test_folders_that_only_lost_files_are_only_scanned() -> None:
    assert plan({"alice": [Changed("In", (), 500)]}).calls == (Scan("alice", "In"),)


def test_what_came_back_to_a_user_is_shown_there() -> None:
    found = plan({"alice": [Changed("In", ("a.jpg",), 500)]})
    assert found.calls == (
        Scan("alice", "In"),
        Scan("alice", "In/a.jpg", generate_metadata=True),
        MemoriesIndex("alice", "In"),
    )


PATHS = st.lists(st.sampled_from(["2026", "11", "x y", "ü"]), max_size=3).map("/".join)
CHANGED = st.builds(
    Changed, PATHS, st.lists(st.sampled_from(["a.jpg", "b.jpg", "c.jpg"])).map(tuple), st.integers(0, 3000)
)


@given(st.dictionaries(st.sampled_from(["alice", "bob"]), st.lists(CHANGED)), st.lists(CHANGED), st.booleans())
def test_each_call_once_shallow_and_never_the_albums_root(
    users: dict[str, list[Changed]], archive: list[Changed], rich: bool
) -> None:
    found = plan(users, archive, features=ALL if rich else NONE)
    assert len(set(found.calls)) == len(found.calls)
    kinds = [2 if isinstance(call, MemoriesIndex) else 1 if call.generate_metadata else 0 for call in found.calls]
    assert kinds == sorted(kinds)
    for call in found.calls:
        assert call.path is not None
        assert (call.user, call.path.strip("/")) != ("admin", "Album")
        if isinstance(call, Scan):
            assert call.shallow
    scanned = {call.path for call in found.calls if isinstance(call, Scan) and call.user == "admin"}
    assert {f"Album/{folder.path}" for folder in archive if folder.path} <= scanned
