"""A program of its own: reads one picture from standard input and writes its perceptual hash, 16 hex digits.

Run by :mod:`daemon.relay.near_duplicates`, alone, with limits: decoders have had many a hole. Imports nothing of ours.
"""

from __future__ import annotations

import resource
import sys

MEMORY = 2 << 30
SECONDS = 15
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF")


def main() -> int:
    """Write the hash and give 0; 3 without Pillow, 4 for what is no picture that it can read."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        from PIL import Image, ImageOps
    except ImportError:
        return 3
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
    except ImportError:
        pass  # then HEIC is what it cannot read
    try:
        with Image.open(sys.stdin.buffer, formats=[one for one in _FORMATS if one in _known(Image)]) as picture:
            picture.draft("L", (128, 128))  # a JPEG is decoded no larger than needed
            small = ImageOps.exif_transpose(picture).convert("L").resize((9, 8), Image.Resampling.BOX)
    except Exception:  # noqa: BLE001  whatever a decoder raises, MemoryError included: the exit code says it
        return 4
    grey = small.tobytes()
    bits = 0
    for row in range(8):
        for column in range(8):
            at = row * 9 + column
            bits = bits << 1 | (grey[at] > grey[at + 1])
    sys.stdout.write(f"{bits:016x}")
    return 0


def _known(image: object) -> set[str]:
    image.init()  # type: ignore[attr-defined]
    return set(image.OPEN)  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
