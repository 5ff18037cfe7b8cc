"""Makes the small media files that the playground varies (``python -m tests.demo.make_media``).

They are drawn here and belong to nobody else. Needed once, by whoever changes them: pillow, pillow-heif and the
``ffmpeg`` command. Each holds placeholders (see ``daemon.demo.samples``) of the length of what is patched in later, so
that at run time no imaging library is needed.
"""

from __future__ import annotations

import io
import math
import random
import struct
import subprocess
import tempfile
from pathlib import Path

import pillow_heif
from PIL import Image, ImageDraw

from daemon.demo.samples import DATE, IDENTIFIER, MEDIA, OFFSET, QUICKTIME_DATE

LANDSCAPES = {
    "lake": ((64, 120, 200), (230, 220, 190), (255, 244, 190), (52, 92, 60)),
    "dawn": ((70, 40, 110), (250, 150, 90), (255, 220, 150), (60, 40, 70)),
    "night": ((8, 12, 40), (40, 60, 110), (235, 235, 245), (14, 22, 30)),
}
ASCII, SHORT, LONG, UNDEFINED, BYTE = 2, 3, 4, 7, 1
Entry = tuple[int, int, bytes]


def landscape(name: str, width: int, height: int, shift: float = 0.0) -> Image.Image:
    """Draw a sky with its sun or moon, three ridges of hills, and water before them; ``shift`` moves the light."""
    top, bottom, light, land = LANDSCAPES[name]
    rng = random.Random(name)
    picture = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(picture)
    for y in range(height):
        share = y / height
        draw.line([(0, y), (width, y)], tuple(round(a + (b - a) * share) for a, b in zip(top, bottom, strict=True)))
    x, radius = width * (0.7 - 0.3 * shift), height / 12
    draw.ellipse([x - radius, height * 0.2 - radius, x + radius, height * 0.2 + radius], light)
    for ridge in range(3):
        base, phase = height * (0.45 + 0.12 * ridge), rng.random() * 7
        hills = [
            (x, base - height * 0.08 * (math.sin(x / width * (5 + 2 * ridge) + phase) + math.sin(x / width * 11)))
            for x in range(0, width + 8, 8)
        ]
        colour = tuple(round(part * (1.3 - 0.3 * ridge)) for part in land)
        draw.polygon([*hills, (width, height), (0, height)], colour)
    draw.rectangle([0, height * 0.85, width, height], tuple(round((a + b) / 2) for a, b in zip(top, land, strict=True)))
    return picture


def ascii_entry(tag: int, text: str) -> Entry:
    """Give an ASCII entry; TIFF ends the text with a NUL that counts."""
    return tag, ASCII, text.encode() + b"\0"


def ifd(entries: list[Entry], start: int, order: str = ">", following: int = 0) -> bytes:
    """Give one image file directory as it stands ``start`` bytes after its TIFF header, its long values behind it."""
    sizes = {ASCII: 1, BYTE: 1, UNDEFINED: 1, SHORT: 2, LONG: 4}
    head, tail = struct.pack(order + "H", len(entries)), b""
    behind = start + 2 + 12 * len(entries) + 4
    for tag, kind, value in sorted(entries):
        head += struct.pack(order + "HHL", tag, kind, len(value) // sizes[kind])
        if len(value) <= 4:
            head += value.ljust(4, b"\0")
        else:
            head += struct.pack(order + "L", behind + len(tail))
            tail += value + b"\0" * (len(value) % 2)
    return head + struct.pack(order + "L", following) + tail


def apple_note() -> bytes:
    """Give an Apple maker note with the ContentIdentifier (tag 0x0011); its offsets count from the note's start."""
    header = b"Apple iOS\0\0\1MM"
    return header + ifd([(0x0001, SHORT, struct.pack(">H", 14)), ascii_entry(0x0011, IDENTIFIER)], len(header))


def exif(make: str, model: str, *, offset: bool = False, note: bool = False) -> bytes:
    """Give a TIFF block with the dates' placeholders, as it follows ``Exif`` in a picture."""
    detail: list[Entry] = [
        (0x9000, UNDEFINED, b"0232"),
        ascii_entry(0x9003, DATE),
        ascii_entry(0x9004, DATE),
    ]
    if offset:
        detail.append(ascii_entry(0x9011, OFFSET))
    if note:
        detail.append((0x927C, UNDEFINED, apple_note()))
    main = [
        ascii_entry(0x010F, make),
        ascii_entry(0x0110, model),
        (0x0112, SHORT, struct.pack(">H", 1)),
        ascii_entry(0x0132, DATE),
    ]
    length = len(ifd([*main, (0x8769, LONG, b"\0" * 4)], 8))
    main.append((0x8769, LONG, struct.pack(">L", 8 + length)))
    return b"MM\0*" + struct.pack(">L", 8) + ifd(main, 8) + ifd(detail, 8 + length)


CAMERA = b"Exif\0\0" + exif("Photon", "Relay One")


def dng() -> bytes:
    """Give a digital negative: a preview that everything can show, and the Bayer mosaic of the sensor below it."""
    order, width, height = "<", 96, 64
    preview = landscape("dawn", width, height)
    colours = preview.tobytes()
    raw = b"".join(
        struct.pack("<H", colours[3 * (y * width + x) + (y % 2) + (x % 2)] << 6)
        for y in range(height)
        for x in range(width)
    )

    def number(tag: int, *values: int) -> Entry:
        return tag, LONG, struct.pack(f"<{len(values)}L", *values)

    def short(tag: int, *values: int) -> Entry:
        return tag, SHORT, struct.pack(f"<{len(values)}H", *values)

    def directories(exif_at: int, sub_at: int, preview_at: int, raw_at: int) -> tuple[bytes, bytes, bytes]:
        main = [
            number(0x00FE, 1), number(0x0100, width), number(0x0101, height), short(0x0102, 8, 8, 8), short(0x0103, 1),
            short(0x0106, 2), ascii_entry(0x010F, "Photon"), ascii_entry(0x0110, "Relay One"),
            number(0x0111, preview_at), short(0x0112, 1), short(0x0115, 3), number(0x0116, height),
            number(0x0117, len(colours)), short(0x011C, 1), ascii_entry(0x0132, DATE), number(0x014A, sub_at),
            number(0x8769, exif_at), (0xC612, BYTE, bytes([1, 4, 0, 0])), (0xC613, BYTE, bytes([1, 1, 0, 0])),
            ascii_entry(0xC614, "Photon Relay One"),
        ]  # fmt: skip
        detail = [(0x9000, UNDEFINED, b"0232"), ascii_entry(0x9003, DATE), ascii_entry(0x9004, DATE)]
        sub = [
            number(0x00FE, 0), number(0x0100, width), number(0x0101, height), short(0x0102, 16), short(0x0103, 1),
            short(0x0106, 32803), number(0x0111, raw_at), short(0x0115, 1), number(0x0116, height),
            number(0x0117, len(raw)), short(0x011C, 1), short(0x828D, 2, 2), (0x828E, BYTE, bytes([0, 1, 1, 2])),
            number(0xC61D, 16383),
        ]  # fmt: skip
        return ifd(main, 8, order), ifd(detail, exif_at, order), ifd(sub, sub_at, order)

    lengths = [len(part) for part in directories(0, 0, 0, 0)]
    exif_at = 8 + lengths[0]
    sub_at = exif_at + lengths[1]
    preview_at = sub_at + lengths[2]
    parts = directories(exif_at, sub_at, preview_at, preview_at + len(colours))
    return b"II*\0" + struct.pack("<L", 8) + b"".join(parts) + colours + raw


def video(target: Path, name: str, width: int, height: int, *metadata: str) -> None:
    """Encode one second of the light moving over a landscape as H.264."""
    with tempfile.TemporaryDirectory() as folder:
        for frame in range(10):
            landscape(name, width, height, frame / 10).save(Path(folder, f"{frame:02}.png"))
        subprocess.run(
            ["ffmpeg", "-loglevel", "error", "-y", "-framerate", "10", "-i", f"{folder}/%02d.png", "-c:v", "libx264",
             "-pix_fmt", "yuv420p", "-crf", "34", "-preset", "veryslow", "-fflags", "+bitexact",
             "-flags:v", "+bitexact", "-movflags", "use_metadata_tags", *metadata,
             "-metadata", "creation_time=2001-02-03T04:05:06Z", str(target)],
            check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip


def flattened(heic: bytes) -> bytes:
    """Write each item's place as iPhones do, without a base: the same bytes are found, and by readers that ignore it.

    ExifRead looks for the EXIF item at its extent offset alone. The table's layout is what libheif writes: version 0,
    offsets, lengths and bases of 4 bytes, one extent an item (ISO/IEC 14496-12, 8.11.3).
    """
    out, at = bytearray(heic), heic.index(b"iloc") + 4
    version, widths, count = struct.unpack(">L2sH", out[at : at + 8])
    if (version, widths) != (0, b"\x44\x40"):
        raise ValueError("libheif writes another item table now")
    for item in range(at + 8, at + 8 + 18 * count, 18):
        identity, where, base, extents, extent, length = struct.unpack(">HHLHLL", out[item : item + 18])
        out[item : item + 18] = struct.pack(">HHLHLL", identity, where, 0, extents, base + extent, length)
    return bytes(out)


def main() -> None:
    """Rewrite every base file and say how large it is."""
    pillow_heif.register_heif_opener()
    MEDIA.mkdir(parents=True, exist_ok=True)
    for name in LANDSCAPES:
        landscape(name, 480, 320).save(
            MEDIA / f"{name}.jpg", quality=60, exif=b"Exif\0\0" + exif("Photon", "Relay One")
        )
    landscape("lake", 480, 320).save(
        MEDIA / "live.jpg", quality=60, exif=b"Exif\0\0" + exif("Apple", "iPhone 15", offset=True, note=True)
    )
    for file, name, note in (("dawn.heic", "dawn", False), ("live.heic", "lake", True)):
        buffer = io.BytesIO()
        landscape(name, 480, 320).save(
            buffer, "HEIF", quality=45, exif=b"Exif\0\0" + exif("Apple", "iPhone 15", offset=True, note=note)
        )
        (MEDIA / file).write_bytes(flattened(buffer.getvalue()))
    landscape("night", 240, 160).quantize(64).save(MEDIA / "night.png", optimize=True, exif=CAMERA)
    (MEDIA / "dawn.dng").write_bytes(dng())
    video(MEDIA / "lake.mp4", "lake", 240, 160)
    video(
        MEDIA / "live.mov", "lake", 240, 160,
        "-metadata", f"com.apple.quicktime.content.identifier={IDENTIFIER}",
        "-metadata", f"com.apple.quicktime.creationdate={QUICKTIME_DATE}",
        "-metadata", "com.apple.quicktime.make=Apple",
        "-metadata", "com.apple.quicktime.model=iPhone 15",
    )  # fmt: skip
    for path in sorted(MEDIA.iterdir()):
        print(f"{path.stat().st_size:8} {path.name}")


if __name__ == "__main__":
    main()
