"""No known trap is without a switch of a stand-in and a test that sets it."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from tests.standins import occ
from tests.standins.photoprism_traps import Traps
from tests.torture.traps import TRAPS, Trap

ROOT = Path(__file__).resolve().parents[2]


@cache
def source_of(test: str) -> str:
    """Give a test's own lines, decorators included."""
    path, _, name = test.partition("::")
    text = (ROOT / path).read_text()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    raise AssertionError(f"there is no test {test}")


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.id)
def test_it_is_stepped_into(trap: Trap) -> None:
    assert re.search(rf"\b{trap.switch}\b", source_of(trap.test)), f"{trap.test} does not set {trap.switch}"


def test_no_switch_is_forgotten() -> None:
    listed = {trap.switch for trap in TRAPS}
    photoprism = {each.name for each in fields(Traps)}
    said = (occ.__doc__ or "").split("=" * 20)[1:]
    nextcloud = set(re.findall(r"^(\w+)(?:, (\w+))? {2,}", "".join(said), re.MULTILINE))
    names = {name for pair in nextcloud for name in pair if name}
    assert len(names) > 25
    assert (photoprism | names) - listed == set()
    assert len({trap.id for trap in TRAPS}) == len(TRAPS)
