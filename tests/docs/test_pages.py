"""What the pages say can be followed: links lead somewhere, YAML is valid, commands and paths are there."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import tomllib
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from daemon.cli.main import parser
from daemon.settings import Settings
from daemon.settings_file import load
from tests.docs import settings_page
from tests.docs.reading import PAGES, ROOT, Block, anchors, blocks, links, schema_of
from ui.api import openapi
from ui.api.routes import DESCRIBED

if TYPE_CHECKING:
    from pathlib import Path

ROUTE = re.compile(r"(?:/api/v1|(?:GET|POST|PUT|PATCH|DELETE) (?=/))(/[a-z][\w/{}<>.]*)")
SECRETS = ("token", "password", "secret")


def test_the_settings_page_is_the_one_that_is_made() -> None:
    how = "made anew by: .venv/bin/python -m tests.settings.make_files"
    assert settings_page.FILE.read_text(encoding="utf-8") == settings_page.page(), how
    assert settings_page.README.read_text(encoding="utf-8") == settings_page.readme(), how


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert ROOT in target.parents, f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}"


def test_every_page_is_in_the_list_of_pages() -> None:
    folder = ROOT / "docs"
    assert {page.name for page in folder.glob("*.md")} - set(links(folder / "README.md")) == {"README.md"}
    assert "docs/README.md" in links(ROOT / "README.md")


def _is_settings(data: Any) -> bool:
    return isinstance(data, dict) and set(data) <= set(Settings.model_fields)


# The settings of a fork are known to that fork alone: test_forking.py loads them there.
@pytest.mark.parametrize("block", blocks("yaml", [one for one in PAGES if one.name != "forking.md"]), ids=str)
def test_yaml_is_valid_and_settings_are_accepted(block: Block, tmp_path: Path) -> None:
    data = yaml.safe_load(block.text)
    assert data, block
    if not _is_settings(data):
        # A part of a Compose file: one service's keys, or services. Whole files are tried on an engine.
        assert isinstance(data, dict), block
        services = {"relay": data} if "labels" in data else data
        jsonschema.validate({"services": services}, schema_of("compose-spec"))
        return
    # Files that it names are there on the reader's machine, not here.
    for name in re.findall(rf"(?:{'|'.join(SECRETS)})_file: ([^\s,}}]+)", block.text):
        if not name.startswith("/"):
            (tmp_path / name).write_text("tk_something")
    text = re.sub(r"_file: /[^\s,}]+", ": tk_something", block.text)
    file = tmp_path / "photon-relay.yaml"
    file.write_text(text)
    load(file, {})


@pytest.mark.parametrize("block", [*blocks("json"), *blocks("toml")], ids=str)
def test_json_and_toml_can_be_read(block: Block) -> None:
    assert json.loads(block.text) if block.kind == "json" else tomllib.loads(block.text)


def _commands() -> list[tuple[str, list[str]]]:
    found = []
    for block in blocks("sh"):
        for line in block.text.replace("\\\n", " ").splitlines():
            found += [(str(block), words) for words in _of_line(line)]
    for page in PAGES:
        for code in re.findall(r"`([^`\n]*photon-relay [^`\n]*)`", page.read_text()):
            found += [(page.name, words) for words in _of_line(code)]
    return found


def _of_line(line: str) -> list[list[str]]:
    line = re.sub(r" #.*", "", line)
    match = re.search(r"(?:^|[\s/])photon-relay((?: +(?![|&>;])\S+)+)", line)
    if not match or "docker run" in line or "stack deploy" in line or "photoprism auth" in line:
        return []
    return [shlex.split(match[1])]


def _subcommands() -> set[str]:
    actions = parser()._actions
    return {name for action in actions if isinstance(action, argparse._SubParsersAction) for name in action.choices}


def _accepts(made: argparse.ArgumentParser, words: list[str]) -> bool:
    try:
        made.parse_args(words)
    except SystemExit as end:
        return end.code == 0
    return True


def test_commands_that_are_named_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    commands = _commands()
    assert len(commands) > 15
    for where, words in commands:
        if "…" in " ".join(words) or "[" in " ".join(words):  # a synopsis
            assert words[0] in _subcommands(), (where, words)
            continue
        ids = ["1" if re.fullmatch(r"[A-Z_]*ID|N", word) else word for word in words]
        assert _accepts(parser(), ids), (where, words, capsys.readouterr().err)


def test_the_readme_names_every_command() -> None:
    rows = re.findall(r"^\| `photon-relay (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(rows) == _subcommands()


def test_routes_that_are_named_are_there() -> None:
    described = {re.sub(r"\{.*?\}", "{}", path) for path in openapi.describe(DESCRIBED)["paths"]}
    described |= {"/api/v1/openapi.json", "/healthz", "/readyz", "/metrics"}
    for page in PAGES:
        if page.name == "gate.md":  # has Docker's routes
            continue
        for route in re.findall(
            r"(?:/api/v1|(?:GET|POST|PUT|PATCH|DELETE) (?=/))(/[a-z][\w/{}<>.]*)", page.read_text()
        ):
            plain = re.sub(r"\{.*?\}|<.*?>|(?<=/)\d+", "{}", route.rstrip("."))
            assert {plain, f"/api/v1{plain}"} & described, f"{page.name}: {route}"


def test_targets_of_make_that_are_named_are_there() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"(?:`|^)make ([a-z0-9-]+)", page.read_text(), re.MULTILINE)}
    assert {"demo", "test"} <= named <= targets
