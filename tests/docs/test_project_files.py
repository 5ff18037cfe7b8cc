"""Files for tools elsewhere can be read, and what they call is there. Whether GitHub runs them cannot be tried here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from PIL import Image

from daemon import __version__
from tests.docs.reading import ROOT, links, schema_of

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        *(("github-workflows", path) for path in WORKFLOWS),
        *(("github-issue-forms", path) for path in FORMS),
        ("github-issue-config", ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"),
        ("compose-spec", ROOT / "docker-compose.yaml"),
        ("compose-spec", ROOT / "swarm-config.yaml"),
    ],
    ids=lambda one: one.name if isinstance(one, Path) else "",
)
def test_files_for_others_have_the_form_that_those_publish(schema: str, path: Path) -> None:
    # GitHub reads "on" as a word; YAML 1.1 takes it for "true".
    data = {("on" if key is True else key): value for key, value in _read(path).items()}
    jsonschema.validate(data, schema_of(schema))


def test_shell_scripts_are_sound() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    scripts = [name for name in listed.split("\0") if name and _is_shell(ROOT / name)]
    assert {".ci/run", "docker/folders", "tools/image-figures"} <= set(scripts)
    program = Path(sys.executable).with_name("shellcheck")
    ran = subprocess.run([program, *scripts], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout


def _is_shell(path: Path) -> bool:
    with path.open("rb") as file:
        return bool(re.match(rb"#!.*\b(ba)?sh\b", file.readline()))


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


def _packages(text: str) -> set[str]:
    """Give the names of Debian's packages that stand behind ``apt-get install`` or in ``packages=(…)``."""
    text = text.replace("\\\n", " ")
    [found] = re.findall(r"apt-get install -y --no-install-recommends ([^\n$\"]+)|packages=\(([^)]*)\)", text)
    return {word for word in " ".join(found).split() if re.match(r"[a-z]", word)}


def test_everybody_installs_what_the_tests_want() -> None:
    wanted = _packages((ROOT / ".ci" / "run").read_text())
    assert {"chromium", "nginx-light", "caddy", "rsync"} <= wanted
    there = {"e2fsprogs", "git", "make", "procps", "python3", "util-linux"}
    tests = next(_read(path) for path in WORKFLOWS if path.stem == "tests")
    [step] = [step for step in tests["jobs"]["everything"]["steps"] if "apt-get" in step.get("run", "")]
    # The runner's own Chrome serves, and Caddy comes with Ubuntu from 24.04 on.
    assert _packages(step["run"]) == wanted - there - {"chromium"}
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    # As a user without root's rights: no file systems on loop devices.
    assert _packages(container["onCreateCommand"]) == wanted - there - {"btrfs-progs", "xfsprogs", "python3-venv"}


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


def test_the_readme_is_light_and_its_moving_picture_moves() -> None:
    shown = [ROOT / link for link in links(ROOT / "README.md") if link.startswith("docs/images/")]
    assert ROOT / "docs/images/relay.gif" in shown
    assert sum(path.stat().st_size for path in shown) < 2_000_000
    with Image.open(ROOT / "docs/images/relay.gif") as picture:
        assert picture.n_frames > 10  # type: ignore[attr-defined]
