"""One visitor's browser: a profile, a page, and what went wrong in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Visit:
    """A page at ``origin``; ``context`` is what Playwright's ``new_context`` takes (size, colours, motion)."""

    def __init__(self, browser: Browser, origin: str, path: str = "", **context: Any) -> None:
        self.origin = origin
        self.context = browser.new_context(**{"viewport": DESK, "base_url": origin, **context})
        self.context.set_default_timeout(15_000)
        self.faults: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        self.page.on("console", self._said)
        self.page.goto(f"{origin}/{path}")

    def _said(self, message: ConsoleMessage) -> None:
        # What Chromium itself says of each answer of 400 and above, and of a lost connection, is no fault of the page.
        if message.type == "error" and not message.text.startswith(("Failed to load resource", "WebSocket connection")):
            self.faults.append(f"console: {message.text}")

    def go(self, view: str) -> None:
        """Go to a view by its address, such as ``users``."""
        self.page.goto(f"{self.origin}/#/{view}")

    def find(self, name: str) -> Locator:
        """Find what bears this ``data-test`` attribute."""
        return self.page.locator(f"[data-test={name!r}]")

    def barriers(self) -> list[str]:
        """Let axe-core look for barriers; give each with where it is."""
        found = Axe().run(self.page, options={"runOnly": {"type": "tag", "values": RULES}})
        return [
            f"{one['id']}: {node['target']}: {node.get('failureSummary', '')}"
            for one in found.response["violations"]
            for node in one["nodes"]
        ]

    def wider_than_the_window(self) -> int:
        """Give how many pixels of the page stick out to the right: a page that must be pushed aside is no page."""
        width: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return width

    def close(self) -> None:
        """Close the browser's window and forget its profile."""
        self.context.close()
