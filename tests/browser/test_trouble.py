"""Trouble on the page: told once, loud or plain, never in the way, and mended from nothing but the page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from daemon.demo import samples
from tests import uploads
from tests.browser.visit import PHONE, Visit
from tests.e2e.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(240)]

RIGHT = "aNOTHE-tOkEnX-aBcDeF-gHiJkL"
"""The token that PhotoPrism knows; another one stands in the settings."""
TAKEN = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world whose PhotoPrism does not know the token that stands in the settings."""
    with World(tmp_path_factory.mktemp("world")) as made:
        made.prism.start(RIGHT)
        made.start()
        uploads.put(made.data / "alice", "InstantUpload/stuck.jpg", samples.jpeg(TAKEN, 1), TAKEN)
        yield made


def test_an_issue_pops_up_once_and_leaves_the_focus_alone(visit: Callable[..., Visit]) -> None:
    page = visit("photos")
    page.find("filter-q").focus()
    page.find("filter-q").press_sequentially("st")
    popup = page.page.locator("[data-test=popup][data-code='photoprism.unauthorized']")
    expect(popup).to_be_visible(timeout=60_000)
    expect(popup).to_have_class("popup scifi")
    expect(popup.locator(".flavour")).to_contain_text("containment field")
    expect(popup.locator(".flavour")).to_have_attribute("aria-hidden", "true")
    expect(popup.locator(".real")).to_contain_text("token")
    expect(page.find("filter-q")).to_be_focused()
    expect(page.find("filter-q")).to_have_value("st")
    assert page.barriers() == []
    popup.get_by_role("button", name="Dismiss").click()
    expect(popup).to_have_count(0)
    # Neither another view nor another load of the page brings the same one again.
    page.go("batches")
    page.page.reload()
    page.live()
    expect(page.page.locator("[data-pip=errors]")).to_be_visible()
    expect(popup).to_have_count(0)


def test_a_popup_can_be_plain(visit: Callable[..., Visit], world: World) -> None:
    settings = visit("settings")
    settings.drawn("settings")
    settings.setting("ui.popups").get_by_role("combobox").select_option("plain")
    settings.find("review").click()
    settings.button("Save").click()
    settings.says("Saved")
    page = visit("photos", viewport=PHONE, color_scheme="dark")
    popup = page.page.locator("[data-test=popup][data-code='photoprism.unauthorized']")
    expect(popup).to_have_class("popup bad")
    expect(popup.locator(".flavour")).to_have_count(0)
    expect(popup.locator(".real")).to_contain_text("token")
    assert page.wider_than_the_window() <= 0
    assert page.barriers() == []


def test_a_wrong_token_is_mended_from_nothing_but_the_page(visit: Callable[..., Visit], world: World) -> None:
    page = visit(viewport=PHONE)
    page.live()
    expect(page.find("headline")).to_contain_text("look", timeout=60_000)
    expect(page.find("lamp-photoprism")).to_contain_text("not well")
    page.page.locator("[data-nav=errors]").click()
    issue = page.page.locator("[data-test=issue][data-code='photoprism.unauthorized']")
    expect(issue).to_contain_text("photoprism.token")
    issue.get_by_role("button", name="Open the settings").or_(issue.get_by_role("link")).first.click()
    page.drawn("settings")
    row = page.find("setting-photoprism.token")
    if not row.is_visible():
        page.setting("photoprism.token")
    row.get_by_role("textbox").or_(row.locator("input")).first.fill(RIGHT)
    page.find("review").click()
    expect(page.find("secrets")).to_contain_text("photoprism.token")
    expect(page.page.get_by_role("dialog")).not_to_contain_text(RIGHT)
    page.button("Save").click()
    page.says("Saved, and in force")
    page.page.locator("[data-nav=now]").click()
    expect(page.find("lamp-photoprism")).to_contain_text("well", timeout=60_000)
    expect(page.find("lamp-photoprism")).not_to_contain_text("not well", timeout=60_000)
    expect(page.find("recent-photo", has_text="stuck.jpg")).to_be_visible(timeout=60_000)
    expect(page.page.locator("[data-pip=errors]")).to_be_hidden()
    expect(page.find("headline")).to_have_text("All is well")


def test_a_quiet_line_pushes_no_error_away(visit: Callable[..., Visit]) -> None:
    """On a phone one message has room; what went wrong is not gone before anybody has read it."""
    page = visit(viewport=PHONE)
    page.live()
    page.page.evaluate(
        """async () => {
          const { showError, toast } = await import("/static/js/popups.js");
          showError(Object.assign(new Error("The disk is full."), { code: "disk.full" }));
          toast("Saved.");
        }"""
    )
    expect(page.find("toast")).to_have_text("Saved.")
    expect(page.find("popup")).to_contain_text("The disk is full.")
