"""Files for tools elsewhere can be read, and what they call is there. Whether GitHub runs them cannot be tried here."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from daemon import __version__
from tests.docs.reading import ROOT

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_call_what_is_there(path: Path) -> None:
    found = _read(path)
    assert found["permissions"] == {"contents": "read"}
    for job in found["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert len({"run", "uses"} & set(step)) == 1
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "a/b@v1"))
            for targets in re.findall(r"\bmake ((?:[a-z][a-z-]* ?)+)", step.get("run", "")):
                assert set(targets.split()) <= TARGETS
            for script in re.findall(r"(?<!\S)\.ci/\w+", step.get("run", "")):
                assert (ROOT / script).exists()


def test_the_workflows_try_every_python_that_the_project_names() -> None:
    tests = next(_read(path) for path in WORKFLOWS if path.stem == "tests")
    pythons = tests["jobs"]["pythons"]["strategy"]["matrix"]["python"]
    assert f">={pythons[0]}" == PROJECT["project"]["requires-python"]
    for script in (ROOT / "Makefile", ROOT / ".ci" / "compat"):
        assert re.search(" ".join(rf"(?:python)?{python}" for python in reversed(pythons)), script.read_text()), script


def test_the_hooks_before_a_commit_are_those_of_the_makefile() -> None:
    [repository] = _read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    entries = [hook["entry"].split() for hook in repository["hooks"]]
    assert entries == [["make", "lint"], ["make", "types"]]
    assert {target for _, target in entries} <= TARGETS


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_forms_are_whole(path: Path) -> None:
    form = _read(path)
    assert form["name"]
    assert form["description"]
    for part in form["body"]:
        assert part["type"] in {"markdown", "textarea", "input", "dropdown"}
        assert part["attributes"].get("label") or part["type"] == "markdown"


def test_the_devcontainer_can_be_read_and_makes_what_is_there() -> None:
    found = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert found["postCreateCommand"] == "make .venv/.dev"
    assert "$(VENV)/.dev:" in (ROOT / "Makefile").read_text()


def test_editors_find_the_schema() -> None:
    first = (ROOT / "config" / "photon-relay.yaml").read_text().splitlines()[0]
    schema = first.removeprefix("# yaml-language-server: $schema=")
    assert (ROOT / "config" / schema).exists()


def test_the_changelog_knows_this_version() -> None:
    assert re.search(rf"^## .*\b{re.escape(__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
