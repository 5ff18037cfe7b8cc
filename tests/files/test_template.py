from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.files.names import split_name
from daemon.files.template import check_template, fill
from tests.files.test_names import file_names

DEFAULT = "{taken:%Y/%m}/{taken:%Y%m%d_%H%M%S}_{name}{ext}"
WHEN = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("template", "path"),
    [
        (DEFAULT, "2024/01/20240102_030405_IMG_1.jpg"),
        ("{user}/{taken:%Y-%m-%d}/{name}{ext}", "alice/2024-01-02/IMG_1.jpg"),
        ("all/{name} at {taken}{ext}", "all/IMG_1 at 20240102_030405.jpg"),
        ("{taken:%G-W%V/%j %%}{ext}", "2024-W01/002 %.jpg"),
        ("{{{name}}}{ext}", "{IMG_1}.jpg"),
    ],
)
def test_templates_are_filled(template: str, path: str) -> None:
    assert check_template(template) == []
    assert fill(template, taken=WHEN, name="IMG_1.JPG", user="alice") == path


@pytest.mark.parametrize(
    ("template", "word"),
    [
        ("/{name}{ext}", "leading /"),
        ("../{name}{ext}", "lead elsewhere"),
        ("a/./{name}{ext}", "lead elsewhere"),
        ("{name}/../{name}{ext}", "lead elsewhere"),
        (".hidden/{name}{ext}", "hides"),
        ("{year}/{name}{ext}", "{year} is not a field"),
        ("{}{name}{ext}", "{} is not a field"),
        ("{name.__class__}{ext}", "not a field"),
        ("{name!r}{ext}", "not allowed"),
        ("{name:>9}{ext}", "takes no format"),
        ("{taken:%Q}{ext}", "%Q is not a date code"),
        ("{taken:%Y%}{ext}", "is not a date code"),
        ("{taken:{name}}{ext}", "inside the date"),
        ("{name}", "must end with {ext}"),
        ("{name}{ext}x", "must end with {ext}"),
        ("{user}{ext}", "one name"),
        ("{name{ext}", "braces"),
        ("a\nb/{name}{ext}", "characters"),
        ("x" * 600 + "{name}{ext}", "longer"),
        ("", "must end with {ext}"),
    ],
)
def test_what_is_wrong_with_a_template_is_named(template: str, word: str) -> None:
    faults = check_template(template)
    assert any(word in fault for fault in faults), faults


@example("{user}/{name}{ext}", "...hidden.jpg", "..", WHEN)
@example("{user}/{name}{ext}", "..", ".", WHEN)
@example("{user}/{name}{ext}", " . .. x.jpg", "/../", WHEN)
@given(
    st.sampled_from([DEFAULT, "{user}/{name}{ext}", "{name}/{name}{ext}", "{user}{name}/{taken:%Y}{ext}"]),
    file_names,
    st.text(max_size=70),
    st.datetimes(),
)
def test_whatever_the_name_is_the_path_stays_below(template: str, name: str, user: str, when: datetime) -> None:
    path = fill(template, taken=when, name=name, user=user)
    path.encode()
    components = path.split("/")
    assert len(components) <= template.count("/") + 1 + (template.count("%Y/%m"))
    for component in components:
        assert component
        assert not component.startswith(".")
        assert len(component.encode()) <= 255
        assert unicodedata.is_normalized("NFC", component)
        assert not {unicodedata.category(char) for char in component} & {"Cc", "Cf", "Cs"}


@given(st.text(max_size=300).filter(lambda text: "/" not in text and "\0" not in text))
def test_the_extension_outlives_the_cut(stem: str) -> None:
    name = f"x{stem}.HEIC"
    path = fill(DEFAULT, taken=WHEN, name=name, user="u")
    assert split_name(path.rsplit("/", 1)[1])[1] == ".heic"


@given(st.text(st.sampled_from("{}%Ytakenm:/.!xusr "), max_size=40))
def test_any_template_is_either_refused_or_safe(template: str) -> None:
    if not check_template(template):
        path = fill(template, taken=WHEN, name="x.jpg", user="u")
        assert not path.startswith("/")
        assert not set(path.split("/")) & {"", ".", ".."}
