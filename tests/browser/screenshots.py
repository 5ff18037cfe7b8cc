"""The README's pictures, made from the real page: ``python -m tests.browser.screenshots`` or ``make screenshots``.

Two people's phones upload some painted landscapes; what is seen is the program at work on them.
"""

from __future__ import annotations

import io
import math
import random
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import expect, sync_playwright

from tests import uploads
from tests.browser.visit import Visit
from tests.conftest import chromium
from tests.e2e.world import ROOT, World

IMAGES = ROOT / "docs/images"
LARGEST = 200_000
"""Bytes of one picture: a README is read on phones, too."""
SKIES = [((18, 24, 64), (255, 149, 89)), ((70, 130, 200), (232, 240, 250)), ((40, 20, 70), (240, 100, 130)),
         ((10, 16, 34), (60, 90, 140)), ((120, 170, 220), (255, 236, 200))]  # fmt: skip
HILLS = [(46, 60, 92), (38, 84, 74), (60, 40, 80), (20, 30, 50), (80, 110, 70)]


def landscape(seed: int, taken: datetime) -> bytes:
    """Paint hills below a sky with its sun, as a JPEG with its date taken."""
    rng = random.Random(seed)
    top, low = SKIES[seed % len(SKIES)]
    width, height = 640, 480
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    for y in range(height):
        part = y / height
        draw.line([(0, y), (width, y)], tuple(round(a + (b - a) * part) for a, b in zip(top, low, strict=True)))
    x, y, r = rng.randrange(100, 540), rng.randrange(120, 260), rng.randrange(24, 44)
    draw.ellipse((x - r, y - r, x + r, y + r), (255, 240, 200))
    image = image.filter(ImageFilter.GaussianBlur(3))
    draw = ImageDraw.Draw(image)
    hill = HILLS[rng.randrange(len(HILLS))]
    for layer in range(4):
        base, waves = (
            280 + layer * 45,
            [(rng.uniform(8, 40), rng.uniform(0.004, 0.02), rng.uniform(0, 6)) for _ in "ab"],
        )
        line = [(x, base + sum(a * math.sin(f * x + p) for a, f, p in waves)) for x in range(0, width + 1, 4)]
        shade = tuple(round(part * (1.25 - layer * 0.25)) for part in hill)
        draw.polygon([*line, (width, height), (0, height)], shade)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = taken.strftime("%Y:%m:%d %H:%M:%S")
    out = io.BytesIO()
    image.save(out, "JPEG", quality=88, exif=exif)
    return out.getvalue()


def upload(world: World, user: str, first: int, count: int) -> None:
    """Upload so many photos as this user's phone does."""
    for number in range(first, first + count):
        taken = datetime(2026, 7, 1, 18, 2, tzinfo=UTC) + timedelta(hours=7 * number)
        name = f"InstantUpload/{taken:%Y/%m}/IMG_{taken:%Y%m%d_%H%M%S}.jpg"
        uploads.put(world.data / user, name, landscape(number, taken), taken)


def save(visit: Visit, name: str) -> None:
    """Write what is seen as a PNG of few colours."""
    visit.page.evaluate(
        """() => Promise.all([...document.images]
          .filter((one) => one.getBoundingClientRect().top < innerHeight).map((one) => one.decode().catch(() => 0)))"""
    )
    seen = Image.open(io.BytesIO(visit.page.screenshot(animations="disabled")))
    path = IMAGES / f"{name}.png"
    seen.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    sys.stdout.write(f"{path.relative_to(ROOT)}: {size:,} bytes\n")
    if size > LARGEST:
        raise SystemExit(f"{path} has more than {LARGEST:,} bytes")


def main() -> None:
    """Make them all."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, World(Path(folder)) as world, sync_playwright() as playwright:
        # A plain folder as the archive: its pictures are shown as they are.
        world.settings["archive"] = {"via": "folder", "folder": {"path": str(world.originals)}}
        del world.settings["photoprism"]
        world.settings["users"]["after"] = "trash"
        world.configure()
        expect.set_options(timeout=30_000)
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        origin = f"http://{world.settings['ui']['listen']}"
        world.start()
        upload(world, "alice", 0, 9)
        upload(world, "bob", 20, 6)
        world.until_done(15)
        upload(world, "bob", 0, 1)
        upload(world, "alice", 40, 6)
        world.until_done(22)
        desk = Visit(browser, origin, viewport={"width": 1280, "height": 800}, color_scheme="light")
        desk.live()
        expect(desk.find("recent-photo").first).to_be_visible()
        for lamp, words in (("nextcloud", "answers"), ("disk_data", "free"), ("disk_archive", "free")):
            expect(desk.find(f"lamp-{lamp}")).to_contain_text(words, timeout=60_000)
        save(desk, "now")
        for view in ("photos", "settings"):
            desk.go(view)
            save(desk, view)
        phone = Visit(browser, origin, viewport={"width": 360, "height": 740}, color_scheme="dark")
        phone.live()
        expect(phone.find("recent-photo").first).to_be_visible()
        save(phone, "phone")
        uploads.make_home(world.data, "carol", samples_too=False)
        upload(world, "carol", 60, 12)
        desk.go("users")
        include = desk.find("include")
        expect(include).to_be_visible(timeout=60_000)
        desk.find("popup").first.get_by_role("button", name="Dismiss").click()
        include.click()
        desk.find("preview").click()
        expect(desk.find("sentence")).to_be_visible()
        save(desk, "users")
        desk.page.keyboard.press("Escape")
        desk.go("batches")
        world.originals.rename(world.folder / "gone")
        upload(world, "alice", 80, 1)
        expect(desk.page.locator("[data-test=popup]:not([data-code='user.new'])").first).to_be_visible(timeout=60_000)
        desk.go("now")
        save(desk, "popup")
        browser.close()


if __name__ == "__main__":
    main()
