"""A change touches what was edited and nothing else, in files as people really have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemon.errors import ConfigError, NeedsPerson
from daemon.settings.document import DocumentError, read_document
from daemon.settings.editing import edit, merged, plain, rewrite
from daemon.settings.splicing import same
from tests.settings.lines import is_within, lines_of, untouched

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.yaml"))
CHANGES: list[dict[str, Any]] = [
    {"watch": {"settle": "15s"}},
    {"watch": {"settle": "15s", "batch": 100, "sweep": "0 4 * * *"}},
    {"watch": {"settle": None}},
    {"watch": None},
    {"log": {"level": "debug"}},
    {"log": None, "hooks": None},
    {"users": {"include": {"alice": {}}}},
    {"users": {"include": {"o'neil @x": {"folders": ["Camera, one", "#2"], "after": "keep"}, "null": {}, "42": {}}}},
    {"users": {"include": {"bob": None}}},
    {"users": {"include": {"bob": {"after": "trash"}}}},
    {"users": {"include": {"bob": {"release_after": "7d"}, "carol": {}}}},
    {"users": {"include": None, "exclude": None}},
    {"users": {"exclude": ["dave", "zoe"]}},
    {"users": {"exclude": ["carol", "new: one", "dave", "erin"]}},
    {"users": {"exclude": []}},
    {"users": {"exclude": ["carol"]}},
    {"users": {"folders": ["Photos"]}},
    {"users": {"tag": "a # b", "archived": "it's", "new": "include"}},
    {"hooks": [{"on": "batch.done", "url": "http://home.example/other"}]},
    {"hooks": []},
    {"notify": {"ntfy": {"url": "https://ntfy.example", "topic": "x", "levels": {"error": "low"}}}},
    {"archive": {"folder": {"template": "{name}{ext}"}}},
    {"photoprism": {"albums": ["Everything there is", "two\nlines", "\u2028odd\u0085"]}},
    {"ui": {"allow": ["10.0.0.0/8"], "hosts": ["relay.example.org", "b.example.org"]}},
    {"relay": {"dry_run": True, "workers": 3}},
]
# Where a value is shared by alias, changing it changes it elsewhere too; where a list in brackets goes, the comments in
# it would go with it: a person has to decide.
CANNOT = {"anchors.yaml": 5, "brackets.yaml": 2}


def text_of(path: Path) -> str:
    return path.read_bytes().decode()


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_corpus_keeps_every_line_that_was_not_edited(path: Path) -> None:
    text = text_of(path)
    before = read_document(text).data
    refused = 0
    for changes in CHANGES:
        wanted = merged(before, changes)
        result = attempt(text, changes)
        if result is None:
            refused += 1
            continue
        assert same(read_document(result).data or {}, wanted), changes
        if same(before, wanted):
            assert result == text
        kept = untouched(text, before, wanted)
        got = lines_of(result.removeprefix("\ufeff"))
        if kept and not lines_of(text)[-1].endswith("\n"):
            kept = [line.rstrip("\n") for line in kept]
            got = [line.rstrip("\n") for line in got]
        assert is_within(kept, got), (changes, kept, result)
        if "\r\n" in text:
            assert result.count("\n") == result.count("\r\n")
        assert result.startswith("\ufeff") == text.startswith("\ufeff")
    assert refused <= CANNOT.get(path.name, 0)


def test_what_cannot_be_edited_alone_names_its_line_and_changes_nothing() -> None:
    text = "users:\n  include:\n    alice: &rules {after: keep}\n    bob: *rules\n"
    with pytest.raises(NeedsPerson) as caught:
        edit(text, {"users": {"include": {"alice": {"after": "trash"}}}})
    assert caught.value.code == "config.cannot_edit"
    assert "line 3" in caught.value.message
    # Where the alias itself is what changes, only it is replaced.
    assert edit(text, {"users": {"include": {"bob": {"after": "trash"}}}}) == text.replace("*rules", "{after: trash}")


def test_exactly_what_was_edited_changes() -> None:
    text = "watch:   # w\n   settle:  '10s'   # quiet\n   mode: \"auto\"\n\nusers: {include: {}, exclude: [bob]} # u\n"
    assert edit(text, {"watch": {"settle": "15s"}}) == text.replace("10s", "15s")
    assert edit(text, {"watch": {"mode": "poll"}}) == text.replace("auto", "poll")
    assert edit(text, {"users": {"exclude": ["bob", "carol d"]}}) == text.replace("[bob]", "[bob, carol d]")
    assert edit(text, {"watch": {"mode": None}}) == text.replace('   mode: "auto"\n', "")
    assert edit(text, {"watch": {"batch": 7}}) == text.replace('"auto"\n', '"auto"\n   batch: 7\n')
    grown = edit(text, {"users": {"include": {"o'neil": {"folders": ["A b"], "after": "keep"}}}})
    assert grown == text.replace("{}", '{"o\'neil": {folders: [A b], after: keep}}')
    assert edit(text, {"watch": {"settle": "10s"}, "relay": None}) == text


def test_a_section_that_is_new_is_written_in_lines_and_indented_as_the_file_is() -> None:
    text = "watch:\n   settle: 10s"
    assert edit(text, {"notify": {"ntfy": {"topic": "x"}}}) == f"{text}\nnotify:\n   ntfy:\n      topic: x"
    assert edit("", {"log": {"level": "debug"}}) == "log:\n  level: debug\n"


def test_a_user_goes_and_another_comes_in_lines() -> None:
    text = "users:\n  include:\n    # my wife\n    alice:\n      after: keep\n    # me\n    bob: {}\n  new: ask\n"
    assert edit(text, {"users": {"include": {"alice": None, "carol": {"after": "tag"}}}}) == (
        "users:\n  include:\n    # my wife\n    # me\n    bob: {}\n    carol: {after: tag}\n  new: ask\n"
    )
    assert edit(text, {"users": {"include": {"alice": None, "bob": None}}}) == (
        "users:\n  include: {}\n    # my wife\n    # me\n  new: ask\n"
    )


def test_what_yaml_cannot_hold_is_refused() -> None:
    for value in ("a\0b", "\ud800"):
        with pytest.raises(ConfigError):
            edit("a: b\n", {"a": value})
    with pytest.raises(DocumentError):
        edit("a: [\n", {"a": 1})
    # A number of a kind that the file does not know is written as people write it.
    assert edit("a: b\n", {"a": 1.5}) == "a: 1.5\n"
    assert read_document(rewrite("a: b\n", {"a": plain(10**20)})).data == {"a": str(10**20)}


def attempt(text: str, changes: dict[str, Any]) -> str | None:
    """Give the edited text, or nothing where a person has to do it."""
    try:
        return edit(text, changes)
    except NeedsPerson:
        return None
