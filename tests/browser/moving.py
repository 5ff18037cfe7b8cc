"""The README's moving picture, made from the real page: ``python -m tests.browser.moving``, or ``make screenshots``.

Two phones upload while the page is looked at a few times a second; PhotoPrism is the tests' stand-in. What is seen, and
how long it took, is what happened, but for waiting: that is shortened.
"""

from __future__ import annotations

import io
import sys
import tempfile
import threading
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from tests.browser.screenshots import IMAGES, upload
from tests.browser.visit import Visit
from tests.conftest import chromium
from tests.e2e.world import ROOT, World

LARGEST = 2_000_000
SIZE = {"width": 1280, "height": 740}
EVERY = 0.25
"""Seconds between two looks."""
LONGEST = 1.2
"""Seconds that one picture stays at most: waiting is shortened, all else has its own pace."""
LAST = 3.0
COLOURS = 256


def story(world: World) -> None:
    """Upload as two phones do, one photo after the other, and wait until all have arrived."""
    time.sleep(1.0)
    for number in range(7):
        upload(world, "alice", number, 1)
        time.sleep(0.35)
    time.sleep(1.0)
    for number in range(24, 28):
        upload(world, "bob", number, 1)
        time.sleep(0.35)
    upload(world, "bob", 3, 1)  # bob has one of alice's, too
    world.until_done(12)
    time.sleep(1.5)


def look(visit: Visit, teller: threading.Thread) -> list[tuple[float, Image.Image]]:
    """Give what is seen while the story goes on, each with its second."""
    seen: list[tuple[float, Image.Image]] = []
    teller.start()
    while teller.is_alive():
        began = time.monotonic()
        seen.append((began, Image.open(io.BytesIO(visit.page.screenshot())).convert("RGB")))
        time.sleep(max(0.0, EVERY - (time.monotonic() - began)))
    return seen


def save(seen: list[tuple[float, Image.Image]]) -> None:
    """Write a GIF in which each picture that differs from the one before stands as long as it stood."""
    changed = [one for index, one in enumerate(seen) if not index or one[1].tobytes() != seen[index - 1][1].tobytes()]
    ends = [*(moment for moment, _ in changed[1:]), changed[-1][0] + LAST]
    lengths = [min(LONGEST, end - moment) for (moment, _), end in zip(changed, ends, strict=True)]
    lengths[-1] = LAST
    # One palette for all: colours that change by themselves would look like movement.
    strip = Image.new("RGB", (SIZE["width"], 8 * SIZE["height"]))
    for index in range(8):
        strip.paste(changed[index * (len(changed) - 1) // 7][1], (0, index * SIZE["height"]))
    palette = strip.quantize(COLOURS, dither=Image.Dither.NONE)
    pictures = [one.quantize(palette=palette, dither=Image.Dither.NONE) for _, one in changed]
    path = IMAGES / "relay.gif"
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=[round(one * 1000) for one in lengths], loop=0,
        optimize=True,
    )  # fmt: skip
    size = path.stat().st_size
    sys.stdout.write(f"{path.relative_to(ROOT)}: {size:,} bytes, {len(pictures)} pictures, {sum(lengths):.0f} s\n")
    if size > LARGEST:
        raise SystemExit(f"{path} has more than {LARGEST:,} bytes")


def main() -> None:
    """Make it."""
    with tempfile.TemporaryDirectory() as folder, World(Path(folder)) as world, sync_playwright() as playwright:
        world.settings["users"]["after"] = "trash"
        world.settings["watch"] = {"settle": "2s", "partner": "2s"}
        world.configure()
        expect.set_options(timeout=30_000)
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        world.prism.start()
        # As long as PhotoPrism itself may need for a photo; and small pictures from the files, for it makes none here.
        world.prism.traps(seconds_per_photo=0.3, thumbnail="svg")
        world.start()
        visit = Visit(browser, f"http://{world.settings['ui']['listen']}", viewport=SIZE, color_scheme="light")
        visit.live()
        for lamp, words in (("nextcloud", "is there"), ("disk_data", "free"), ("disk_archive", "free")):
            expect(visit.find(f"lamp-{lamp}")).to_contain_text(words, timeout=60_000)
        save(look(visit, threading.Thread(target=story, args=[world], daemon=True)))
        browser.close()


if __name__ == "__main__":
    main()
