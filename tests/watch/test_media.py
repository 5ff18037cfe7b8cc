"""Names: what is a photo, what is unfinished, what belongs together, what PhotoPrism would join."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.watch import media

if TYPE_CHECKING:
    import random

ANY_NAME = (
    st.binary(min_size=1, max_size=30)
    .filter(lambda b: b"/" not in b and b"\0" not in b)
    .map(lambda b: b.decode("utf-8", "surrogateescape"))
)
STEM = st.text(alphabet="aB1_E. ", min_size=1, max_size=6) | st.sampled_from(["IMG_1234", "IMG_E1234", "x", "x_2023"])
ENDING = st.sampled_from(
    [".jpg", ".JPG", ".heic", ".mov", "_HEVC.mov", ".jpg.xmp", ".xmp", ".aae", ".jpg.json", ".MP.jpg", ".pdf", ""]
)
NAMES = st.lists(ANY_NAME | st.builds(str.__add__, STEM, ENDING), max_size=25)


@pytest.mark.parametrize(
    "name",
    [
        "x.jpg.ocTransferId123.part",
        "0cc175b9c0f1b6a831c399e269772661.ocTransferId99.part",
        "x.jpg.ocTransferId123",
        "x.PART",
        "x.tmp",
        "x.jpg~",
        ".x.jpg.Ab12Cd",
        ".pending-1700000000-x.jpg",
        ".trashed-1700000000-x.jpg",
        ".photon-relay-abc",
        ".hidden.jpg",
        "~$x.jpg",
    ],
)
def test_unfinished_and_hidden_names(name: str) -> None:
    assert media.is_temporary(name)
    assert not media.is_candidate(name)


@pytest.mark.parametrize("name", ["x.jpg", "part.jpg", "x.part.jpg", "~x.jpg", "tmp", "ocTransferId.jpg"])
def test_finished_names(name: str) -> None:
    assert not media.is_temporary(name)


def test_roles() -> None:
    assert {media.role(name) for name in ("a.JPG", "a.cr3", "a.mov")} == {"main"}
    assert {media.role(name) for name in ("a.xmp", "a.jpg.json", "a.AAE")} == {"side"}
    assert {media.role(name) for name in ("a.pdf", "jpg", ".jpg")} == {None}
    only = frozenset({"heic"})
    assert [media.role(name, only) for name in ("a.heic", "a.jpg", "a.aae")] == ["main", None, "side"]


@pytest.mark.parametrize(
    "together",
    [
        ["IMG_1.HEIC", "IMG_1.MOV", "IMG_1.AAE", "IMG_1.HEIC.xmp", "IMG_1.xmp", "IMG_1_HEVC.MOV"],
        ["DSC_1.NEF", "DSC_1.JPG", "DSC_1.NEF.xmp"],
        ["IMG_1234.JPG", "IMG_E1234.JPG", "IMG_E1234.MOV", "IMG_E1234.AAE"],
        ["x.jpg", "x.json", "x.jpg.json", "x.jpg.supplemental-metadata.json", "x.jpg.suppl.json"],
        ["a.b.jpg", "a.b.mov"],
    ],
)
def test_what_belongs_together(together: list[str]) -> None:
    groups = media.group(together)
    assert [sorted(one.names) for one in groups] == [sorted(together)]
    assert not groups[0].sides_only


@pytest.mark.parametrize(
    ("one", "other"),
    [("X.jpg", "X_2023.jpg"), ("x.jpg", "X.jpg"), ("x.jpg", "x (2).jpg"), ("IMG_1.jpg", "IMG_12.jpg"),
     ("IMG_Easter.jpg", "IMG_aster.jpg"), ("a.b.jpg", "a.jpg"), ("_HEVC.mov", "x.mov")],
)  # fmt: skip
def test_strangers_stay_apart(one: str, other: str) -> None:
    assert len(media.group([one, other])) == 2


def test_side_files_without_a_photo_are_marked() -> None:
    assert [(one.key, one.sides_only) for one in media.group(["a.xmp", "b.jpg", "b.xmp"])] == [
        ("a", True),
        ("b", False),
    ]


@given(NAMES, st.randoms(use_true_random=False))
def test_each_name_is_in_exactly_one_group_in_whatever_order(names: list[str], chance: random.Random) -> None:
    groups = media.group(names)
    members = [name for one in groups for name in one.names]
    assert sorted(members) == sorted(set(names))
    assert len({one.key for one in groups}) == len(groups)
    for one in groups:
        assert {media.group_key(name) for name in one.names} == {one.key}
        assert all(media.may_belong({one.key: ()})(name) for name in one.names)
        assert all(media.may_belong({one.key, f"{one.key}+"})(name) for name in one.names)
        assert one.sides_only == (not any(media.role(name) == "main" for name in one.names))
    shuffled = list(names)
    chance.shuffle(shuffled)
    assert media.group(shuffled) == groups


@given(NAMES, st.integers(0, 25))
def test_a_group_does_not_depend_on_its_neighbours(names: list[str], cut: int) -> None:
    whole = {one.key: set(one.names) for one in media.group(names)}
    parts: dict[str, set[str]] = {}
    for some in (names[:cut], names[cut:]):
        for one in media.group(some):
            parts.setdefault(one.key, set()).update(one.names)
    assert parts == whole


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["X.jpg"], ["X_2023.jpg"]),
        (["X.jpg"], ["X_2023.jpg.xmp"]),
        (["IMG_1.jpg"], ["IMG_E1.jpg"]),
        (["PXL_1.MP.jpg"], ["PXL_1.jpg"]),
        (["x.jpg"], ["x.jpg"]),
        (["x.jpg.mov"], ["x.heic"]),
        (["x"], ["x.jpg"]),
    ],
)
def test_what_photoprism_would_join(first: list[str], second: list[str]) -> None:
    assert media.would_meet(first, second)
    assert media.would_meet(second, first)


@pytest.mark.parametrize(
    ("first", "second"),
    [(["X.jpg"], ["x.jpg"]), (["X.jpg"], ["X_20231.jpg"]), (["X.jpg"], ["X (2).jpg"]), (["X1.jpg"], ["X11.jpg"]),
     (["a.jpg", "b.jpg"], ["c.jpg"])],
)  # fmt: skip
def test_what_photoprism_keeps_apart(first: list[str], second: list[str]) -> None:
    assert not media.would_meet(first, second)


@given(NAMES, NAMES)
def test_meeting_is_mutual(first: list[str], second: list[str]) -> None:
    assert media.would_meet(first, second) == media.would_meet(second, first)


@given(st.text(alphabet=string.ascii_letters + "_", min_size=1, max_size=8), st.text("ab1é?*[", min_size=4, max_size=4))
def test_any_four_characters_after_a_line_join(stem: str, four: str) -> None:
    assert media.would_meet([f"{stem}.jpg"], [f"{stem}_{four}.mov"])
