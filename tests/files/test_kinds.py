from __future__ import annotations

import io
import struct

import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from daemon.files.kinds import FILE_TYPES, agrees, category_of, extension_of, is_encrypted, sniff

pillow_heif.register_heif_opener()

EXPECTED = """
    jpg jpeg jpe jps mpo heic heif hif avif webp png gif bmp tif tiff jp2 jxl
    arw cr2 cr3 crw dcr dng erf iiq k25 kdc mef mrw nef nrw orf pef raf rw2 srf sr2 srw x3f 3fr fff
    mp4 m4v mov avi mkv webm mpg mpeg mts m2ts m2t 3gp 3g2 wmv xmp aae json yml txt
"""


def encoded(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(out, kind)
    return out.getvalue()[:4096]


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    content = major + bytes(4) + b"".join(compatible)
    return struct.pack(">L", 8 + len(content)) + b"ftyp" + content + b"\0\0\0\x08free"


STARTS = {
    "heif": ftyp(b"heix", b"mif1", b"heic"),
    "avif": ftyp(b"mif1", b"avif", b"mif1"),
    "cr3": ftyp(b"crx ", b"isom"),
    "mp4": ftyp(b"qt  "),
    "avi": b"RIFF\0\0\0\0AVI LIST",
    "matroska": b"\x1a\x45\xdf\xa3\x01",
    "mpeg": b"\0\0\x01\xba\x44",
    "mpegts": (b"G" + bytes(187)) * 4,
    "asf": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    "raf": b"FUJIFILMCCD-RAW 0201",
    "rw2": b"IIU\0\x18\0\0\0",
    "orf": b"IIRO\x08\0\0\0",
    "crw": b"II\x1a\0\0\0HEAPCCDR",
    "mrw": b"\0MRM\0\0",
    "x3f": b"FOVb\0\0",
    "tiff": b"II*\0\x08\0\0\0",
    "jxl": b"\xff\x0a\xfa",
}


def test_all_extensions_are_known_in_any_case() -> None:
    assert set(EXPECTED.split()) <= set(FILE_TYPES)
    assert extension_of("a.b.JPG") == "jpg"
    assert extension_of(".jpg") == ""
    assert extension_of("x") == ""
    assert category_of("x.HEIC") == "image"
    assert category_of("x.ARW") == "raw"
    assert category_of("x.MOV") == "video"
    assert category_of("x.jpg.json") == "side"
    assert category_of("x.exe") is None


@pytest.mark.parametrize(
    ("kind", "extensions"),
    [
        ("JPEG", "jpg JPEG .jpe mpo"),
        ("PNG", "png"),
        ("GIF", "gif"),
        ("BMP", "bmp"),
        ("TIFF", "tif tiff dng nef"),
        ("WEBP", "webp"),
        ("JPEG2000", "jp2"),
        ("HEIF", "heic heif hif"),
        ("AVIF", "avif"),
    ],
)
def test_real_files_agree_with_their_own_extensions_only(kind: str, extensions: str) -> None:
    first = encoded(kind)
    assert all(agrees(extension, first) for extension in extensions.split())
    others = {"JPEG": "png", "TIFF": "jpg"}
    assert not agrees(others.get(kind, "jpg"), first)
    assert not agrees("mp4", first)
    assert not agrees("exe", first)


@pytest.mark.parametrize("kind", STARTS)
def test_each_kind_is_told_by_its_first_bytes(kind: str) -> None:
    assert sniff(STARTS[kind]) == kind


def test_videos_in_either_of_the_sister_formats() -> None:
    for extension in ("mp4", "m4v", "mov", "3gp", "3g2"):
        assert agrees(extension, ftyp(b"3gp4", b"isom"))
        assert agrees(extension, b"\0\0\0\x08wide\0\0\0\0mdat")
    assert agrees("mts", (bytes(4) + b"G" + bytes(187)) * 3)
    assert not agrees("mts", b"G" + bytes(600))
    assert not agrees("mp4", ftyp(b"heic", b"mif1"))


def test_what_is_no_media_agrees_with_nothing_but_side_files() -> None:
    for first in (b"", b"<html>", b"MZ\x90", bytes(4096), b"HBEGIN:oc_encryption_module:"):
        assert not [name for name, kind in FILE_TYPES.items() if kind.category != "side" and agrees(name, first)]
        assert agrees("xmp", first)


def test_encrypted_by_the_server() -> None:
    assert is_encrypted(b"HBEGIN:oc_encryption_module:OC_DEFAULT_MODULE:cipher:AES-256-CTR")
    assert not is_encrypted(encoded("JPEG"))


@given(
    st.one_of(st.binary(max_size=600), st.tuples(st.sampled_from(sorted(STARTS.values())), st.binary()).map(b"".join))
)
def test_any_bytes_get_an_answer(first: bytes) -> None:
    assert isinstance(sniff(first), str)
