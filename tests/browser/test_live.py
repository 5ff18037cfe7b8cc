"""What the page tells by itself: an upload on its way, in every tab, over a stop of the daemon, and calmly."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from daemon.demo import samples
from tests import uploads
from tests.browser.visit import PHONE, Visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Request

    from tests.e2e.world import World

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(240)]

TAKEN = datetime(2026, 6, 7, 8, 9, tzinfo=UTC)
SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) {
    const where = (s) => `${s.node?.className} ${s.node?.dataset?.test} ${s.previousRect.top} -> ${s.currentRect.top}`;
    window.shifts.push([one.value, one.sources.map(where)]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""


def send(world: World, name: str, seed: int, size: int | None = None) -> None:
    """Upload a photo as alice's phone does."""
    uploads.put(world.data / "alice", f"InstantUpload/{name}", samples.jpeg(TAKEN, seed, size), TAKEN)


def count_at(visit: Visit, step: str) -> int:
    """Give the number that the conveyor shows at a step."""
    label = visit.find(f"step-{step}").get_attribute("aria-label") or ""
    found = re.search(r": ([\d,]+) photo", label)
    assert found, label
    return int(found[1].replace(",", ""))


def test_an_upload_is_watched_from_its_first_byte_to_the_gallery(visit: Callable[..., Visit], world: World) -> None:
    page = visit()
    page.live()
    page.page.evaluate("window.stayed = true")
    before = count_at(page, "done")
    # What the conveyor shows from now on, each time it changes.
    page.page.evaluate(
        """() => {
          window.seen = new Set();
          const note = () => document.querySelectorAll(".station").forEach((one) =>
            !/: 0 photos/.test(one.getAttribute("aria-label")) && window.seen.add(one.dataset.test));
          new MutationObserver(note).observe(document.querySelector("[data-test=conveyor]"),
            { subtree: true, attributes: true, attributeFilter: ["aria-label"] });
        }"""
    )
    send(world, "watched.jpg", 1, 3_000_000)
    expect(page.find("recent-photo", has_text="watched.jpg")).to_be_visible()
    expect(page.find("step-done")).to_have_attribute("aria-label", re.compile(rf": {before + 1} photo"))
    assert page.page.evaluate("window.stayed")
    seen = page.page.evaluate("[...window.seen]")
    assert "step-done" in seen
    assert len(seen) > 1, "no photo was seen on its way"
    expect(page.find("refreshed")).to_contain_text("alice")
    page.find("recent-photo", has_text="watched.jpg").get_by_role("link").click()
    page.drawn("photo")
    way = page.find("way").locator("li")
    expect(way).to_have_text([re.compile(words) for words in ("Seen", "Nothing", "Read", "Copied", "Taken", "Proved",
                                                               "dealt with", "Shown")])  # fmt: skip
    expect(page.find("places")).to_contain_text("watched.jpg")


def test_two_tabs_tell_the_same(visit: Callable[..., Visit], world: World) -> None:
    first, second = visit(), visit("photos")
    other = visit("log")
    for tab in (first, second, other):
        tab.live()
    second.drawn("photos")
    send(world, "two tabs.jpg", 2)
    expect(first.find("recent-photo", has_text="two tabs.jpg")).to_be_visible()
    expect(second.find("new-photos")).to_be_visible()
    second.find("new-photos").click()
    expect(second.find("photo", has_text="two tabs.jpg")).to_be_visible()
    first.find("pause").click()
    for tab in (first, second, other):
        expect(tab.page.locator("#pause-chip")).to_have_text("Paused")
    first.find("pause").click()
    for tab in (first, second, other):
        expect(tab.page.locator("#pause-chip")).to_be_hidden()


def test_a_lost_connection_is_told_and_nothing_is_missed(visit: Callable[..., Visit], world: World) -> None:
    page = visit()
    page.live()
    page.page.evaluate("window.stayed = true")
    assert world.stop(30) == 0
    expect(page.page.locator("#link")).to_have_attribute("data-link", "lost")
    expect(page.page.locator("#link")).to_have_text("Connection lost")
    expect(page.page.locator("#link-retry")).to_be_visible()
    # Uploaded, relayed and over before the page is back: it comes by the snapshot.
    send(world, "while away.jpg", 3)
    world.start()
    world.until(lambda: world.states().get("alice:InstantUpload/while away.jpg") == "done", "the photo done")
    expect(page.page.locator("#link")).to_have_attribute("data-link", "live", timeout=60_000)
    expect(page.find("recent-photo", has_text="while away.jpg")).to_be_visible()
    expect(page.page.locator("#link-retry")).to_be_hidden()
    # And it is told of what comes now.
    send(world, "after that.jpg", 4)
    expect(page.find("recent-photo", has_text="after that.jpg")).to_be_visible()
    assert page.page.evaluate("window.stayed")


@pytest.mark.parametrize("context", [{}, {"viewport": PHONE}], ids=["desk", "phone"])
def test_nothing_jumps_while_photos_travel(
    visit: Callable[..., Visit], world: World, context: dict[str, object]
) -> None:
    page = visit("checks", **context)
    page.page.add_init_script(SHIFTS)
    page.page.goto(f"{page.origin}/?again#/now")
    page.live()
    for number in range(2):
        name = f"calm {len(context)}{number}.jpg"
        send(world, name, 10 * len(context) + number + 10, 400_000)
        expect(page.find("recent-photo", has_text=name)).to_be_visible()
    shifts = page.page.evaluate("window.shifts")
    assert sum(value for value, _ in shifts) < 0.05, shifts


def test_the_first_view_is_small(visit: Callable[..., Visit]) -> None:
    page = visit("checks")
    sizes: dict[str, int] = {}

    def note(request: Request) -> None:
        sizes[request.url] = sum(request.sizes()[key] for key in ("responseBodySize", "responseHeadersSize"))

    page.page.on("requestfinished", note)
    page.context.clear_cookies()
    page.page.goto(f"{page.origin}/?fresh#/now")
    page.live()
    page.page.wait_for_load_state("networkidle")
    own = {url: size for url, size in sizes.items() if url.startswith(page.origin)}
    assert own.keys() == sizes.keys(), "something comes from elsewhere"
    code = {url: size for url, size in own.items() if "/thumbnail" not in url}
    assert any("app.css" in url for url in code)
    assert sum(code.values()) < 150_000, code


def test_reduced_motion_is_kept(visit: Callable[..., Visit], world: World) -> None:
    page = visit(reduced_motion="reduce")
    page.live()
    page.page.evaluate(
        """() => {
          window.flown = 0;
          const note = (all) => all.forEach((one) => one.addedNodes.forEach((node) =>
            node.classList?.contains("photon") && window.flown++));
          new MutationObserver(note).observe(document.body, { subtree: true, childList: true });
        }"""
    )
    send(world, "still.jpg", 5)
    expect(page.find("recent-photo", has_text="still.jpg")).to_be_visible()
    assert page.page.evaluate("window.flown") == 0
    running = page.page.evaluate(
        """() => document.getAnimations()
          .filter((one) => one.playState === "running" && one.effect.getComputedTiming().duration > 50)
          .map((one) => one.animationName ?? one.transitionProperty)"""
    )
    assert running == []


def test_no_code_but_its_own_runs_in_the_page(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.live()
    page.page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.foreign = true";
          document.body.append(script);
        }"""
    )
    assert page.page.evaluate("window.foreign") is None
    assert page.faults
    assert all("Content Security Policy" in fault for fault in page.faults)
    page.faults.clear()


def test_a_page_whose_modules_did_not_arrive_is_loaded_again_by_itself(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.live()
    page.page.route("**/static/js/dom.js", lambda route: route.abort())
    page.page.route("**/healthz", lambda route: route.abort())
    page.page.reload()
    expect(page.page.locator("#view")).to_contain_text("did not arrive whole")
    page.page.unroute("**/static/js/dom.js")
    expect(page.page.locator("#link-words")).to_have_text("Connection lost")
    page.page.unroute("**/healthz")
    page.live()
    page.drawn("now")
