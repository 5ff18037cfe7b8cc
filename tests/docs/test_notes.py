"""The notes for coding agents and the development guide name what is there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from daemon.cli.main import parser
from tests.docs.reading import ROOT

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
    spellings = (path, f"{path}.py", re.sub(r"\.\w+$", ".py", path))
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


def _named_commands() -> list[list[str]]:
    """Give the commands that the pages name between backticks, each once."""
    found = {}
    for page in NOTES:
        for code in re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8")):
            if re.match(
                r"(\.venv/bin/|\.ci/|tools/)\w|python -m |make \w|photon-relay |pytest |ruff |pre-commit |pip ", code
            ):
                found[code] = shlex.split(code)
    return list(found.values())


@pytest.mark.parametrize("words", _named_commands(), ids=" ".join)
def test_commands_that_are_named_can_be_given(words: list[str]) -> None:
    program, rest = Path(words[0]).name, words[1:]
    here = Path(sys.executable).with_name(program)
    match program:
        case "make":
            assert re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        case "python":
            assert rest[0] == "-m"  # which module, the test above looks at
        case "photon-relay":
            with suppress(SystemExit) if rest == ["--version"] else nullcontext():
                parser().parse_args(rest)
        case "pytest":
            # Options and marks are understood, folders are there; one small file stands for the tests.
            options = [word for word in rest if not word.startswith("tests/")]
            assert all((ROOT / word).exists() for word in set(rest) - set(options))
            quick = ["--collect-only", "-q", "-p", "no:cacheprovider", "-n", "0", "tests/docs/test_errors.py"]
            ran = subprocess.run([here, *options, *quick], cwd=ROOT, capture_output=True, text=True)
            assert ran.returncode == 0, ran.stdout + ran.stderr
        case "mypy" | "ruff" | "pip":
            assert subprocess.run([here, "--version"], capture_output=True).returncode == 0
        case "pre-commit":
            assert (ROOT / ".pre-commit-config.yaml").exists()  # a program of the reader's own
        case _:
            assert (ROOT / words[0]).is_file(), words
