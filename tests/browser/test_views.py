"""Each screen with real data, at the desk and on a phone: drawn, not wider than the window, without barriers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from daemon.demo import samples
from tests import uploads
from tests.browser.visit import DESK, PHONE, Visit
from tests.e2e.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(240)]

TAKEN = datetime(2026, 5, 4, 11, 20, tzinfo=UTC)
SIZES: dict[str, dict[str, Any]] = {
    "desk": {"viewport": DESK, "color_scheme": "light"},
    "phone": {"viewport": PHONE, "color_scheme": "dark", "has_touch": True},
}
VIEWS = {
    "now": ("recent-photo", "IMG_3.jpg"),
    "users": ("user", "carol"),
    "photos": ("photo", "IMG_4.jpg"),
    "photo/1": ("way", "Proved"),
    "photo/{refused}": ("way", "Will not be moved"),
    "batches": ("batch", "2 photos"),
    "batches/1": ("batch", "alice"),
    "errors": ("issue", "carol"),
    "log": ("log", "batch"),
    "log?tab=audit": ("audit", "IMG_1.jpg"),
    "settings": ("setting-nextcloud.data", "Data"),
    "settings/file": ("file-said", ""),
    "settings/versions": ("versions", "in force"),
    "checks": ("check", "PhotoPrism"),
    "access": ("password-panel", "New password"),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which something of everything has happened."""
    with World(tmp_path_factory.mktemp("world")) as made:
        made.prism.start()
        uploads.make_home(made.data, "carol", samples_too=False)
        made.start()
        home = made.data / "alice"
        uploads.put(home, "InstantUpload/IMG_1.jpg", samples.jpeg(TAKEN, 1), TAKEN)
        uploads.put(home, "InstantUpload/Bücher & Bäume/IMG_2.jpg", samples.jpeg(TAKEN, 2), TAKEN)
        made.until_done(2)
        uploads.put(made.data / "bob", "InstantUpload/IMG_3.jpg", samples.jpeg(TAKEN, 3), TAKEN)
        uploads.put(made.data / "bob", "InstantUpload/again.jpg", samples.jpeg(TAKEN, 1), TAKEN)
        # Nobody may know what this file is, so a person is asked.
        uploads.put(home, "InstantUpload/IMG_4.jpg", b"", TAKEN)
        long = "a name without any blank that is as long as a file system lets it be ".replace(" ", "_") * 3
        uploads.put(home, f"InstantUpload/{long}.jpg", samples.jpeg(TAKEN, 5), TAKEN)
        made.until_done(6)
        assert made.run("check").returncode in {0, 1}
        yield made


@pytest.fixture(scope="module", params=SIZES)
def here(request: pytest.FixtureRequest, browser: Browser, world: World) -> Iterator[Visit]:
    """One page of a size, for all views."""
    visit = Visit(browser, f"http://{world.settings['ui']['listen']}", "checks", **SIZES[request.param])
    visit.find("run-checks").click()
    expect(visit.find("check").first).to_be_visible(timeout=60_000)
    yield visit
    visit.close()


@pytest.mark.parametrize("view", VIEWS)
def test_a_view(here: Visit, world: World, view: str) -> None:
    name, words = VIEWS[view]
    refused = next(row["id"] for row in world.photos() if row["state"] == "refused")
    here.faults.clear()
    here.go(view.format(refused=refused))
    found = here.find(name, has_text=words).first
    expect(found).to_be_attached() if not words else expect(found).to_be_visible()
    here.drawn(view)
    assert here.wider_than_the_window() <= 0
    assert here.barriers() == []
    assert here.faults == []
