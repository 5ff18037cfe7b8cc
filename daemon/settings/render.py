"""The default configuration file: every key with its default, and above it what it does."""

from __future__ import annotations

import json
import re
import textwrap
from typing import TYPE_CHECKING, Any

from daemon.settings.base import keyed
from daemon.settings.document import DocumentError, read_document
from daemon.settings.fields import shape_of
from daemon.settings.model import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

WIDTH = 100
SCHEMA_LINE = "# yaml-language-server: $schema=./photon-relay.schema.json"
_UNPRINTED = re.compile("[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]")
_PREFACE = """
Photon Relay: what can be configured.

Save this file and the change is in force two seconds later. If something in it is wrong, nothing changes, and the page
and the log say which line. Every key may be left out; then it has the value that stands here.

Lengths of time have a unit: 300ms, 10s, 5m, 6h, 1d. Sizes too: 500MB, 2GiB.

A value may also stand in a file of its own (token_file: /run/secrets/token instead of token: ...), or in the
environment (PHOTON_RELAY__PHOTOPRISM__TOKEN), which wins over this file.
"""


def default_file() -> str:
    """Give the text of the default file, made from the settings' own description."""
    lines = [SCHEMA_LINE]
    for paragraph in _PREFACE.strip().split("\n\n"):
        lines += ["#", *_comment(paragraph, "")]
    lines += _section(Settings, "")
    return "\n".join(lines) + "\n"


def _section(model: type[BaseModel], indent: str) -> Iterator[str]:
    defaults = model.model_construct().model_dump(mode="json", by_alias=True)
    for number, (key, info) in enumerate(keyed(model).items()):
        shape = shape_of(info)
        if not indent or (shape.kind == "section" and number):
            yield ""
        yield from _comment(info.description or "", indent)
        if shape.kind == "section" and shape.model:
            yield f"{indent}{key}:"
            yield from _section(shape.model, indent + "  ")
            continue
        default = defaults.get(key, "")
        for example in info.examples or []:
            if default in ("", [], {}) and not shape.secret:
                yield from _comment(f"For example: {key}: {flow(example)}", indent)
        yield f"{indent}{key}: {flow(default)}"


def _comment(text: str, indent: str) -> list[str]:
    prefix = f"{indent}# "
    return textwrap.wrap(
        text, WIDTH, initial_indent=prefix, subsequent_indent=prefix, break_long_words=False, break_on_hyphens=False
    )


def flow(value: Any) -> str:
    """Give a value as YAML on one line, in quotes only where they are needed."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    return value if _plain(value) else quoted_twice(value)


def quoted_twice(text: str) -> str:
    """Give a text as YAML in double quotes."""
    # What YAML takes for a line end or does not allow, JSON leaves as it stands. Not ensure_ascii: JSON's pairs of
    # escapes for characters beyond U+FFFF are two half characters to YAML.
    written = json.dumps(text, ensure_ascii=False)
    return _UNPRINTED.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def _plain(text: str) -> bool:
    # No blank before a number or an asterisk: a cron expression reads better in quotes, and some tools want them.
    if not re.fullmatch(r"[A-Za-z0-9/][\w ./:@+-]*", text, re.ASCII) or text.lower() in {"yes", "no", "y", "n"}:
        return False
    try:
        return bool(read_document(f"[{text}]").data == [text])
    except DocumentError:
        return False
