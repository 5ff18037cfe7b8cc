"""Worlds to torture: those of the relay's own tests. What was tried is counted, and told at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.relay.conftest import make_world
from tests.torture.counts import COUNTS
from tests.torture.needs import LONG

if TYPE_CHECKING:
    import pytest

__all__ = ["make_world"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests of the long form alone where that is not wanted: not skipped, which would be a thing left out."""
    left = [item for item in items if item.get_closest_marker("long_form") and not LONG]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell the counts, in a run with one process; those of workers stay with them."""
    if COUNTS.any():
        terminalreporter.section("tortured")
        terminalreporter.write_line(f"  {COUNTS}")
