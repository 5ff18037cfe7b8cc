"""What docs/messages.md says is so."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from daemon.notify import hooks
from daemon.notify.kinds import LEVELS, STALE
from daemon.notify.words import kinds
from daemon.settings import Settings
from daemon.settings.document import read_document
from daemon.settings.messages import MESSAGES

TEXT = (Path(__file__).parents[2] / "docs" / "messages.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)


def test_every_kind_of_message_is_described_has_words_and_a_level() -> None:
    table = re.findall(r"^\| [“\"\w].*? \| `([a-z.]+)` \|", TEXT, re.MULTILINE)
    assert set(table) == set(MESSAGES) == set(kinds())
    assert set(LEVELS) == set(MESSAGES) - {"issue.closed", "digest"}
    assert set(STALE) <= set(MESSAGES)


def test_every_event_of_hooks_is_named() -> None:
    listed = re.search(r"^Events: (.*?)\.\n\n", TEXT, re.DOTALL | re.MULTILINE)
    assert listed
    assert re.findall(r"`([a-z.]+)`", listed[1]) == list(hooks.EVENTS)


def test_the_yaml_is_valid() -> None:
    found = [text for kind, text in BLOCKS if kind == "yaml"]
    assert len(found) == 2
    for text in found:
        data: Any = read_document(text.replace("token_file", "token").replace("secret_file", "secret")).data
        Settings.model_validate(data)


def test_the_receivers_check_knows_genuine_calls() -> None:
    [code] = [text for kind, text in BLOCKS if kind == "python" and "def genuine" in text]
    space: dict[str, Any] = {}
    exec(code, space)  # the documentation's own words
    stamp = str(int(time.time()))
    headers = {hooks.TIMESTAMP: stamp, hooks.SIGNATURE: hooks.signature("key", stamp, b"{}")}
    assert space["genuine"]("key", headers, b"{}")
    assert not space["genuine"]("key", headers, b"[]")
    assert not space["genuine"]("other", headers, b"{}")
    old = str(int(time.time()) - 4000)
    headers = {hooks.TIMESTAMP: old, hooks.SIGNATURE: hooks.signature("key", old, b"{}")}
    assert not space["genuine"]("key", headers, b"{}")
