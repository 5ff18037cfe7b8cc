"""The default file and the schema are what the settings' own description says."""

from __future__ import annotations

import importlib.resources
import json
import re
from pathlib import Path

import jsonschema
import pytest

from daemon.settings import Settings, default_file, json_schema
from daemon.settings.document import read_document
from daemon.settings.fields import shape_of, walk
from daemon.settings.render import SCHEMA_LINE, flow
from daemon.settings.schema import _models
from daemon.settings_file import load

CONFIG = Path(__file__).parents[2] / "config"
FILE = CONFIG / "photon-relay.yaml"
HOW = "made anew by: .venv/bin/python -m tests.settings.make_files"


def test_the_file_in_the_repository_is_the_one_that_is_made() -> None:
    assert FILE.read_text(encoding="utf-8") == default_file(), HOW


def test_the_schema_in_the_repository_is_the_one_that_is_made() -> None:
    assert json.loads((CONFIG / "photon-relay.schema.json").read_text(encoding="utf-8")) == json_schema(), HOW


def test_both_are_packaged() -> None:
    packaged = importlib.resources.files("config")
    assert packaged.joinpath("photon-relay.yaml").read_text(encoding="utf-8") == default_file()
    assert packaged.joinpath("photon-relay.schema.json").is_file()


def test_the_default_file_says_what_holds_without_it() -> None:
    assert load(FILE, {}).settings == Settings().below(CONFIG)


def test_the_default_file_needs_the_token_alone() -> None:
    (warning,) = load(FILE, {}).warnings
    assert "photoprism.token" in warning


def test_editors_find_the_schema() -> None:
    first = FILE.read_text(encoding="utf-8").splitlines()[0]
    assert first == SCHEMA_LINE
    assert (FILE.parent / first.rpartition("=")[2]).is_file()


def test_every_key_stands_in_the_default_file_under_its_description() -> None:
    text = FILE.read_text(encoding="utf-8")
    document = read_document(text)
    lines = text.splitlines()
    for path, info in walk(Settings):
        comments = []
        for line in reversed(lines[: document.lines[path] - 1]):
            if not line.lstrip().startswith("#"):
                break
            comments.append(line.strip().removeprefix("# "))
        assert info.description
        assert info.description in " ".join(reversed(comments)), path


def test_nothing_else_stands_in_the_default_file() -> None:
    known = {path for path, _ in walk(Settings)}
    assert {path for path in read_document(default_file()).lines if not isinstance(path[-1], int)} == known


def test_every_key_has_a_description_and_an_example_that_fits() -> None:
    for model in _models(Settings).values():
        for name, info in model.model_fields.items():
            assert info.description, (model, name)
            assert info.description.endswith((".", "?")) or ":" in info.description, (model, name)
            if shape_of(info).kind == "section":
                continue
            (example,) = info.examples or []
            key = info.alias or name
            needed = {one: of.examples[0] for one, of in model.model_fields.items() if of.is_required() and of.examples}
            made = model.model_validate({**needed, key: example})
            assert made.model_fields_set >= {name}


def test_lengths_and_sizes_name_their_unit() -> None:
    for model in _models(Settings).values():
        for name, info in model.model_fields.items():
            if info.annotation in {float, int}:
                assert info.json_schema_extra, (model, name)


def test_the_schema_is_valid_and_the_default_file_fits_it() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "$id" not in schema
    validator = jsonschema.Draft202012Validator(schema)
    assert list(validator.iter_errors(read_document(default_file()).data)) == []


@pytest.mark.parametrize(
    "text",
    [
        "watch: {settle: 10}",
        "watch: {settel: 10s}",
        "nextcloud: {occ: {via: ssh}}",
        "relay: {min_free: 2G}",
        "relay: {workers: 0}",
        "users: {include: {alice: {after: burn}}}",
        "hooks: [{url: 'http://x'}]",
        "ui: {allow: [everyone]}",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(text: str) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    assert not validator.is_valid(read_document(text).data)


@pytest.mark.parametrize(
    "text",
    [
        "users: {include: {alice: , bob: {folders: [Camera], after: keep, release_after: 7d}}}",
        "photoprism: {token_file: /run/secrets/x, import: /i}",
        "nextcloud: {occ: {via: command, command: [php, occ], also: [[a:b, c]]}, memories: on}",
        "hooks: [{on: batch.done, run: [a, b]}]",
        "watch: {settle: 300ms, partner: 0, extensions: [jpg], batch: 5}",
        "relay: {workers: 3, min_free: 500MB}",
        "ui: {allow: [10.0.0.0/8, '::1'], tls: {cert: a, key: b}}",
        "notify: {ntfy: {levels: {error: off}}}",
    ],
)
def test_the_schema_takes_what_the_loader_takes(text: str) -> None:
    data = read_document(text).data
    assert list(jsonschema.Draft202012Validator(json_schema()).iter_errors(data)) == []


def test_defaults_in_the_schema_are_in_the_form_of_the_file() -> None:
    schema = json_schema()
    watch = schema["$defs"]["Watch"]["properties"]
    assert watch["settle"]["default"] == "10s"
    assert schema["$defs"]["Relay"]["properties"]["min_free"]["default"] == "2GiB"
    assert schema["properties"]["nextcloud"]["description"]


def test_secrets_are_marked_in_the_schema() -> None:
    definitions = json_schema()["$defs"]
    for section, key in (("Photoprism", "token"), ("Ntfy", "token"), ("Ui", "password_hash")):
        assert definitions[section]["properties"][key]["writeOnly"] is True


@pytest.mark.parametrize(
    "value",
    ["", "0s", "on", "yes", "true", "null", "7", "a: b", "a #b", "[a]", "*a", "o'neil", 'a"b', "ä", "a\nb", 5, True],
)
def test_what_is_rendered_reads_back(value: object) -> None:
    assert read_document(f"key: {flow(value)}\nlist: [{flow(value)}]").data == {"key": value, "list": [value]}


def test_no_line_is_too_long_to_read() -> None:
    assert all(len(line) <= 100 or re.search(r"^\s*# \S+$", line) for line in default_file().splitlines())
