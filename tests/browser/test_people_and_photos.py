"""What somebody who has never seen the page must be able to do: include a user, find a photo, take it back, undo."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from daemon.demo import samples
from tests import uploads
from tests.browser.visit import PHONE, Visit
from tests.e2e.world import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.world import World

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(240)]

TAKEN = datetime(2026, 8, 9, 10, 11, tzinfo=UTC)


def sent(world: World, user: str, names: list[str], seed: int) -> dict[str, bytes]:
    """Upload photos and wait until they are done; give them by name."""
    made = {name: samples.jpeg(TAKEN, seed + number) for number, name in enumerate(names)}
    for name, content in made.items():
        uploads.put(world.data / user, f"InstantUpload/{name}", content, TAKEN)
    keys = {f"{user}:InstantUpload/{name}" for name in names}
    world.until(lambda: {world.states().get(key) for key in keys} == {"done"}, "these photos done")
    return made


def test_a_new_user_is_included_knowing_what_that_does(visit: Callable[..., Visit], world: World) -> None:
    home = uploads.make_home(world.data, "carol", samples_too=False)
    uploads.put(home, "InstantUpload/before.jpg", samples.jpeg(TAKEN, 1), TAKEN)
    page = visit("users", viewport=PHONE)
    carol = page.find("user", has=page.page.get_by_role("heading", name="carol"))
    expect(carol).to_contain_text("asks to take part", timeout=60_000)
    carol.get_by_role("button", name="Include…").click()
    expect(carol.get_by_role("group", name="Folders that are watched")).to_be_visible()
    carol.get_by_label("Into Nextcloud's bin").check()
    page.find("preview").click()
    dialog = page.page.get_by_role("dialog")
    expect(dialog.locator("[data-test=sentence]")).not_to_be_empty()
    expect(dialog.get_by_text("everybody who sees the album", exact=False)).to_be_visible()
    assert "carol" not in world.config.read_text()
    page.button("Include carol").click()
    expect(carol.get_by_role("switch", name="Takes part")).to_be_checked()
    assert "carol" in world.config.read_text()
    page.go("photos?user=carol")
    # What stood there before stays; what comes now is relayed.
    page.drawn("photos")
    uploads.put(home, "InstantUpload/new one.jpg", samples.jpeg(TAKEN, 2), TAKEN)
    expect(page.find("new-photos")).to_be_visible(timeout=60_000)
    page.find("new-photos").click()
    expect(page.find("photo", has_text="new one.jpg")).to_be_visible()
    assert (home / "files/InstantUpload/before.jpg").exists()
    world.until(lambda: world.states().get("carol:InstantUpload/new one.jpg") == "done", "the new photo done")
    assert list((home / "files_trashbin/files").iterdir())


def test_a_user_is_excluded_and_asked_for_it_first(visit: Callable[..., Visit], world: World) -> None:
    page = visit("users")
    bob = page.find("user", has=page.page.get_by_role("heading", name="bob"))
    switch = bob.get_by_role("switch", name="Takes part")
    track = switch.locator("xpath=..")
    track.click()
    page.button("Cancel").click()
    expect(switch).to_be_checked()
    track.click()
    page.button("Exclude").click()
    expect(bob.get_by_role("button", name="Change…")).to_have_count(0)
    expect(switch).not_to_be_checked()
    track.click()
    page.find("preview").click()
    page.button("Include bob").click()
    expect(switch).to_be_checked()
    expect(bob.get_by_role("button", name="Change…")).to_be_visible()
    assert "bob" in world.config.read_text().partition("exclude")[0]


def test_a_photo_is_found_and_copied_back(visit: Callable[..., Visit], world: World) -> None:
    made = sent(world, "alice", ["DSC_0815.jpg", "DSC_0816.jpg"], 10)
    wanted = made["DSC_0815.jpg"]
    place = world.data / "alice/files/InstantUpload/DSC_0815.jpg"
    assert not place.exists()
    page = visit("photos")
    page.find("filter-q").fill("dsc_0815")
    page.find("filter-q").press("Enter")
    expect(page.find("photo")).to_have_count(1)
    page.find("filter-q").fill("no photo is called that")
    page.find("search").click()
    expect(page.page.get_by_text("No photo like that")).to_be_visible()
    page.find("filter-q").fill(digest(wanted)[:12])
    page.find("search").click()
    expect(page.find("photo")).to_have_count(1)
    sums = page.context.request.get(page.find("export-b3sum").get_attribute("href") or "").text()
    assert sums.startswith(digest(wanted) + "  ")
    page.find("photo").get_by_role("link").click()
    expect(page.find("places")).to_contain_text("not there")
    page.find("restore").click()
    page.button("Copy back").click()
    page.says("Copied back")
    expect(page.find("way")).to_contain_text("Copied back")
    assert place.read_bytes() == wanted
    assert digest(wanted) in world.in_originals()


def test_a_batch_is_undone(visit: Callable[..., Visit], world: World) -> None:
    made = sent(world, "bob", ["party 1.jpg", "party 2.jpg"], 20)
    numbers = {row["batch_id"] for row in world.photos("bob", "%party%")}
    page = visit("batches", viewport=PHONE)
    page.drawn("batches")
    for number in sorted(numbers):
        page.go("batches")
        page.page.locator(f"[data-test=batch][data-id='{number}']").get_by_role("link").click()
        page.find("undo").click()
        page.button("Undo").click()
        expect(page.find("undo-run").get_by_text("Done.")).to_be_visible()
        expect(page.find("photo").first).to_contain_text("restored")
        expect(page.find("undo")).to_have_count(0)
    for name, content in made.items():
        assert (world.data / "bob/files/InstantUpload" / name).read_bytes() == content


def test_an_open_dialog_ends_with_its_view(visit: Callable[..., Visit], world: World) -> None:
    sent(world, "alice", ["dialog.jpg"], 30)
    page = visit("photos")
    page.find("photo", has_text="dialog.jpg").get_by_role("link").click()
    page.find("restore").click()
    expect(page.page.get_by_role("dialog")).to_be_visible()
    page.page.go_back()
    page.drawn("photos")
    expect(page.page.get_by_role("dialog")).to_have_count(0)


def test_the_main_ways_by_keyboard_alone(visit: Callable[..., Visit], world: World) -> None:
    sent(world, "alice", ["keys.jpg"], 40)
    page = visit()
    page.live()
    keys = page.page.keyboard

    def tab_to(name: str) -> None:
        for _ in range(80):
            keys.press("Tab")
            at = page.page.evaluate(
                "[document.activeElement.textContent, document.activeElement.ariaLabel, document.activeElement.name,"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
            if any(re.search(name, str(word or "")) for word in at[:3]):
                # Where one is can be seen.
                assert at[3] != "none" or page.page.evaluate("document.activeElement.matches('input')")
                return
        raise AssertionError(f"Tab never came to {name}")

    keys.press("Tab")
    expect(page.page.locator("#skip")).to_be_focused()
    keys.press("Enter")
    expect(page.page.locator("#main")).to_be_focused()
    tab_to("^Pause$")
    keys.press("Enter")
    expect(page.page.locator("#pause-chip")).to_have_text("Paused")
    expect(page.find("pause")).to_be_focused()
    keys.press("Enter")
    expect(page.page.locator("#pause-chip")).to_be_hidden()
    page.page.reload()
    page.live()
    tab_to("^Photos$")
    keys.press("Enter")
    page.drawn("photos")
    expect(page.page.get_by_role("heading", level=1)).to_be_focused()
    tab_to("^q$")
    keys.type("keys.jpg")
    keys.press("Enter")
    expect(page.find("photo")).to_have_count(1)
    tab_to("keys.jpg")
    keys.press("Enter")
    page.drawn("photo")
    tab_to("^Copy back")
    keys.press("Enter")
    expect(page.page.get_by_role("dialog")).to_be_visible()
    keys.press("Escape")
    expect(page.page.get_by_role("dialog")).to_have_count(0)
    expect(page.find("restore")).to_be_focused()
    keys.press("Enter")
    expect(page.page.get_by_role("dialog")).to_be_visible()
    tab_to("^Copy back$")
    keys.press("Enter")
    page.says("Copied back")
