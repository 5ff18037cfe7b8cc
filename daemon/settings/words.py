"""Turns pydantic's errors into sentences for people."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from daemon.settings.base import keyed
from daemon.settings.document import in_words
from daemon.settings.fields import model_at, shape_of, walk
from daemon.settings.origins import Fault
from daemon.settings.values import quoted

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

    from daemon.settings.document import KeyPath

_TEXTS = {
    "missing": "is required",
    "string_type": "must be a single text, in quotes if it looks like something else",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number, and not so large",
    "int_from_float": "must be a whole number",
    "tuple_type": "must be a list, such as [one, two], or a line with - for each item",
    "dict_type": "must be a section with a key for each item",
    "model_type": "must be a section with keys below it, not a single value",
    "string_pattern_mismatch": "must be the name of an event, such as batch.done",
}


def did_you_mean(path: KeyPath, model: type[BaseModel] | None, root: type[BaseModel] | None = None) -> str:
    """Give `; did you mean …?` for an unknown key: the same word elsewhere, or one like it in its section."""
    word = str(path[-1])
    here = list(keyed(model)) if model else []
    # The right word in the wrong place: mostly a matter of indentation.
    elsewhere = next((in_words(key) for key, _ in walk(root) if key[-1] == word), "") if root else ""
    # Too long a word is no slip of the pen, and comparing it costs time.
    close = difflib.get_close_matches(word.lower(), here, n=1, cutoff=0.6) if len(word) < 60 and not elsewhere else []
    meant = elsewhere or "".join(close)
    if meant:
        return f"; did you mean {meant}?"
    return f"; there are {', '.join(here)}" if here and len(here) < 8 else ""


def faults_of(error: ValidationError, root: type[BaseModel]) -> list[Fault]:
    """Give a fault in plain words for each of pydantic's."""
    return [_fault(details, root) for details in error.errors(include_url=False)]


def _fault(details: ErrorDetails, root: type[BaseModel]) -> Fault:
    path = tuple(part for part in details["loc"] if part != "[key]")
    return Fault(path, _message(details, path, root))


def _message(details: ErrorDetails, path: KeyPath, root: type[BaseModel]) -> str:
    kind, given = details["type"], details.get("input")
    context: dict[str, Any] = details.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key{did_you_mean(path, model_at(root, path[:-1]), root)}"
    if given is None and kind != "missing":
        return "is empty; give it a value, or remove the key"
    if kind == "setting":
        return details["msg"]
    if kind == "literal_error":
        expected = str(context["expected"]).replace("'", "")
        but = f", not {quoted(given)}" if isinstance(given, str) and not _secret(path, root) else ""
        return f"must be {expected}{but}"
    if kind in {"greater_than_equal", "less_than_equal"}:
        return f"must be at {'least' if 'ge' in context else 'most'} {context.get('ge', context.get('le'))}"
    return _TEXTS.get(kind, "has a value that does not fit")


def _secret(path: KeyPath, root: type[BaseModel]) -> bool:
    model = model_at(root, path[:-1])
    info = keyed(model).get(str(path[-1])) if model else None
    return info is not None and shape_of(info).secret
