"""One visitor's browser: a profile, a page, and what went wrong in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Visit:
    """A page at ``origin``; ``context`` is what Playwright's ``new_context`` takes (size, colours, motion)."""

    def __init__(self, browser: Browser, origin: str, view: str = "now", **context: Any) -> None:
        self.origin = origin
        self.context = browser.new_context(**{"viewport": DESK, "base_url": origin, **context})
        self.context.set_default_timeout(20_000)
        self.faults: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        self.page.on("console", self._said)
        self.page.goto(f"{origin}/#/{view}")

    def _said(self, message: ConsoleMessage) -> None:
        # What Chromium itself says of each answer of 400 and above, and of a lost connection, is no fault of the page.
        if message.type == "error" and not message.text.startswith(("Failed to load resource", "WebSocket connection")):
            self.faults.append(f"console: {message.text}")

    def go(self, view: str) -> None:
        """Go to a view by its address, such as ``users``, and wait until it is drawn."""
        self.page.goto(f"{self.origin}/#/{view}")
        self.drawn(view)

    def drawn(self, view: str) -> None:
        """Wait until this view stands there and loads nothing any more."""
        name = view.partition("?")[0].partition("/")[0]
        expect(self.page.locator(f"#view.view-{name}")).to_be_visible()
        expect(self.page.locator("#view [aria-busy=true], #view .loading")).to_have_count(0)

    def live(self) -> None:
        """Wait until the page is told of changes."""
        expect(self.page.locator("#link")).to_have_attribute("data-link", "live")

    def find(self, name: str, **more: Any) -> Locator:
        """Find what bears this ``data-test`` attribute; ``more`` is what Playwright's ``filter`` takes."""
        found = self.page.locator(f"[data-test='{name}']")
        return found.filter(**more) if more else found

    def button(self, name: str) -> Locator:
        """Find the button of this name: in the dialog where one is open, else on the page."""
        return self.page.locator("body:not(:has(dialog[open])), dialog[open]").get_by_role(
            "button", name=name, exact=True
        )

    def setting(self, key: str) -> Locator:
        """Find a setting in the form and open its section."""
        row = self.find(f"setting-{key}")
        section = key.partition(".")[0] if "." in key else "general"
        self.page.locator(f"[data-jump='{section}']").click()
        expect(row).to_be_visible()
        return row

    def says(self, words: str) -> None:
        """Wait until a notice in the view says something."""
        expect(self.page.locator("#view .notice", has_text=re.compile(words)).first).to_be_visible()

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
