"""The page in a real Chromium, against the real program with both stand-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.visit import Visit
from tests.conftest import chromium
from tests.e2e.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; each gets a profile of its own."""
    with sync_playwright() as playwright:
        # As root, in a container without user namespaces, Chromium has no sandbox to run in.
        running = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A Nextcloud of alice and bob, a PhotoPrism that runs, and a daemon that does not run yet."""
    with World(tmp_path) as made:
        made.prism.start()
        yield made


@pytest.fixture
def visit(browser: Browser, world: World) -> Iterator[Callable[..., Visit]]:
    """Open the page of the world's daemon; at the end no page may have had an error of its own."""
    visits: list[Visit] = []

    def open_page(path: str = "", **context: Any) -> Visit:
        visits.append(Visit(browser, f"http://{world.settings['ui']['listen']}", path, **context))
        return visits[-1]

    yield open_page
    for one in visits:
        one.close()
    for one in visits:
        assert one.faults == []
