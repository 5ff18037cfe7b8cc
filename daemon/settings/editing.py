"""Changes single values in the text of a settings file; every byte that is not part of them stays.

A YAML parser only finds where the values stand; the new ones are spliced in there. The result is read again and must
say exactly what was wanted, otherwise nothing is given: writers that dump a whole file change spacing and quotes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.errors import ConfigError, NeedsPerson
from daemon.settings.document import DocumentError, in_words, line_at, read_document
from daemon.settings.splicing import CannotError, Splicer, same

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.settings.document import KeyPath

BOM = "\ufeff"
_GREATEST = 10**18


def merged(data: Any, changes: Any) -> Any:
    """Give ``data`` with a merge patch (RFC 7396) applied.

    One thing is kept as it stands: a key with nothing behind it (``alice:``) already is the empty section.
    """
    if not isinstance(changes, dict):
        return changes
    found = dict(data) if isinstance(data, dict) else {}
    for key, value in changes.items():
        if value is None:
            found.pop(key, None)
        elif value == {} and key in found and found[key] is None:
            continue
        else:
            found[key] = merged(found.get(key), value)
    return found


def plain(value: Any, path: KeyPath = ()) -> Any:
    """Give a value from JSON in the form in which the file can have it; raises `ConfigError` where it cannot."""
    if isinstance(value, dict):
        return {_text(str(key), path): plain(item, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, (*path, number)) for number, item in enumerate(value)]
    if isinstance(value, float) or (isinstance(value, int) and abs(value) >= _GREATEST):
        return str(value)
    return _text(value, path) if isinstance(value, str) else value


def _text(value: str, path: KeyPath) -> str:
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise ConfigError([f"{in_words(path)}: must not contain NUL or half characters"])
    return value


def edit(text: str, changes: Mapping[str, Any]) -> str:
    """Give the text with a merge patch on its data applied, all else byte for byte as it was.

    Raises `NeedsPerson` (``config.cannot_edit``) where that is not possible, `DocumentError` for text that is not
    usable YAML, `ConfigError` for values that YAML cannot hold.
    """
    data = read_document(text).data
    return rewrite(text, merged(data, plain(dict(changes))))


def rewrite(text: str, wanted: Any) -> str:
    """Give the text changed so that its data is ``wanted``, with as few bytes touched as possible; raises as `edit`."""
    bom = BOM if text.startswith(BOM) else ""
    body = text.removeprefix(BOM)
    data = read_document(body).data
    if same(data, wanted) or (data is None and not wanted):
        return text
    splicer = Splicer(body)
    try:
        splicer.whole(data, wanted)
        result = splicer.spliced()
        if not same(read_document(result).data or {}, wanted):
            raise CannotError(splicer.first)
    except CannotError as error:
        raise _cannot(body, error.offset) from None
    except DocumentError:
        raise _cannot(body, splicer.first) from None
    return bom + result


def _cannot(text: str, offset: int) -> NeedsPerson:
    line = line_at(text, offset)
    return NeedsPerson(
        "config.cannot_edit",
        f"line {line} of the settings file is written in a way that cannot be changed from here without touching more "
        "than what was asked for; nothing was changed",
        hint=f"change line {line} in the file by hand",
        line=line,
    )
