"""The model of a disk: what was synced is always there, what was not may be, and nothing that no journal leaves."""

from __future__ import annotations

from tests.torture.fuse.durable import HOWS, Attrs, Disk, Write

ROOT, FOLDER, FILE, OTHER = 1, 2, 10, 11
SEEDS = range(300)


def _attrs(ctime: int = 0) -> Attrs:
    return Attrs(0o644, 0, 0, 0, ctime)


def _disk() -> Disk:
    return Disk(ROOT, {ROOT: {"there": FILE}})


def _trees(disk: Disk) -> list[dict[int, dict[str, int]]]:
    found: list[dict[int, dict[str, int]]] = []
    for seed in SEEDS:
        tree = disk.survivors(seed).tree
        if tree not in found:
            found.append(tree)
    return found


def test_a_new_name_is_durable_by_its_folder_and_not_by_its_file() -> None:
    disk = _disk()
    disk.names(OTHER, _attrs(), adds=((ROOT, "new", OTHER),))
    disk.sync(OTHER, _attrs())
    assert sorted(map(str, _trees(disk))) == sorted(
        map(str, [{ROOT: {"there": FILE}}, {ROOT: {"there": FILE, "new": OTHER}}])
    )
    disk.sync_folder(ROOT)
    assert _trees(disk) == [{ROOT: {"there": FILE, "new": OTHER}}]


def test_a_rename_is_as_before_or_as_after_and_either_folder_makes_it_durable() -> None:
    for synced in (ROOT, FOLDER):
        disk = Disk(ROOT, {ROOT: {"there": FILE, "folder": FOLDER}, FOLDER: {}})
        disk.names(FILE, _attrs(), removes=((ROOT, "there"),), adds=((FOLDER, "moved", FILE),))
        before = {ROOT: {"there": FILE, "folder": FOLDER}, FOLDER: {}}
        after = {ROOT: {"folder": FOLDER}, FOLDER: {"moved": FILE}}
        assert all(tree in (before, after) for tree in _trees(disk))
        assert len(_trees(disk)) == 2
        disk.sync_folder(synced)
        assert _trees(disk) == [after]


def test_changes_of_one_name_survive_in_their_order_and_of_several_in_any_set() -> None:
    disk = _disk()
    disk.names(FILE, _attrs(), removes=((ROOT, "there"),), adds=((ROOT, "hidden", FILE),))
    disk.names(FILE, _attrs(), removes=((ROOT, "hidden"),))
    disk.names(OTHER, _attrs(), adds=((ROOT, "other", OTHER),))
    roots = [tree[ROOT] for tree in _trees(disk)]
    for names in ({"there": FILE}, {"hidden": FILE}, {}):
        assert names in roots
        assert {**names, "other": OTHER} in roots
    assert len(roots) == 6


def test_what_was_synced_into_a_folder_without_a_durable_name_may_be_gone_with_it() -> None:
    disk = _disk()
    disk.names(FOLDER, _attrs(), adds=((ROOT, "folder", FOLDER),), makes_folder=True)
    disk.names(FILE, _attrs(), removes=((ROOT, "there"),), adds=((FOLDER, "moved", FILE),))
    disk.sync_folder(FOLDER)
    assert {ROOT: {}} in _trees(disk)
    disk.sync_folder(ROOT)
    assert _trees(disk) == [{ROOT: {"folder": FOLDER}, FOLDER: {"moved": FILE}}]


def test_no_journal_writes_what_happened_in_a_folder_before_the_folder_or_its_removal_before_it_was_empty() -> None:
    disk = _disk()
    disk.names(FOLDER, _attrs(), adds=((ROOT, "folder", FOLDER),), makes_folder=True)
    disk.names(FILE, _attrs(), removes=((ROOT, "there"),), adds=((FOLDER, "moved", FILE),))
    assert all(FILE in {**tree[ROOT], **tree.get(FOLDER, {})}.values() for tree in _trees(disk))
    disk.names(FILE, _attrs(), removes=((FOLDER, "moved"),), adds=((ROOT, "back", FILE),))
    disk.names(FOLDER, _attrs(), removes=((ROOT, "folder"),), empties=FOLDER)
    assert all(FILE in {**tree[ROOT], **tree.get(FOLDER, {})}.values() for tree in _trees(disk))


def test_bytes_that_were_not_synced_survive_in_pages_and_the_size_by_itself() -> None:
    disk = _disk()
    for page in range(3):
        disk.write(FILE, Write(page * 4096, bytes([page + 1]) * 4096, b"", page * 4096, _attrs(page + 1)), _attrs())
    sizes, pieces = set(), set()
    for seed in SEEDS:
        undo, again, size = disk.survivors(seed).writes[FILE]
        assert len(undo) == 3
        sizes.add(size)
        pieces.add(len(again))
    assert sizes == {0, 4096, 8192, 12288}
    assert pieces == {0, 1, 2, 3}
    disk.sync(FILE, _attrs(3))
    assert all(not disk.survivors(seed).writes for seed in SEEDS)
    assert {disk.survivors(seed).attrs[FILE].ctime_ns for seed in SEEDS} == {3}


def test_a_seed_tells_the_state_and_all_kinds_of_states_come() -> None:
    disk = _disk()
    for number in range(20):
        disk.names(100 + number, _attrs(), adds=((ROOT, str(number), 100 + number),))
    assert disk.survivors(7) == disk.survivors(7)
    assert {disk.survivors(seed).how for seed in SEEDS} == set(HOWS)
    assert disk.survivors(1, "nothing").tree == {ROOT: {"there": FILE}}
    assert len(disk.survivors(1, "all").tree[ROOT]) == 21
