"""The stand-in imports as PhotoPrism does, surprises included; other tests rely on each of them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.standins import photoprism_rules as rules

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.photoprism.client import PhotoPrism
    from tests.photoprism.conftest import Trees
    from tests.standins.photoprism import PhotoPrismStandIn


async def take(client: PhotoPrism, folder: str = "batch") -> None:
    await client.import_folder(folder, timeout=10.0)


async def test_moves_renames_and_keeps_the_time(client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees) -> None:
    data = b"\xff\xd8 2024:05:10 10:11:12" + b"x" * 500
    sha1 = trees.put("batch/one/IMG 1.JPG", data)
    await take(client)
    assert trees.left() == []
    assert not (trees.imports / "batch").exists()
    (name,) = trees.stored()
    assert name.startswith("2024/05/20240510_101112_")
    assert name.endswith(".jpg")
    assert (trees.originals / name).stat().st_mtime == 1_790_000_000.5
    row = pp.row(sha1)
    assert row is not None
    assert (row.name, row.original_name, row.size) == (name, "one/IMG 1.JPG", len(data))


async def test_without_exif_a_date_in_the_path_counts_then_the_mtime(client: PhotoPrism, trees: Trees) -> None:
    trees.put("batch/holiday 2019-08-07/a.jpg")
    trees.put("batch/b.jpg", mtime=datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC).timestamp())
    await take(client)
    assert [each[:23] for each in trees.stored()] == ["2019/08/20190807_000000", "2021/03/20210304_050607"]


async def test_an_unclean_path_imports_everything(pp: PhotoPrismStandIn, client: PhotoPrism, trees: Trees) -> None:
    trees.put("other/x.jpg")
    # The client refuses such a path, so the call is made by hand.
    await client._http.call("POST", "import/..%2Fevil", body={"move": True})
    assert pp.imports[0]["path"] == ""
    assert trees.left() == []


async def test_move_deletes_hidden_files_and_leaves_what_it_cannot_import(client: PhotoPrism, trees: Trees) -> None:
    trees.put("batch/.a.jpg.part")
    trees.put("batch/one/__b.jpg")
    trees.put("batch/.staging/c.jpg")
    trees.put("batch/notes.xyz")
    trees.put("batch/lonely.xmp")
    trees.put("batch/empty.jpg", b"")
    trees.put("batch/_ok.jpg")
    await take(client)
    assert trees.left() == ["batch/.staging/c.jpg", "batch/empty.jpg", "batch/lonely.xmp", "batch/notes.xyz"]
    assert len(trees.stored()) == 1


async def test_ppignore_and_not_allowed_extensions_stay(
    client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees
) -> None:
    pp.traps.import_allow = ["jpg"]
    trees.put("batch/.ppignore", b"# not these\nSkip*\n")
    trees.put("batch/skip1.jpg")
    trees.put("batch/film.mp4")
    trees.put("batch/a.jpg")
    await take(client)
    assert trees.left() == ["batch/film.mp4", "batch/skip1.jpg"]


async def test_a_group_is_named_after_its_main_file(client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees) -> None:
    still, film = trees.put("batch/IMG_1.JPG"), trees.put("batch/IMG_1.MOV")
    edited = trees.put("batch/IMG_E1.JPG")
    for side in ("IMG_1.JPG.json", "IMG_1.json", "IMG_1.AAE", "IMG_1.what"):
        trees.put(f"batch/{side}")
    await take(client)
    rows = {row.hash: row for row in pp.rows}
    assert set(rows) == {still, film, edited}, "side files get no row"
    assert rows[film].is_primary, "beside a JPEG the video is the main file"
    assert len({row.photo_uid for row in rows.values()}) == 1
    stem = rows[film].name.removesuffix(".mov")
    assert trees.stored() == sorted(
        f"{stem}{each}" for each in [".mov", ".jpg", ".00001.jpg", ".json", ".00001.json", ".aae", ".what"]
    )


@pytest.mark.parametrize(
    ("names", "main"),
    [
        (["a.jpg", "a.mov"], "a.mov"),
        (["a.heic", "a.mov"], "a.heic"),
        (["a.heic", "a.jpg", "a.mov"], "a.heic"),
        (["a.dng", "a.jpg"], "a.dng"),
        (["a.mp4"], "a.mp4"),
        (["a.gif", "a.jpg"], "a.gif"),
        (["a.xmp", "a.json"], None),
    ],
)
def test_which_file_is_the_main_one(names: list[str], main: str | None) -> None:
    assert rules.main_of(names) == main


@pytest.mark.parametrize("name", ["IMG_1.JPG", "IMG_1.JPG.json", "IMG_1.heic.xmp", "IMG_1.what", "IMG_1"])
def test_what_a_group_is_known_by(name: str) -> None:
    assert rules.prefix(name) == "IMG_1"


def test_strangers_that_the_rules_join() -> None:
    names = ["X.jpg", "X_2023.jpg", "X_20234.jpg", "x.jpg", "X.JPG.json", "XY.jpg", "IMG_7.HEIC", "IMG_E7.HEIC"]
    assert rules.related("X.jpg", names) == ["X.JPG.json", "X.jpg", "X_2023.jpg"]
    assert rules.related("IMG_7.HEIC", names) == ["IMG_7.HEIC", "IMG_E7.HEIC"]


async def test_same_name_and_date_but_other_content(client: PhotoPrism, trees: Trees) -> None:
    # Equal first and last 64 KiB: the checksum in the stand-in's names is equal, too.
    ends = b"2020:01:01 00:00:00" + b"a" * 70_000
    trees.put("batch/a.jpg", ends + b"1" + ends)
    trees.put("batch/b.jpg", ends + b"2" + ends)
    await take(client)
    first, second = trees.stored()
    assert first.removesuffix(".00001.jpg") == second.removesuffix(".jpg")


@pytest.mark.parametrize("how", ["", "archive", "soft_delete"])
async def test_a_duplicate_is_deleted_even_if_archived_or_soft_deleted(
    client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees, how: str
) -> None:
    sha1 = trees.put("batch/a.jpg")
    await take(client)
    if how:
        getattr(pp, how)(sha1)
    trees.put("batch/again.jpg", b"batch/a.jpg" * 50)
    await take(client)
    assert trees.left() == []
    assert len(trees.stored()) == 1
    assert len(pp.rows) == 1


async def test_duplicate_main_with_a_new_partner(client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees) -> None:
    trees.put("batch/a.heic", b"H" * 300)
    await take(client)
    trees.put("batch/a.heic", b"H" * 300)
    film = trees.put("batch/a.mov", b"M" * 300)
    await take(client)
    assert trees.left() == []
    assert any(each.endswith(".mov") for each in trees.stored()), "moved"
    assert pp.row(film) is None, "but not indexed"
    await client.index(trees.stored()[0][:7], timeout=10.0)
    row = pp.row(film)
    assert row is not None
    assert len({each.photo_uid for each in pp.rows}) == 1, "indexed beside its main file"


async def test_moved_but_not_indexed_then_offered_again_then_indexed(
    client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees
) -> None:
    pp.traps.unindexed = ["bad*"]
    sha1 = trees.put("batch/bad.jpg")
    await take(client)
    assert trees.left() == []
    assert len(trees.stored()) == 1
    assert await client.lookup(sha1) is None
    trees.put("batch/bad.jpg", b"batch/bad.jpg" * 50)
    await take(client)
    assert trees.left() == [], "deleted as already there, though no row knows it"
    assert await client.lookup(sha1) is None
    pp.traps.keeps_unproved = True
    trees.put("batch/bad.jpg", b"batch/bad.jpg" * 50)
    await take(client)
    assert trees.left() == ["batch/bad.jpg"], "newer versions keep it"
    await client.index(trees.stored()[0][:7], timeout=10.0)
    assert await client.lookup(sha1) is not None


async def test_what_no_index_mends(client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees) -> None:
    pp.traps.never_indexed = ["bad*"]
    sha1 = trees.put("batch/bad.jpg")
    good = trees.put("batch/good.jpg")
    await take(client)
    await client.index(trees.stored()[0][:7], timeout=10.0)
    assert await client.lookup(sha1) is None
    assert await client.lookup(good) is not None


async def test_a_row_whose_file_is_gone_gets_it_back_at_the_old_place(
    client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees
) -> None:
    sha1 = trees.put("batch/a.jpg", mtime=1_000_000_000)
    await take(client)
    (name,) = trees.stored()
    pp.delete_original(sha1)
    await client.index(name[:7], timeout=10.0)
    assert await client.lookup(sha1) is None, "purged rows are not told of"
    pp.traps.import_dest = "elsewhere"
    trees.put("batch/a.jpg", b"batch/a.jpg" * 50, mtime=1_790_000_000)
    await take(client)
    assert trees.stored() == [name]
    known = await client.lookup(sha1)
    assert known is not None
    assert known.in_originals


async def test_busy_and_missing_folder_look_like_success(
    client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees
) -> None:
    trees.put("batch/a.jpg")
    pp.traps.busy_next = 1
    answer = await client.import_folder("batch", timeout=10.0)
    assert answer.message == "Import completed in 0 s"
    assert trees.left() == ["batch/a.jpg"]
    await client.import_folder("nowhere", timeout=10.0)
    pp.traps.busy = True
    await take(client)
    assert trees.left() == ["batch/a.jpg"]
    pp.traps.busy = False
    await take(client)
    assert trees.left() == []


async def test_across_mounts_a_move_is_a_copy(client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees) -> None:
    pp.traps.exdev = True
    trees.put("batch/a.jpg", b"z" * 1001)
    before = (trees.imports / "batch/a.jpg").stat().st_ino
    await take(client)
    (name,) = trees.stored()
    stat = (trees.originals / name).stat()
    assert (stat.st_size, stat.st_mtime) == (1001, 1_790_000_000.5)
    assert stat.st_ino != before


async def test_faults_of_moving_leave_the_file(client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees) -> None:
    pp.traps.mkdir_denied = True
    trees.put("batch/a.jpg")
    await take(client)
    assert trees.left() == ["batch/a.jpg"]
    pp.traps.clear()
    pp.traps.move_fails = ["a*"]
    await take(client)
    assert trees.left() == ["batch/a.jpg"]
    assert pp.rows == []


async def test_altered_hidden_and_faulty_rows(client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees) -> None:
    pp.traps.altered, pp.traps.hide, pp.traps.row_error = ["x*"], ["h*"], ["e*"]
    altered, hidden, faulty = (trees.put(f"batch/{name}.jpg") for name in ("x", "h", "e"))
    await take(client)
    row = pp.row(altered)
    assert row is not None
    assert hashlib.sha1((trees.originals / row.name).read_bytes()).hexdigest() != altered
    assert await client.visible([altered, hidden, faulty]) == {altered}
    known = await client.lookup(faulty)
    assert known is not None
    assert not known.in_originals


async def test_albums_also_for_duplicates(client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees) -> None:
    sha1 = trees.put("batch/a.jpg")
    await client.import_folder("batch", albums=["Alice"], timeout=10.0)
    trees.put("batch/b.jpg", b"batch/a.jpg" * 50)
    await client.import_folder("batch", albums=["Bob"], timeout=10.0)
    assert pp.albums_of(sha1) == ["Alice", "Bob"]


@given(st.text(alphabet="ab./\\~ %|\n-é2", max_size=12))
def test_what_is_left_of_a_path_is_safe(text: str) -> None:
    left = rules.user_path(text)
    assert ".." not in left
    assert not left.startswith(("/", "."))
    assert rules.user_path(left) in {left, ""}


def test_crc32c_of_the_standard_check_value(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"123456789")
    assert rules.checksum(str(path)) == "E3069283"
