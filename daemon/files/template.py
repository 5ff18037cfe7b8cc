"""Where the folder archive puts a photo: a template with dates and names becomes a safe relative path. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from string import Formatter
from typing import TYPE_CHECKING

from daemon.files.names import LONGEST, cleaned, cut_name, split_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

FIELDS = ("taken", "name", "ext", "user")
_LONGEST_TEMPLATE = 500

# By hand, not by strftime: that asks the locale, and pads the year only on some systems.
_CODES: dict[str, Callable[[datetime], str]] = {
    "Y": lambda when: f"{when.year:04d}",
    "y": lambda when: f"{when.year % 100:02d}",
    "m": lambda when: f"{when.month:02d}",
    "d": lambda when: f"{when.day:02d}",
    "H": lambda when: f"{when.hour:02d}",
    "M": lambda when: f"{when.minute:02d}",
    "S": lambda when: f"{when.second:02d}",
    "j": lambda when: f"{when.timetuple().tm_yday:03d}",
    "G": lambda when: f"{when.isocalendar().year:04d}",
    "V": lambda when: f"{when.isocalendar().week:02d}",
    "%": lambda _when: "%",
}


def check_template(text: str) -> list[str]:
    """Say what is wrong with a template, a sentence for each fault; an empty list means it can be used."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        return [f"the braces do not fit together ({error})"]
    faults = []
    if len(text) > _LONGEST_TEMPLATE:
        faults.append(f"it is longer than {_LONGEST_TEMPLATE} characters")
    for _literal, field, spec, conversion in parts:
        if field is not None:
            faults += _field_faults(field, spec or "", conversion)
    literal = "".join("" if field is None else f"{{{field}}}" for _, field, _, _ in parts)
    if "{name}" not in literal and "{taken}" not in literal:
        faults.append("it has neither {taken:…} nor {name}, so that all photos would have one name")
    if not text.endswith("{ext}"):
        faults.append("it must end with {ext}, or programs no longer see what the file is")
    if text.startswith("/"):
        faults.append("it must be a path below the archive, without a leading /")
    shape = "".join(part[0] + ("x" if part[1] else "") for part in parts)
    faults += [
        f"the folder {component!r} is not allowed: {why}"
        for component in shape.split("/")
        if (why := _component_fault(component))
    ]
    return faults


def fill(template: str, *, taken: datetime, name: str, user: str) -> str:
    """Give the path below the archive at which a photo goes, by a template that ``check_template`` accepts.

    Whatever the name and the user are, the path stays below the archive: no ``..``, no leading ``/``, nothing hidden,
    in NFC and UTF-8, each component 255 bytes at most with the extension kept. The extension is lower-cased.
    """
    stem, extension = split_name(cleaned(name))
    values = {"name": stem, "ext": extension.lower(), "user": cleaned(user)}
    out = []
    for literal, field, spec, _conversion in _parsed(template):
        out.append(literal)
        if field == "taken":
            out.append(_date(taken, spec or "%Y%m%d_%H%M%S"))
        elif field is not None:
            out.append(values[field])
    components = [_component(part) for part in "".join(out).split("/")]
    *folders, last = [part for part in components if part] or ["photo"]
    return "/".join([*folders, last])


@lru_cache(8)
def _parsed(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    return list(Formatter().parse(template))


def _field_faults(field: str, spec: str, conversion: str | None) -> list[str]:
    if field not in FIELDS:
        known = ", ".join(f"{{{one}}}" for one in FIELDS)
        return [f"{{{field}}} is not a field; there are {known}"]
    faults = []
    if conversion:
        faults.append(f"{{{field}!{conversion}}} is not allowed, write {{{field}}}")
    if field == "taken":
        if "{" in spec:
            faults.append("a field cannot stand inside the date of {taken:…}")
        faults += [
            f"%{code[:1]} is not a date code; there are {', '.join('%' + one for one in _CODES)}"
            for chunk in spec.split("%%")
            for code in chunk.split("%")[1:]
            if code[:1] not in _CODES
        ]
    elif spec:
        faults.append(f"{{{field}}} takes no format, only {{taken:…}} does")
    return faults


def _component_fault(component: str) -> str:
    if component in {".", ".."}:
        return "it would lead elsewhere"
    if component.startswith("."):
        return "a leading dot hides it"
    if cleaned(component) != component:
        return "it has characters that no name should have"
    return ""


def _date(when: datetime, spec: str) -> str:
    return "".join(part if code is None else code(when) for part, code in _codes(spec))


@lru_cache(32)
def _codes(spec: str) -> list[tuple[str, Callable[[datetime], str] | None]]:
    """Give the pieces of a date's format: text as it is, or what makes it of a date."""
    literals = re.split("%(.)", spec)
    return [(part, _CODES[part] if place % 2 else None) for place, part in enumerate(literals) if part]


def _component(part: str) -> str:
    """Make one part of the path safe; what hides or climbs (leading dots) loses just that."""
    part = cleaned(part).rstrip()
    if part[:1] == "." or part[:1].isspace():
        part = re.sub(r"^[\s.]+", "", part)
    return cut_name(part, LONGEST) if part else ""
