"""The settings, changed from the page alone: the difference is seen first, and nobody's work is lost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.visit import Visit
    from tests.e2e.world import World

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(autouse=True)
def comments(world: World) -> None:
    """Give the file comments, as people write them."""
    text = world.config.read_text()
    if "# ours" not in text:
        world.config.write_text("# ours: do not lose this\n" + text.replace("watch:\n", "watch: # and this\n"))


def save(page: Visit) -> None:
    """Look at the difference, and save it."""
    page.find("review").click()
    expect(page.find("diff")).to_be_visible()
    page.button("Save").click()
    expect(page.page.locator("dialog")).to_have_count(0)


def test_a_change_is_seen_before_it_is_saved_and_comments_stay(visit: Callable[..., Visit], world: World) -> None:
    page = visit("settings")
    page.drawn("settings")
    before = world.config.read_text()
    page.setting("watch.settle").get_by_role("textbox").fill("20")
    expect(page.setting("watch.settle").get_by_role("alert")).to_contain_text("with its unit")
    page.setting("watch.settle").get_by_role("textbox").fill("400ms")
    expect(page.find("save-bar")).to_contain_text("1 change")
    page.find("review").click()
    diff = page.find("diff")
    expect(diff).to_contain_text(re.compile(r"-\s+settle: 300ms"))
    expect(diff).to_contain_text(re.compile(r"\+\s+settle: 400ms"))
    page.button("Cancel").click()
    assert world.config.read_text() == before
    save(page)
    page.says("Saved, and in force")
    assert world.config.read_text() == before.replace("settle: 300ms", "settle: 400ms")
    # What stood there before can be put back.
    page.find("tab-versions").click()
    page.find("version").first.click()
    expect(page.find("sides")).to_contain_text("settle: 300ms")
    page.button("Put back").click()
    page.says("Put back")
    assert world.config.read_text() == before


def test_a_schedule_is_told_in_words_with_its_next_times(visit: Callable[..., Visit]) -> None:
    page = visit("settings")
    page.drawn("settings")
    sweep = page.setting("watch.sweep")
    sweep.get_by_role("combobox").first.select_option("cron")
    page.find("cron").fill("0 3 * *")
    expect(page.find("schedule")).to_contain_text("cron expression")
    expect(page.find("schedule")).not_to_contain_text("Next")
    page.find("cron").fill("30 4 * * 1")
    expect(page.find("schedule").locator(".tag")).to_have_count(5)
    expect(page.find("schedule")).to_contain_text("04:30")
    page.find("discard").click()
    expect(page.find("save-bar")).to_be_hidden()


def test_what_another_one_saved_meanwhile_is_not_overwritten(visit: Callable[..., Visit], world: World) -> None:
    mine, theirs = visit("settings"), visit("settings")
    for page in (mine, theirs):
        page.drawn("settings")
    mine.setting("watch.batch").get_by_role("textbox").fill("77")
    theirs.setting("watch.settle").get_by_role("textbox").fill("350ms")
    mine.find("review").click()
    expect(mine.find("diff")).to_be_visible()
    save(theirs)
    mine.button("Save").click()
    sides = mine.find("sides")
    expect(sides).to_contain_text("settle: 350ms")
    expect(sides).to_contain_text("batch: 77")
    mine.button("Go on with mine").click()
    expect(mine.find("sides")).to_have_count(0)
    save(mine)
    mine.says("Saved, and in force")
    text = world.config.read_text()
    assert "settle: 350ms" in text
    assert "batch: 77" in text
    assert "# ours" in text
    # The other tab comes after by itself.
    expect(theirs.setting("watch.batch").get_by_role("textbox")).to_have_value("77")


def test_a_change_by_hand_is_told(visit: Callable[..., Visit], world: World) -> None:
    page = visit("settings/file")
    expect(page.find("yaml")).to_be_visible()
    world.config.write_text(world.config.read_text() + "# by hand\n")
    expect(page.find("yaml")).to_have_value(re.compile("# by hand\n"))
    page.find("yaml").press_sequentially("# mine ")
    world.config.write_text(world.config.read_text().replace("# by hand\n", "# by another hand\n"))
    page.says("changed by hand meanwhile")
    page.find("compare").click()
    expect(page.find("sides")).to_contain_text("# by another hand")
    expect(page.find("sides")).to_contain_text("# mine")
    page.button("Leave it").click()
    page.button("Drop them").click()
    expect(page.find("yaml")).to_have_value(re.compile("# by another hand\n"))
    expect(page.find("save-bar")).to_be_hidden()


def test_a_fault_is_told_at_its_line(visit: Callable[..., Visit], world: World) -> None:
    page = visit("settings/file")
    yaml = page.find("yaml")
    expect(yaml).to_be_visible()
    text = yaml.input_value()
    line = text.split("\n").index("  partner: 2s") + 1
    yaml.fill(text.replace("  partner: 2s", "  partner: two"))
    expect(page.find("faults")).to_contain_text("watch.partner")
    page.button(f"Line {line}").click()
    assert page.page.evaluate("getSelection().toString()").strip() == "partner: two"
    page.find("review").click()
    expect(page.page.locator("dialog")).to_have_count(0)
    yaml.fill(text.replace("  partner: 2s", "  partnr: 2s\n\tx: ["))
    expect(page.find("faults")).to_contain_text("Line")
    page.find("discard").click()
    assert "partner: 2s" in world.config.read_text()
    # A fault that somebody made by hand: the last good settings stay in force, and the page says so.
    good = world.config.read_text()
    world.config.write_text(good.replace("  partner: 2s", "  partner: two"))
    page.says("so the last good one stays in force")
    page.go("errors")
    expect(page.find("config-fault").or_(page.find("issue")).first).to_contain_text("watch.partner")
    world.config.write_text(good)
    expect(page.find("config-fault")).to_have_count(0)


def test_nobody_locks_themselves_out(visit: Callable[..., Visit], world: World) -> None:
    page = visit("settings")
    page.drawn("settings")
    allow = page.setting("ui.allow")
    allow.get_by_role("button", name="Change").click()
    allow.get_by_role("button", name="Add to").or_(allow.get_by_role("textbox")).first.click()
    allow.get_by_role("textbox").fill("10.0.0.0/8")
    expect(allow.get_by_role("alert")).to_contain_text("lock yourself out")
    page.find("review").click()
    expect(page.page.locator("dialog")).to_have_count(0)
    page.find("discard").click()
    # Whoever goes round the form meets the same guard in the daemon.
    page.go("settings/file")
    before = world.config.read_text()
    yaml = page.find("yaml")
    expect(yaml).to_be_visible()
    yaml.fill(yaml.input_value().replace("ui:\n", "ui:\n  allow: [10.0.0.0/8]\n"))
    page.find("review").click()
    expect(page.find("diff")).to_be_visible()
    page.button("Save").click()
    expect(page.page.locator("dialog .fault, [data-test=popup]").first).to_contain_text("would not be let in any more")
    assert world.config.read_text() == before
    page.page.keyboard.press("Escape")
    page.find("discard").click()
