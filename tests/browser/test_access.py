"""The password: set, asked for, refused, and every log-in ended from one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.visit import PHONE, Visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.world import World

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(240)]

PASSWORD = "a prism bends the light"


def log_in(page: Visit, password: str = PASSWORD) -> None:
    """Type the password, as the log-in asks for it."""
    page.find("login").get_by_label("Password").fill(password)
    page.button("Log in").click()


def test_a_password_from_its_setting_to_the_end_of_every_log_in(visit: Callable[..., Visit], world: World) -> None:
    page, early = visit("access"), visit("photos")
    early.live()
    page.find("password").fill(PASSWORD)
    page.find("again").fill("another one")
    page.find("password-panel").get_by_role("button", name="Set the password").click()
    page.says("not the same")
    page.find("again").fill(PASSWORD)
    page.find("password-panel").get_by_role("button", name="Set the password").click()
    page.says("The password is set")
    expect(page.page.locator("#logout")).to_be_visible()
    assert PASSWORD not in world.config.read_text()
    # Whoever had the page open before has to log in now.
    expect(early.find("login")).to_be_visible()
    other = visit("photos", viewport=PHONE, color_scheme="dark")
    expect(other.find("login")).to_be_visible()
    assert other.barriers() == []
    assert other.context.request.get("/api/v1/status").status == 401
    log_in(other, "not this one")
    expect(other.page.get_by_role("alert").filter(has_text="password")).to_be_visible()
    # A wrong one costs a moment.
    expect(other.page.locator("form button[type=submit]")).to_be_enabled()
    log_in(other)
    other.drawn("photos")
    other.live()
    # Log out everywhere: the other tab ends by itself.
    page.find("log-out-everywhere").click()
    page.button("Log out everywhere").click()
    expect(other.find("login")).to_be_visible()
    assert other.context.request.get("/api/v1/status").status == 401
    page.page.goto(f"{page.origin}/#/photos")
    log_in(page)
    page.drawn("photos")
    page.live()
    page.page.locator("#logout").click()
    expect(page.find("login")).to_be_visible()
