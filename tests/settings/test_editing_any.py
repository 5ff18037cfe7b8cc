"""Whatever a legal settings file looks like, a change keeps its other lines and says what was wanted."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from daemon.errors import NeedsPerson
from daemon.settings.document import DocumentError, read_document
from daemon.settings.editing import edit, merged
from daemon.settings.render import flow
from daemon.settings.splicing import same
from tests.settings.lines import is_within, lines_of, untouched

NAMES = st.sampled_from(["watch", "users", "a", "b_c", "o'neil @x", "007", "null", "日本", "on", "x: y", "#z"])
TEXTS = st.one_of(
    st.sampled_from(["10s", "every 15m", "0 3 * * *", "", "it's", 'a "b"', "a # b", "{x}", "- y", "~", "true", "12"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
)
SCALARS = st.one_of(TEXTS, st.booleans(), st.integers(-5, 10**6), st.none())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
GIVEN = st.recursive(
    st.one_of(TEXTS, st.booleans(), st.integers(-5, 10**6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=2)),
    max_leaves=5,
)
NOISE = ["", "# a comment", "   # deeper: [x", "#", ""]


class Writer:
    """Writes data as YAML the way no program would."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.step = draw(st.integers(1, 4))
        self.lines: list[str] = []

    def any_of(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def noise(self, indent: str) -> None:
        if self.draw(st.booleans()):
            word = self.draw(st.sampled_from(NOISE))
            self.lines.append(indent + word if word else "")

    def behind(self) -> str:
        return str(self.any_of("", "", "   # said", " #", "  "))

    def scalar(self, value: Any) -> str:
        if isinstance(value, str) and value.isprintable() and self.any_of(True, False):
            return "'" + value.replace("'", "''") + "'"
        if value is None:
            return str(self.any_of("~", "null", ""))
        return flow(value)

    def flow(self, value: Any, indent: str) -> str:
        blank = str(self.any_of("", " "))
        if isinstance(value, dict):
            inside = [f"{flow(key)}: {self.flow(item, indent)}" for key, item in value.items()]
            left, right = "{", "}"
        elif isinstance(value, list):
            inside, left, right = [self.flow(item, indent) for item in value], "[", "]"
        else:
            return self.scalar(value) if value is not None else "null"
        if inside and self.any_of(True, False, False):
            newline = "\n" + indent + "     "
            comma = str(self.any_of(",", ""))
            return (
                left
                + newline
                + ("," + str(self.any_of("", "  # why")) + newline).join(inside)
                + comma
                + newline
                + right
            )
        return left + blank + f",{self.any_of('', ' ')}".join(inside) + blank + right

    def inline(self, value: Any, indent: str) -> bool:
        return not isinstance(value, (dict, list)) or not value or bool(self.any_of(True, False, False))

    def mapping(self, value: dict[str, Any], indent: str) -> None:
        for key, item in value.items():
            self.noise(indent)
            name = f"{indent}{flow(key)}{self.any_of('', ' ')}:"
            self.entry(name, item, indent)

    def entry(self, name: str, item: Any, indent: str) -> None:
        if (
            isinstance(item, str)
            and item
            and item.isprintable()
            and item.strip() == item
            and self.any_of(*[False] * 4, True)
        ):
            self.lines += [f"{name} {self.any_of('|', '|-', '>', '>-')}", f"{indent}{' ' * self.step}{item}"]
        elif self.inline(item, indent):
            text = self.flow(item, indent) if isinstance(item, (dict, list)) else self.scalar(item)
            self.lines += f"{name} {text}{self.behind()}".split("\n")
        else:
            self.lines.append(name + self.behind())
            if isinstance(item, dict):
                self.mapping(item, indent + " " * self.step)
            else:
                self.items(item, indent + " " * self.any_of(0, self.step))

    def items(self, value: list[Any], indent: str) -> None:
        for item in value:
            self.noise(indent)
            if self.inline(item, indent):
                text = self.flow(item, indent) if isinstance(item, (dict, list)) else self.scalar(item)
                self.lines += f"{indent}- {text}{self.behind()}".split("\n")
            else:
                before = len(self.lines)
                inside = indent + "  "
                self.mapping(item, inside) if isinstance(item, dict) else self.items(item, inside)
                while not self.lines[before].strip() or self.lines[before].strip().startswith("#"):
                    del self.lines[before]
                first = self.lines[before]
                self.lines[before] = f"{indent}- {first[len(inside) :]}"


@st.composite
def files(draw: Any) -> str:
    writer = Writer(draw)
    writer.mapping(draw(st.dictionaries(NAMES, VALUES, max_size=4)), "")
    writer.noise("")
    newline: str = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    text: str = "\n".join(writer.lines) + draw(st.sampled_from(["\n", ""]))
    return text.replace("\n", newline)


@st.composite
def changed(draw: Any, data: Any) -> dict[str, Any]:
    """Give a merge patch that meets what is there as often as not."""
    known = list(data) if isinstance(data, dict) else []
    keys = draw(st.lists(st.one_of(st.sampled_from(known), NAMES) if known else NAMES, max_size=2, unique=True))
    patch: dict[str, Any] = {}
    for key in keys:
        now = data.get(key) if isinstance(data, dict) else None
        if isinstance(now, dict) and draw(st.booleans()):
            patch[key] = draw(changed(now))
        elif isinstance(now, list) and now and draw(st.booleans()):
            place = draw(st.integers(0, len(now) - 1))
            more = draw(st.lists(GIVEN, max_size=2))
            items = [*now[:place], *more, *now[place + draw(st.integers(0, 1)) :]]
            patch[key] = [item for item in items if item is not None]
        else:
            patch[key] = draw(st.one_of(st.none(), GIVEN))
    return patch


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_legal_file_keeps_what_was_not_edited(data: st.DataObject) -> None:
    text = data.draw(files())
    try:
        before = read_document(text).data
    except DocumentError:
        assume(False)
    assume(before is None or isinstance(before, dict))
    changes = data.draw(changed(before))
    wanted = merged(before, changes)
    try:
        result = edit(text, changes)
    except NeedsPerson:
        assume(False)
    assert same(read_document(result).data or {}, wanted or {})
    kept, got = untouched(text, before, wanted), lines_of(result)
    if text and not text.endswith("\n"):
        kept, got = [line.rstrip("\r\n") for line in kept], [line.rstrip("\r\n") for line in got]
    assert is_within(kept, got), (changes, kept, result)
