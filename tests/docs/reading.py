"""Reads the project's own pages: their blocks, links and headings."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "_AI_Notes").glob("*.md")])
_BLOCK = re.compile(r"^( *)```([\w-]*)[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """One block of code, without its indent."""

    page: Path
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(kind: str, pages: list[Path] = PAGES) -> list[Block]:
    """Give all blocks of a kind."""
    found = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            if match[2] == kind:
                body = "".join(line.removeprefix(match[1]) for line in match[3].splitlines(keepends=True))
                found.append(Block(page, text[: match.start()].count("\n") + 1, kind, body))
    return found


def prose(page: Path) -> str:
    """Give a page's text without its blocks of code."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """Give where a page's links and pictures lead."""
    text = re.sub(r"`[^`]*`", "", prose(page))
    return re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)


def anchors(page: Path) -> set[str]:
    """Give the names that a page's headings can be linked by, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE):
        plain = re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def schema_of(name: str) -> Any:
    """Give a published JSON schema: check-jsonschema brings them along, so nothing is fetched."""
    text = resources.files("check_jsonschema").joinpath(f"builtin_schemas/vendor/{name}.json").read_text("utf-8")
    return json.loads(text)
