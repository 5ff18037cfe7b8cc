"""The notes for coding agents and the development guide name what is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.reading import ROOT

if TYPE_CHECKING:
    from pathlib import Path

NOTES = [*sorted((ROOT / "_AI_Notes").glob("*.md")), ROOT / "docs" / "development.md", ROOT / "CONTRIBUTING.md"]
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()}
ROOMS = {path.name for path in (ROOT / "daemon").iterdir() if path.is_dir()}


@pytest.mark.parametrize("page", NOTES, ids=lambda page: page.name)
def test_paths_that_are_named_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = [code for code in re.findall(r"`([^`\n]+)`", text) if re.fullmatch(r"[\w./-]+/[\w./-]*", code)]
    ours = [path for path in named if path.split("/")[0] in FOLDERS | ROOMS]
    assert [path for path in ours if not _there(path)] == []


def _there(path: str) -> bool:
    """Tell whether a file or folder is there; `files/placing.link_into` names something in a file."""
    spellings = (path, re.sub(r"\.\w+$", ".py", path))
    return any((place / spelling).exists() for place in (ROOT, ROOT / "daemon") for spelling in spellings)


@pytest.mark.parametrize("page", NOTES, ids=lambda page: page.name)
def test_programs_and_modules_that_are_named_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for module in re.findall(r"python -m ([\w.]+)", text):
        found = ROOT / module.replace(".", "/")
        assert found.with_suffix(".py").exists() or (found / "__main__.py").exists() or module in {"venv", "pip"}, (
            module
        )
    for area in re.findall(r"pytest (tests/\w+)", text):
        assert (ROOT / area).is_dir(), area
