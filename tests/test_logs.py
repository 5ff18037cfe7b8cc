from __future__ import annotations

import json
import logging
import os
import sys
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.logs import JsonFormatter, Redact, TextFormatter, hush, redact, ring, set_up
from daemon.text import count_in_words, shown, size_in_words, span_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

EVIL = "a\nINFO forged\x1b[2J\u202egpj\udcff.jpg"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    redact.know([])
    for name in ("daemon", "ui"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def record(message: str, *arguments: object, fault: BaseException | None = None, **extra: object) -> logging.LogRecord:
    info = (type(fault), fault, fault.__traceback__) if fault else None
    made = logging.LogRecord("daemon.relay.pipeline", logging.INFO, "x.py", 1, message, arguments, info)
    made.__dict__.update(extra)
    return made


def test_a_line_is_one_line_whatever_a_name_holds() -> None:
    line = TextFormatter().format(record("found %s", EVIL))
    assert line.splitlines() == [line]
    assert "\x1b" not in line
    assert "relay.pipeline: found a" in line
    line.encode("utf-8")


def test_a_trace_is_indented_and_carries_no_control_characters() -> None:
    try:
        raise ValueError(EVIL)
    except ValueError as fault:
        text = TextFormatter().format(record("crashed", fault=fault))
    first, *rest = text.split("\n")
    assert first.endswith("crashed")
    assert rest
    assert all(line.startswith("  | ") for line in rest)
    assert "\x1b" not in text
    text.encode("utf-8")


def test_json_is_one_object_a_line_with_what_the_line_carries() -> None:
    line = JsonFormatter().format(record("found %s", EVIL, photo=7, file=EVIL, destination=None))
    assert "\n" not in line
    read = json.loads(line)
    assert (read["level"], read["area"], read["photo"], read["destination"]) == ("info", "relay.pipeline", 7, None)
    assert "\x1b" not in read["file"]
    assert read["time"].endswith("Z")
    line.encode("utf-8")


def test_lines_of_a_swarm_say_node_and_task(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NODE", EVIL)
    monkeypatch.setenv("TASK", "relay.1.abc")
    for form in ("json", "text"):
        set_up("info", form)
        logging.getLogger("daemon.relay").info("found")
    said, plain = capsys.readouterr().err.splitlines()
    assert json.loads(said)["task"] == "relay.1.abc"
    assert json.loads(said)["node"].startswith("a")
    assert "\x1b" not in json.loads(said)["node"]
    assert "relay.1.abc" not in plain
    monkeypatch.delenv("NODE")
    monkeypatch.setenv("TASK", "")
    set_up("info", "json")
    logging.getLogger("daemon.relay").info("found")
    assert {"node", "task"} & set(json.loads(capsys.readouterr().err)) == set()


def test_secrets_are_taken_out_of_messages_arguments_traces_and_what_a_line_carries() -> None:
    redact.know(["hunter22", "abc"])
    for formatter in (TextFormatter(), JsonFormatter()):
        try:
            raise ValueError("with hunter22")
        except ValueError as fault:
            made = record("token %s and abc", "hunter22", fault=fault, url="http://x/?t=hunter22", more=["hunter22"])
        assert redact.filter(made)
        line = formatter.format(made)
        assert "hunter22" not in line, line
        assert "•••" in line
        assert "abc" in line, "short words are no secrets"


def test_longer_secrets_go_first() -> None:
    filter_ = Redact()
    filter_.know(["secret", "secret-longer"])
    assert filter_.clean("secret-longer secret") == "••• •••"


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_log_goes_to_standard_error_once(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_up("info", form)
    set_up("info", form)
    redact.know(["hunter22"])
    logging.getLogger("daemon.test").info("hunter22 %s", os.fsdecode(b"\xff.jpg"))
    logging.getLogger("daemon.test").debug("not this")
    logging.getLogger("aiohttp").info("nor this")
    out = capsys.readouterr()
    assert out.out == ""
    [line] = out.err.splitlines()
    assert "•••" in line
    assert r"\xff.jpg" in line
    assert sys.stderr is not None


@given(st.text(max_size=300), st.integers(2, 400))
def test_a_shown_name_can_be_printed_anywhere_and_is_short(name: str, limit: int) -> None:
    text = shown(name, limit)
    assert len(text) <= limit
    assert not [char for char in text if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
    text.encode("utf-8")


@given(st.binary(max_size=60))
def test_a_name_of_any_bytes_can_be_shown(raw: bytes) -> None:
    shown(os.fsdecode(raw)).encode("utf-8")


def test_words_for_people() -> None:
    assert [size_in_words(size) for size in (0, 1023, 1024, 5 << 20, 3 << 30, 5 << 40, 5 << 50)] == [
        "0 B", "1023 B", "1.0 KiB", "5.0 MiB", "3.0 GiB", "5.0 TiB", "5120.0 TiB",
    ]  # fmt: skip
    assert [span_in_words(span) for span in (0.2, 59.4, 60, 61, 599, 600, 3599, 3600, 7260, 172800)] == [
        "0 s", "59 s", "1 min", "1 min 1 s", "9 min 59 s", "10 min", "59 min", "1 h", "2 h 1 min", "2 days",
    ]  # fmt: skip
    assert (count_in_words(1, "photo"), count_in_words(0, "photo"), count_in_words(2, "photo")) == (
        "1 photo", "0 photos", "2 photos",
    )  # fmt: skip


def test_a_hushed_terminal_has_warnings_only_and_the_pages_log_has_all(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = list(root.handlers)
    log = logging.getLogger("daemon.hushed")
    try:
        set_up("info", "text")
        hush()
        set_up("debug", "json")  # as when the settings change
        log.info("for the page alone")
        log.warning("for both")
    finally:
        for handler in list(root.handlers):
            root.removeHandler(handler)
        for handler in before:
            root.addHandler(handler)
    said = capsys.readouterr().err
    assert "for both" in said
    assert "for the page alone" not in said
    assert all(any(words in line.text for line in ring.lines()) for words in ("for both", "for the page alone"))
