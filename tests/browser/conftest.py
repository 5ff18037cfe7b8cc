"""The page in a real Chromium, against the real program with both stand-ins.

The tests of one file share a world and a running daemon, since starting them takes longer than most tests; each makes
photos of its own, and what it changes it puts back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.visit import Visit
from tests.conftest import chromium
from tests.e2e.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

PATIENCE = 20_000
"""Milliseconds that a test waits for something to be seen."""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; each gets a profile of its own.

    It ends with this folder: as long as Playwright runs, so does an event loop, beside which asyncio's tests cannot.
    """
    with sync_playwright() as playwright:
        # As root, in a container without user namespaces, Chromium has no sandbox to run in.
        running = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        expect.set_options(timeout=PATIENCE)
        yield running
        running.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A Nextcloud of alice and bob, a PhotoPrism, and a daemon that runs."""
    with World(tmp_path_factory.mktemp("world")) as made:
        made.prism.start()
        made.start()
        yield made


@pytest.fixture
def visit(browser: Browser, world: World) -> Iterator[Callable[..., Visit]]:
    """Open the page of the world's daemon; at the end no page may have had an error of its own."""
    visits: list[Visit] = []

    def open_page(view: str = "now", **context: Any) -> Visit:
        visits.append(Visit(browser, f"http://{world.settings['ui']['listen']}", view, **context))
        return visits[-1]

    yield open_page
    for one in visits:
        one.close()
    for one in visits:
        assert one.faults == []
