"""The playground's media: what other programs read from them is what was asked for."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import exifread
import pillow_heif
import pytest
from PIL import Image

from daemon.demo import samples

TAKEN = datetime(2026, 11, 22, 18, 30, 5, tzinfo=timezone(timedelta(hours=2)))
Maker = Callable[..., bytes]
STILLS: dict[str, Maker] = {"jpg": samples.jpeg, "heic": samples.heic, "png": samples.png, "dng": samples.dng}
VIDEOS: dict[str, Maker] = {"mp4": samples.mp4, "mov": samples.mov}
ALL = {**STILLS, **VIDEOS}

pillow_heif.register_heif_opener()


@pytest.mark.parametrize("kind", ALL)
def test_same_date_and_seed_give_the_same_bytes_and_others_do_not(kind: str) -> None:
    make = ALL[kind]
    assert make(TAKEN, 7) == make(TAKEN, 7)
    others = {make(TAKEN, seed) for seed in range(20)} | {make(TAKEN + timedelta(seconds=s), 0) for s in range(1, 20)}
    assert len(others) == 39


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("size", [40_000, 65_537 + 40_000, 131_074 + 3, 1_000_001])
def test_size_is_exact(kind: str, size: int) -> None:
    assert len(ALL[kind](TAKEN, 1, size)) == size


@pytest.mark.parametrize("kind", ALL)
def test_a_size_below_the_smallest_is_refused(kind: str) -> None:
    make = ALL[kind]
    smallest = len(make(TAKEN, 0))
    assert len(make(TAKEN, 0, smallest)) == smallest
    with pytest.raises(ValueError, match="at least"):
        make(TAKEN, 0, smallest - 1)


@pytest.mark.parametrize("kind", STILLS)
@pytest.mark.parametrize("size", [None, 300_000])
def test_stills_decode_and_carry_their_date(kind: str, size: int | None) -> None:
    data = STILLS[kind](TAKEN, 3, size)
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        assert min(picture.size) >= 64
        low, high = picture.convert("L").getextrema()
        assert isinstance(low, float | int)
        assert isinstance(high, float | int)
        assert high - low > 60, "a picture with something to see"
    tags = exifread.process_file(io.BytesIO(data), details=False)
    assert str(tags["EXIF DateTimeOriginal"]) == "2026:11:22 18:30:05"
    assert str(tags["Image DateTime"]) == "2026:11:22 18:30:05"


@pytest.mark.parametrize("data", [samples.live_pair(TAKEN, 5)[0], samples.live_pair_jpeg(TAKEN, 5)[0]])
def test_the_still_of_a_live_photo_announces_its_partner(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as picture:
        note = picture.getexif().get_ifd(0x8769)[0x927C]
    assert note.startswith(b"Apple iOS\0\0\1MM")
    assert samples.content_identifier(TAKEN, 5).encode() + b"\0" in note


def test_plain_stills_announce_no_partner() -> None:
    assert b"Apple iOS" not in samples.heic(TAKEN, 1) + samples.jpeg(TAKEN, 1)


@pytest.mark.parametrize("pair", [samples.live_pair, samples.live_pair_jpeg])
def test_both_halves_of_a_live_photo_share_an_identifier_of_their_own(
    pair: Callable[[datetime, int], tuple[bytes, bytes]],
) -> None:
    identifiers = set()
    for seed in range(5):
        identifier = samples.content_identifier(TAKEN, seed)
        still, moving = pair(TAKEN, seed)
        assert identifier.encode() in still
        assert identifier.encode() in moving
        identifiers.add(identifier)
    assert len(identifiers) == 5


def test_a_video_without_a_partner_has_nobodys_identifier() -> None:
    assert samples.IDENTIFIER.encode() not in samples.mov(TAKEN, 1)
    assert samples.content_identifier(TAKEN, 1).encode() not in samples.mov(TAKEN, 1)


def test_placeholders_are_in_the_base_files_and_nowhere_else() -> None:
    assert sum(path.stat().st_size for path in samples.MEDIA.iterdir()) < 300_000
    for kind, make in ALL.items():
        data = make(TAKEN, 1)
        for placeholder in (samples.DATE, samples.OFFSET, samples.QUICKTIME_DATE, samples.IDENTIFIER):
            assert placeholder.encode() not in data, (kind, placeholder)


def test_a_date_without_zone_counts_as_utc() -> None:
    assert samples.mp4(TAKEN.replace(tzinfo=None), 1)[:2_000] == samples.mp4(TAKEN.replace(tzinfo=UTC), 1)[:2_000]


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool: apt-get install libimage-exiftool-perl")
def test_exiftool_finds_no_fault(tmp_path: Path) -> None:
    for kind, make in ALL.items():
        tmp_path.joinpath(f"small.{kind}").write_bytes(make(TAKEN, 1))
        tmp_path.joinpath(f"big.{kind}").write_bytes(make(TAKEN, 2, 200_000))
    still, moving = samples.live_pair(TAKEN, 4)
    tmp_path.joinpath("live.heic").write_bytes(still)
    tmp_path.joinpath("live.mov").write_bytes(moving)
    tmp_path.joinpath("live.xmp").write_bytes(samples.xmp(1))
    command = ["exiftool", "-json", "-api", "QuickTimeUTC=0", "-validate", "-all", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=False)
    found = {Path(one["SourceFile"]).name: one for one in json.loads(done.stdout)}
    assert len(found) == 2 * len(ALL) + 3
    for name, one in found.items():
        assert "Error" not in one, (name, one)
        kind = name.rpartition(".")[2].replace("mov", "mp4")
        if kind in {"jpg", "png", "dng", "heic"}:
            assert one["DateTimeOriginal"] == "2026:11:22 18:30:05", name
        if kind == "mp4":
            assert one["CreateDate"] == "2026:11:22 16:30:05", name
    identifier = samples.content_identifier(TAKEN, 4)
    # Tag 0x0011 was called MediaGroupUUID before exiftool 12.6x.
    assert identifier in (found["live.heic"].get("ContentIdentifier"), found["live.heic"].get("MediaGroupUUID"))
    assert found["live.mov"]["ContentIdentifier"] == identifier
    assert found["live.mov"]["CreationDate"] == "2026:11:22 18:30:05+02:00"
    assert found["live.heic"]["OffsetTimeOriginal"] == "+02:00"


@pytest.mark.parametrize("kind", VIDEOS)
def test_videos_are_whole_boxes_and_no_sample_has_moved(kind: str) -> None:
    base = (samples.MEDIA / {"mp4": "lake.mp4", "mov": "live.mov"}[kind]).read_bytes()
    data = VIDEOS[kind](TAKEN, 1, 100_000)
    boxes: dict[bytes, bytes] = {}
    at, last = 0, b""
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        last = data[at + 4 : at + 8]
        boxes[last] = data[at + 8 : at + length]
        at += length
    assert at == len(data)
    assert last == b"free"
    assert {b"ftyp", b"mdat", b"moov"} <= boxes.keys()
    # Chunk offsets count from the start of the file: the frames must lie where the base file had them.
    assert data.index(boxes[b"mdat"]) == base.index(boxes[b"mdat"])
    differing = sum(one != other for one, other in zip(data, base, strict=False))
    assert 0 < differing < 120, "dates and an identifier, nothing else"
