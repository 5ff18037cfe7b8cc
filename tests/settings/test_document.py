"""YAML as plain data: places kept, nothing harmful, words instead of tracebacks."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.settings.document import MAX_DEPTH, DocumentError, Problem, in_words, read_document
from daemon.settings.render import flow


def problems(text: str) -> list[Problem]:
    with pytest.raises(DocumentError) as caught:
        read_document(text)
    return caught.value.problems


def problems_or_none(text: str) -> list[Problem] | None:
    try:
        read_document(text)
    except DocumentError as error:
        return error.problems
    return None


def test_what_looks_like_a_text_to_people_stays_one() -> None:
    text = "on: off\n007: 007\ntime: 12:30:10\ndate: 2026-01-01\nhex: 0x10\nfloat: 1.50\nyes: no\nnull: x\n'': ~\n"
    assert read_document(text).data == {
        "on": "off",
        "007": "007",
        "time": "12:30:10",
        "date": "2026-01-01",
        "hex": "0x10",
        "float": "1.50",
        "yes": "no",
        "null": "x",
        "": None,
    }


def test_every_key_and_item_has_its_line() -> None:
    document = read_document("# one\na:\n  b: 1\n\n  c:\n    - x\n    - d: 2\n      e: 3\n")
    assert document.lines == {
        ("a",): 2,
        ("a", "b"): 3,
        ("a", "c"): 5,
        ("a", "c", 0): 6,
        ("a", "c", 1): 7,
        ("a", "c", 1, "d"): 7,
        ("a", "c", 1, "e"): 8,
    }


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_are_those_that_editors_count(end: str) -> None:
    text = end.join(["# x\u2028# y\u0085# z", "a: 1", "b: 2", ""])
    assert read_document(text).lines == {("a",): 2, ("b",): 3}


def test_a_node_knows_where_its_value_stands() -> None:
    text = "\ufeffa:\n  - b: 'x y'  # comment\n"
    document = read_document(text)
    node = document.node(("a", 0, "b"))
    assert node is not None
    assert text[node.start_mark.index : node.end_mark.index] == "'x y'"
    assert document.node(("a", 1)) is None
    assert document.node(("a", 0, "b", "c")) is None


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: 1\nb:\n  c: [1,\n", 3, "not closed"),
        ("a: 1\nb: 'x\n\n", 2, "quotes"),
        ("a: 1\n\tb: 2", 2, "tab"),
        ("a: b: c", 1, "`:`"),
        ("a: 1\nb: @x", 2, "quotes"),
        ("a: 1\nb: *x", 2, "begins with *"),
        ("a: !secret x", 1, "tags"),
        ("a: !!python/object/apply:os.system [ls]", 1, "tags"),
        ("x: 1\n<<: {a: 1}", 2, "merge keys"),
        ("? [a]\n: b", 1, "single word"),
        ("a: 1\n---\nb: 2", 2, "one YAML document"),
        ("a: 1\nb: \x07", 2, "U+0007"),
        ('a: "\\UFFFFFFFF"', 1, "not valid YAML"),
        ('a: "\\ud800"', 1, "half characters"),
        ("a: &x [*x]", 1, "aliases"),
        ("a:\n  b: 1\n c: 2", 3, "indentation"),
        ("%YAML 1." + "1" * 5000 + "\n---\na: 1", 1, "not valid YAML"),
        ("a: 1\nb", 2, "missing after the key"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, word: str) -> None:
    (problem,) = problems(text)
    assert problem.line == line
    assert word in problem.message


def test_all_doubled_keys_are_named_at_once() -> None:
    found = problems("a:\n  b: 1\n  b: 2\nc: 1\nc: 2\n")
    assert [(problem.line, problem.path) for problem in found] == [(3, ("a", "b")), (5, ("c",))]
    assert "first in line 2" in found[0].message


@pytest.mark.parametrize(
    "text", ["token: geheim: x", "token: *geheim", "token: !geheim x", "token: 'geheim", "token: &geheim"]
)
def test_words_about_syntax_do_not_quote_the_text(text: str) -> None:
    assert "geheim" not in str(problems_or_none(text))


def test_depth_is_bounded() -> None:
    assert read_document("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for text in ("[" * 400_000, "{a: " * 100_000, "\n".join("  " * depth + "- " for depth in range(400)), "- " * 9000):
        assert "deeper" in problems(text)[0].message


def test_the_number_of_keys_is_bounded() -> None:
    assert len(read_document("".join(f"k{number}: 1\n" for number in range(4000))).data) == 4000
    (problem,) = problems("".join(f"k{number}: 1\n" for number in range(9000)))
    assert "more than 10000" in problem.message


def test_aliases_cannot_grow_without_end() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    before = time.monotonic()
    assert "aliases" in problems("\n".join(lines))[0].message
    assert time.monotonic() - before < 5


def test_aliases_as_such_are_fine_and_not_shared() -> None:
    data = read_document("a: &f [x]\nb: *f\n").data
    assert data == {"a": ["x"], "b": ["x"]}
    assert data["a"] is not data["b"]


@given(st.text() | st.text(alphabet=" \n-:[]{},&*!|>'\"%@`#?~\\ab0\t<", max_size=60))
def test_any_text_is_read_or_refused_with_words(text: str) -> None:
    found = problems_or_none(text)
    assert found != []
    for problem in found or []:
        assert 1 <= problem.line <= text.count("\n") + 1
        assert problem.message


_PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0")), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(_PLAIN)
def test_what_is_written_on_one_line_reads_back(data: object) -> None:
    text = "key: " + flow(data)
    assert read_document(text).data == {"key": data}


def test_keys_are_named_as_people_write_them() -> None:
    assert in_words(("users", "include", "o'neil x", "folders", 0)) == 'users.include."o\'neil x".folders[0]'
    assert in_words(("users", "include", "a\nb")) == 'users.include."a\\u000ab"'
