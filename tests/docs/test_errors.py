"""docs/errors.md knows every code that can be met, and none besides."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

from daemon.notify import hooks
from daemon.settings import Settings
from daemon.settings.fields import walk
from daemon.settings.messages import MESSAGES

ROOT = Path(__file__).parents[2]
DOTTED = re.compile(r"[a-z]+\.[a-z_]+")
LINE = re.compile(r"^\| `([a-z]+\.[a-z_]+)` \|", re.MULTILINE)

ALSO = {"config.invalid", "disk.low", "ui.listen", "user.gone", "user.new"}
"""What is the name of a code and of an event, a message or a setting too."""
OTHER = {
    # parts of names: compared with how a code begins or ends
    "docker.container",
    "request.status_",
    # PhotoPrism's words
    "import.completed",
    "import.file",
    "index.indexing",
    # marks in the ledger
    "doors.epoch",
    "doors.password",
    # what is passed between parts of this program
    "batch.ended",
    "login.ok",
    # a logger
    "daemon.gate",
    "daemon.demo",
}
MADE = {"photoprism.import_unanswered", "photoprism.index_unanswered"}
"""Put together when they are raised."""
ENDINGS = (
    ".csv",
    ".db",
    ".dng",
    ".heic",
    ".html",
    ".jpg",
    ".json",
    ".log",
    ".mov",
    ".mp",
    ".pem",
    ".png",
    ".py",
    ".sock",
)


def _in_python() -> set[str]:
    found: set[str] = set()
    told: set[str] = set()
    for folder in ("daemon", "ui"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and DOTTED.fullmatch(node.value):
                    found.add(node.value)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "tell":
                    told |= {str(arg.value) for arg in node.args[:1] if isinstance(arg, ast.Constant)}
    settings = {".".join(path) for path, _ in walk(Settings)}
    no_codes = (told | settings | set(hooks.EVENTS) | set(MESSAGES) | OTHER) - ALSO
    return {word for word in found - no_codes if not word.endswith(ENDINGS)}


def _in_javascript() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "ui" / "static").rglob("*.js"):
        found |= set(re.findall(r'new ApiError\(\d+, "([a-z]+\.[a-z_]+)"', path.read_text()))
    return found


def test_every_code_has_its_cause_and_cure() -> None:
    written = Counter(LINE.findall((ROOT / "docs" / "errors.md").read_text()))
    assert [code for code, times in written.items() if times > 1] == []
    known = _in_python() | _in_javascript() | MADE
    assert known - set(written) == set(), "not in docs/errors.md"
    assert set(written) - known == set(), "nowhere in the program"
