"""What holds for every test: what this machine lacks is named, and where all is wanted nothing is left out.

A test that needs more than Python says so by a skip whose reason tells how to get it. With ``CI`` or
``PHOTON_RELAY_TEST_ALL=1`` in the environment each such skip is a failure instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

ALL = os.environ.get("PHOTON_RELAY_TEST_ALL", "0") not in {"", "0"} or bool(os.environ.get("CI"))
ENGINE_IMAGE = "debian:trixie-slim"


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the engine's and the browser's tests where there is none, and give each kind one worker, as they share it.

    The second is a wish: pytest 9.2 takes no note of what xdist 3.8 makes of the group, so they run side by side.
    """
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.xdist_group("browser"))
            if not chromium():
                item.add_marker(pytest.mark.skip(reason="needs Chromium: apt-get install chromium"))
    wanting = [item for item in items if item.get_closest_marker("engine")]
    lacks = _engine_lacks() if wanting else ""
    for item in wanting:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("engine"))
        if lacks:
            item.add_marker(pytest.mark.skip(reason=lacks))


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
