"""What holds for every test: what this machine lacks is named, and where all is wanted nothing is left out.

A test that needs more than Python says so by a skip whose reason tells how to get it. With ``CI`` or
``PHOTON_RELAY_TEST_ALL=1`` in the environment each such skip is a failure instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from collections.abc import Generator

    from xdist.scheduler import Scheduling

ALL = os.environ.get("PHOTON_RELAY_TEST_ALL", "0") not in {"", "0"} or bool(os.environ.get("CI"))
ENGINE_IMAGE = "debian:trixie-slim"
SHARED = {
    "engine": ("tests/docker/", "tests/e2e_engine/", "tests/gate/test_through_the_gate.py", "tests/image/"),
    "browser": ("tests/browser/",),
}
"""What tests share that only one of them can use at a time, by its marker, and where all of those tests stand."""


def _engine_lacks() -> str:
    """Give what keeps the engine's tests from running here, or an empty string."""
    try:
        found = subprocess.run(
            ["docker", "image", "inspect", "--format", "ok", ENGINE_IMAGE],
            capture_output=True,
            check=False,
            timeout=20,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "needs a Docker engine: apt-get install docker.io"
    if found.returncode:
        return f"needs a running Docker engine with the image {ENGINE_IMAGE}: docker pull {ENGINE_IMAGE}"
    return ""


def chromium() -> str:
    """Give the path of a Chromium, or an empty string where there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")


def _shares(nodeid: str) -> str:
    """Give what a test shares with others, or an empty string."""
    return next((what for what, places in SHARED.items() if nodeid.startswith(places)), "")


class OneWorkerForEach(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives tests to whichever worker is free, but all that share something to one: they would disturb each other."""

    def _split_scope(self, nodeid: str) -> str:
        return _shares(nodeid) or nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Use the scheduler above; those that share something are given out first, since they are the longest."""
    return cast("Scheduling", OneWorkerForEach(config, log))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the engine's and the browser's tests where there is none; see that they stand where one worker gets them."""
    lacking = {
        "engine": _engine_lacks() if any(item.get_closest_marker("engine") for item in items) else "",
        "browser": "" if chromium() else "needs Chromium: apt-get install chromium",
    }
    for marker, reason in lacking.items():
        for item in items:
            if item.get_closest_marker(marker) is None:
                continue
            if _shares(item.nodeid) != marker:
                raise pytest.UsageError(f"{item.nodeid} is marked {marker}: name its place in tests.conftest.SHARED")
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    longrepr: Any = report.longrepr
    return str(longrepr[2] if isinstance(longrepr, tuple) else longrepr).removeprefix("Skipped: ")


def _left_out_is_failed(report: pytest.TestReport | pytest.CollectReport) -> None:
    if ALL and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.longrepr = f"left out, though every test is wanted here (CI or PHOTON_RELAY_TEST_ALL): {_reason(report)}"
        report.outcome = "failed"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one where every test is wanted."""
    report = yield
    _left_out_is_failed(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped module into a failed one where every test is wanted."""
    report = yield
    _left_out_is_failed(report)
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name what was left out on this machine and how to get it."""
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    if reasons:
        terminalreporter.section("left out on this machine")
        for reason, count in reasons.most_common():
            terminalreporter.line(f"{count:4} x {reason}")
