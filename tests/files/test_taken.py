from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.files import exif
from daemon.files.exiftool import ask_exiftool, find_exiftool
from daemon.files.named_dates import date_in_name
from daemon.files.taken import Taken, content_identifier, taken_at
from tests.files.media import (
    DATE_TIME,
    DIGITIZED,
    MAKER_NOTE,
    OFFSET_ORIGINAL,
    ORIGINAL,
    apple_note,
    box,
    movie,
    photo,
    seconds_since_1904,
)

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MTIME = datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)
BERLIN = timezone(timedelta(hours=2))
UUID = "8A1C4F0E-6B7D-4E2F-9C3A-1D2E3F405162"


@pytest.fixture
def exiftool() -> str:
    program = find_exiftool()
    if program is None:
        pytest.skip("exiftool is not installed (apt-get install libimage-exiftool-perl)")
    return program


def taken(tmp_path: Path, data: bytes, name: str = "x", *, exiftool: str | None = None) -> Taken:
    path = tmp_path / name
    path.write_bytes(data)
    os.utime(path, (MTIME.timestamp(), MTIME.timestamp()))
    with path.open("rb") as file:
        return taken_at(file.fileno(), name, now=NOW, zone=BERLIN, exiftool=exiftool)


def identifier(tmp_path: Path, data: bytes) -> str | None:
    (tmp_path / "x").write_bytes(data)
    with (tmp_path / "x").open("rb") as file:
        return content_identifier(file.fileno())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_exif_tells_the_cameras_own_time(tmp_path: Path, kind: str) -> None:
    data = photo(kind, exif={ORIGINAL: "2024:01:02 03:04:05"}, image={DATE_TIME: "2025:01:01 00:00:00"})
    assert taken(tmp_path, data) == Taken(datetime(2024, 1, 2, 3, 4, 5), "exif")  # noqa: DTZ001


def test_exif_with_a_zone_is_aware(tmp_path: Path) -> None:
    found = taken(tmp_path, photo(exif={ORIGINAL: "2024:01:02 03:04:05", OFFSET_ORIGINAL: "-05:30"}))
    assert found.when.isoformat() == "2024-01-02T03:04:05-05:30"


@pytest.mark.parametrize(
    "nonsense",
    [
        "0000:00:00 00:00:00",
        "    :  :     :  :  ",
        "2024:13:01 00:00:00",
        "1800:01:01 00:00:00",
        "2026:11:24 12:00:00",
        "x",
        "",
    ],
)
def test_impossible_dates_are_passed_over(tmp_path: Path, nonsense: str) -> None:
    data = photo(exif={ORIGINAL: nonsense, DIGITIZED: "2024:01:02 03:04:05"})
    assert taken(tmp_path, data).when == datetime(2024, 1, 2, 3, 4, 5)  # noqa: DTZ001
    assert taken(tmp_path, photo(exif={ORIGINAL: nonsense}), "IMG_20230102_030405.jpg").source == "name"


def test_large_segments_before_exif_do_not_hide_it(tmp_path: Path) -> None:
    data = photo(exif={ORIGINAL: "2024:01:02 03:04:05"})
    segment = b"\xff\xe2" + struct.pack(">H", 65535) + bytes(65533)
    xmp = b"\xff\xe1" + struct.pack(">H", 40002) + b"http://ns.adobe.com/xap/1.0/\0".ljust(40000, b" ")
    assert taken(tmp_path, data[:2] + segment * 3 + xmp + data[2:]).source == "exif"


def test_a_canon_raw_file_and_a_fujifilm_one(tmp_path: Path) -> None:
    entry = struct.pack("<HHLL", ORIGINAL, 2, 20, 26) + bytes(4)
    exif = b"II*\0" + struct.pack("<LH", 8, 1) + entry + b"2024:01:02 03:04:05\0"
    canon = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    empty = b"II*\0" + struct.pack("<LHL", 8, 0, 0)
    moov = box(b"moov", box(b"uuid", canon, box(b"CNCV", bytes(9)), box(b"CMT1", empty), box(b"CMT2", exif)))
    cr3 = box(b"ftyp", b"crx ", bytes(4), b"crx isom") + moov
    assert taken(tmp_path, cr3) == Taken(datetime(2024, 1, 2, 3, 4, 5), "exif")  # noqa: DTZ001
    raf = b"FUJIFILMCCD-RAW ".ljust(84, b"\0") + struct.pack(">LL", 148, 9999)
    assert taken(tmp_path, raf.ljust(148, b"\0") + photo(exif={ORIGINAL: "2023:01:02 03:04:05"})).when.year == 2023


@pytest.mark.parametrize("moov_first", [True, False])
@pytest.mark.parametrize("full_meta", [True, False])
def test_a_movie_tells_its_local_time_before_its_header(tmp_path: Path, moov_first: bool, full_meta: bool) -> None:
    header = seconds_since_1904(datetime(2024, 1, 1, 23, 4, 5, tzinfo=UTC))
    assert taken(tmp_path, movie(header, moov_first=moov_first)).when.isoformat() == "2024-01-02T01:04:05+02:00"
    keys = {
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.content.identifier": UUID,
        "com.apple.quicktime.creationdate": "2024-01-02T08:04:05+0900",
    }
    data = movie(header, keys, moov_first=moov_first, full_meta=full_meta, media=300_000)
    assert taken(tmp_path, data) == Taken(
        datetime(2024, 1, 2, 8, 4, 5, tzinfo=timezone(timedelta(hours=9))), "quicktime"
    )
    assert identifier(tmp_path, data) == UUID


def test_a_movie_whose_clock_was_never_set_is_not_believed(tmp_path: Path) -> None:
    assert taken(tmp_path, movie(0), "VID_20230102_030405.mp4").source == "name"
    assert taken(tmp_path, movie(seconds_since_1904(datetime(1970, 1, 1, tzinfo=UTC))), "x.mp4").source == "mtime"
    assert taken(tmp_path, movie(0xFFFFFFFF), "x.mp4").source == "mtime"


@pytest.mark.parametrize("kind", ["JPEG", "HEIF"])
def test_a_photo_announces_its_movie(tmp_path: Path, kind: str, exiftool: str) -> None:
    data = photo(kind, exif={MAKER_NOTE: apple_note(UUID)}, image={0x010F: "Apple"})
    assert identifier(tmp_path, data) == UUID
    # The sample is what exiftool, too, takes for Apple's; older ones call the tag MediaGroupUUID.
    told = subprocess.run([exiftool, "-j", str(tmp_path / "x")], check=True, capture_output=True).stdout
    assert UUID in [json.loads(told)[0].get(tag) for tag in ("ContentIdentifier", "MediaGroupUUID")]
    assert identifier(tmp_path, photo(kind)) is None
    assert identifier(tmp_path, photo(kind, exif={MAKER_NOTE: apple_note("../../x")}, image={0x010F: "Apple"})) is None


def test_exiftool_is_asked_where_nothing_else_knows(tmp_path: Path, exiftool: str) -> None:
    idit = box_riff(b"IDIT", b"Tue Jan 02 03:04:05 2024\n\0")
    avi = box_riff(b"RIFF", b"AVI " + box_riff(b"LIST", b"hdrl" + box_riff(b"avih", bytes(56)) + idit))
    assert taken(tmp_path, avi, "clip.avi").source == "mtime"
    assert taken(tmp_path, avi, "clip.avi", exiftool=exiftool) == Taken(datetime(2024, 1, 2, 3, 4, 5), "exiftool")  # noqa: DTZ001


def test_exiftool_failing_or_hanging_is_no_fault(tmp_path: Path) -> None:
    for script in ("exit 1", "echo '[{'", "echo '[]'", "sleep 60", "yes", "exec sleep 60 >/dev/null"):
        program = tmp_path / "tool"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        started = time.monotonic()
        with program.open("rb") as file:
            assert ask_exiftool(str(program), file.fileno(), timeout=0.3) == {}
        assert time.monotonic() - started < 10
    with (tmp_path / "tool").open("rb") as file:
        assert ask_exiftool("/nowhere/exiftool", file.fileno()) == {}


def box_riff(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<L", len(content)) + content + bytes(len(content) % 2)


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("IMG_20240102_030405.jpg", "2024-01-02 03:04:05"),
        ("IMG_20240102_030405123.jpg", "2024-01-02 03:04:05"),
        ("PXL_20240102_030405678.MP.jpg", "2024-01-02 03:04:05"),
        ("20240102_030405(0).heic", "2024-01-02 03:04:05"),
        ("2024-01-02 03.04.05.jpg", "2024-01-02 03:04:05"),
        ("2020-06-22_23-15-31_IMG_2292.heic", "2020-06-22 23:15:31"),
        ("Screenshot_2024-01-02-03-04-05-12_abc.png", "2024-01-02 03:04:05"),
        ("Screenshot_20240102-030405.png", "2024-01-02 03:04:05"),
        ("Screen Shot 2024-01-02 at 3.04.05 PM.png", "2024-01-02 15:04:05"),
        ("Screenshot 2024-01-02 at 12.04.05\u202fAM.png", "2024-01-02 00:04:05"),
        ("WhatsApp Image 2024-01-02 at 03.04.05.jpeg", "2024-01-02 03:04:05"),
        ("signal-2024-01-02-030405.jpg", "2024-01-02 03:04:05"),
        ("photo_2024-01-02_03-04-05.jpg", "2024-01-02 03:04:05"),
        ("WIN_20240102_03_04_05_Pro.jpg", "2024-01-02 03:04:05"),
        ("DJI_20240102030405_0001_D.JPG", "2024-01-02 03:04:05"),
        ("IMG-20240102-WA0001.jpg", "2024-01-02 00:00:00"),
        ("2024-01-02.jpg", "2024-01-02 00:00:00"),
        ("FB_IMG_1704164645123.jpg", "2024-01-02 03:04:05.123000+00:00"),
        ("IMG_0001.jpg", None),
        ("DSC12345678.jpg", None),
        ("IMG_20241399_030405.jpg", None),
        ("120240102030405.jpg", None),
        ("20240230.jpg", None),
        ("1234567890123456789012345678901234567890.jpg", None),
    ],
)
def test_dates_in_names(name: str, when: str | None) -> None:
    found = date_in_name(name)
    assert (str(found) if found else None) == when


@given(st.text(st.sampled_from("0123456789-_. :aptPMIGWx"), max_size=255))
def test_any_name_gets_an_answer(name: str) -> None:
    found = date_in_name(name)
    assert found is None or 1800 <= found.year < 2100


def test_without_any_witness_it_is_the_mtime_in_the_wanted_zone(tmp_path: Path) -> None:
    assert taken(tmp_path, photo(), "x.jpg") == Taken(MTIME.astimezone(BERLIN), "mtime")
    path = tmp_path / "later.jpg"
    path.write_bytes(b"")
    os.utime(path, (NOW.timestamp() + 10**8, NOW.timestamp() + 10**8))
    with path.open("rb") as file:
        found = taken_at(file.fileno(), "later.jpg", now=datetime.now(UTC))
        assert abs((found.when - datetime.now(UTC)).total_seconds()) < 60


def hostile_files() -> dict[str, bytes]:
    def tiff(*entries: bytes, next_ifd: int = 8) -> bytes:
        return b"II*\0" + struct.pack("<LH", 8, len(entries)) + b"".join(entries) + struct.pack("<L", next_ifd)

    huge_text = struct.pack("<HHLL", ORIGINAL, 2, 0xFFFFFFFF, 8)
    huge_note = struct.pack("<HHLL", MAKER_NOTE, 1, 0xFFFFFFFF, 8)
    to_itself = struct.pack("<HHLL", 0x8769, 4, 1, 8) + struct.pack("<HHLL", 0x8825, 4, 1, 8)
    chain = b"".join(struct.pack("<HL", 0, 14 + index * 6) for index in range(100_000))
    return {
        "text of 4 GiB": tiff(huge_text),
        "maker note of 4 GiB": tiff(struct.pack("<HHLL", 0x8769, 4, 1, 8), huge_note),
        "directories in a ring": tiff(to_itself, next_ifd=8),
        "65535 entries": b"II*\0" + struct.pack("<LH", 8, 0xFFFF) + huge_text * 30_000,
        "a long chain": b"II*\0" + struct.pack("<L", 8) + chain,
        "jpeg of empty segments": b"\xff\xd8" + b"\xff\xe1\0\2" * 200_000,
        "jpeg of fill bytes": b"\xff\xd8" + b"\xff" * 500_000,
        "png of empty chunks": b"\x89PNG\r\n\x1a\n" + (bytes(4) + b"tEXt" + bytes(4)) * 100_000,
        "webp of empty chunks": b"RIFF\0\0\0\0WEBPVP8X" + b"\x0a\0\0\0\x08" + bytes(9) + b"XXXX\0\0\0\0" * 100_000,
        "a million boxes": box(b"ftyp", b"qt  ") + box(b"free") * 1_000_000,
        "boxes without end": box(b"ftyp", b"qt  ") + struct.pack(">L4sQ", 1, b"moov", 1 << 63),
        "box of size zero in itself": box(b"ftyp", b"qt  ") + b"\0\0\0\0moov" * 1000,
        "keys without end": movie(1, {"a" * 100: "b"}).replace(b"mdta" + b"a" * 100, b"mdta" + b"\0" * 100),
        "heic with wild places": box(b"ftyp", b"heic", bytes(4), b"mif1")
        + box(
            b"meta",
            bytes(4),
            box(b"iinf", bytes(4), b"\0\1", box(b"infe", b"\2\0\0\0\0\1\0\0Exif\0")),
            box(b"iloc", b"\1\0\0\0\x88\x88", b"\xff\xff", b"\0\1\0\0\0\0" + b"\xff" * 1000),
        ),
    }


@pytest.mark.parametrize("kind", hostile_files())
def test_hostile_files_cost_little_and_raise_nothing(tmp_path: Path, kind: str) -> None:
    data = hostile_files()[kind]
    (tmp_path / "x").write_bytes(data)
    with (tmp_path / "x").open("rb") as file:
        tracemalloc.start()
        started = time.process_time()
        try:
            taken_at(file.fileno(), "x", now=NOW)
            content_identifier(file.fileno())
            spent, peak = time.process_time() - started, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert spent < 8  # traced, which is several times slower
    assert peak < 32 << 20


@pytest.mark.parametrize("kind", ["JPEG", "HEIF", "TIFF", "PNG", "WEBP", "movie"])
def test_broken_files_raise_nothing(tmp_path: Path, kind: str) -> None:
    keys = {"com.apple.quicktime.content.identifier": UUID}
    good = (
        movie(5, keys)
        if kind == "movie"
        else photo(kind, exif={ORIGINAL: "2024:01:02 03:04:05", MAKER_NOTE: apple_note(UUID)})
    )
    chance = random.Random(1)
    for _ in range(150):
        data = bytearray(good)
        for _ in range(chance.randint(1, 12)):
            data[chance.randrange(min(len(data), 900))] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        cut = chance.choice([len(data), chance.randrange(len(data))])
        assert taken(tmp_path, bytes(data[:cut]))
        identifier(tmp_path, bytes(data[:cut]))


def test_files_read_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    paths = []
    for year in range(2000, 2016):
        path = tmp_path / f"{year}.heic"
        path.write_bytes(photo("HEIF", exif={ORIGINAL: f"{year}:01:02 03:04:05"}, image={0x010E: "x" * (year - 1990)}))
        paths.append(path)

    def year_of(path: Path) -> int:
        with path.open("rb") as file:
            return taken_at(file.fileno(), path.name, now=NOW).when.year

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(year_of, paths * 20)) == [int(path.stem) for path in paths] * 20


TEXTS = st.sampled_from(["2024:05:06 07:08:09", "2023:01:02 03:04:05", "", "x", "+02:00", "    :  :  ", "2024"])
FOUR = ("DateTimeOriginal", "DateTimeDigitized", "DateTime", "OffsetTimeOriginal")


@given(st.data())
def test_the_short_way_to_the_date_says_what_exifread_says(data: st.DataObject) -> None:
    """Whatever the tags; and where bytes are broken, it never says another date than exifread."""
    inner = data.draw(st.dictionaries(st.sampled_from([ORIGINAL, DIGITIZED, OFFSET_ORIGINAL, 0x9010]), TEXTS))
    whole = bytearray(photo(exif=dict(inner), image=dict(data.draw(st.dictionaries(st.just(DATE_TIME), TEXTS)))))
    broken = data.draw(st.lists(st.tuples(st.integers(0, min(len(whole), 400) - 1), st.integers(0, 255)), max_size=3))
    for at, byte in broken:
        whole[at] = byte
    fd = os.memfd_create("photo")
    try:
        os.write(fd, whole)
        quick, full = exif.dates(fd), exif.exif_tags(fd)
    finally:
        os.close(fd)
    for name in FOUR:
        mine, theirs = (exif.text_of(tags, f"EXIF {name}", f"Image {name}") for tags in (quick, full))
        assert mine == theirs or (broken and "" in {mine, theirs})


def test_the_date_of_a_camera_is_read_the_short_way(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(photo(exif={ORIGINAL: "2024:05:06 07:08:09", OFFSET_ORIGINAL: "+02:00"}))
    with (tmp_path / "x").open("rb") as file:
        found = exif.dates(file.fileno())
    assert found == {"EXIF DateTimeOriginal": "2024:05:06 07:08:09\0", "EXIF OffsetTimeOriginal": "+02:00\0"}
