from __future__ import annotations

import os
import unicodedata
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from daemon.files.names import (
    LONGEST,
    cut_name,
    hidden_name,
    kept_name,
    name_of_hidden,
    numbered,
    placed_name,
    split_name,
    word,
)

# Whatever a directory may hold: any bytes but "/" and NUL, 255 of them at most, never "." or "..".
file_names = (
    st.one_of(
        st.binary(min_size=1, max_size=255),
        st.text(min_size=1, max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.tuples(
            st.sampled_from(["", ".", "__", "_.", "@", "  ", "\u0301", "e\u0301", "IMG_1", "x" * 250, "é" * 130]),
            st.text(max_size=20),
            st.sampled_from(["", ".", ".jpg", ".JPG", ".jpg.json", ".HEIC", ".mov ", ".tar.gz"]),
        ).map(lambda parts: "".join(parts).encode("utf-8", "surrogatepass")),
    )
    .map(lambda raw: raw.replace(b"/", b"").replace(b"\0", b"")[:255])
    .filter(lambda raw: raw not in {b"", b".", b".."})
    .map(os.fsdecode)
)


@given(file_names)
def test_a_placed_name_is_safe_and_stays_as_it_is(name: str) -> None:
    placed = placed_name(name)
    raw = placed.encode()  # strict: it is UTF-8
    assert 0 < len(raw) <= LONGEST
    assert placed not in {".", ".."}
    assert not placed.startswith((".", "@", "_.", "__", " "))
    assert "/" not in placed
    assert "\\" not in placed
    assert unicodedata.is_normalized("NFC", placed)
    assert not {unicodedata.category(char) for char in placed} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert placed_name(placed) == placed


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=190))
def test_a_good_name_is_not_touched(stem: str) -> None:
    assert placed_name(f"{stem}.jpg") == f"{stem}.jpg"


@given(file_names)
def test_the_members_of_a_group_keep_a_common_stem(name: str) -> None:
    stem = split_name(name)[0][:100]
    assume(not split_name(placed_name(stem))[1])  # a stem such as "x.jpg" belongs to a side file's own name
    members = [f"{stem}.HEIC", f"{stem}.mov", f"{stem}.HEIC.json", f"{stem}.xmp"]
    stems = {split_name(placed_name(member))[0] for member in members}
    assert len(stems) == 1
    assert {split_name(numbered(placed_name(member), 2))[0] for member in members} == {f"{stems.pop()} (2)"}


@pytest.mark.parametrize(
    ("name", "placed"),
    [
        ("IMG_1.JPG", "IMG_1.JPG"),
        ("Zoe\u0308 U\u0308bung.jpg", "Zoë Übung.jpg"),
        ("Zo\udceb.jpg", "Zoë.jpg"),
        (".trashed-1-IMG.jpg", "trashed-1-IMG.jpg"),
        ("__x.jpg", "_x.jpg"),
        ("_x.jpg", "_x.jpg"),
        ("_.x.jpg", "x.jpg"),
        ("@x.jpg", "x.jpg"),
        ("a\nb.jpg", "a_b.jpg"),
        ("\u202egpj.jpg", "gpj.jpg"),
        ("___.jpg", "photo.jpg"),
        ("..jpg", "photo.jpg"),
        (" .HEIC", "photo.HEIC"),
        (".jpg", "jpg"),
        ("@.jpg", "photo.jpg"),
        ("x" * 251 + ".jpg", "x" * 200 + ".jpg"),
        ("x" * 250 + ".heic", "x" * 200 + ".heic"),
    ],
)
def test_placed_names(name: str, placed: str) -> None:
    assert placed_name(name) == placed


@given(file_names, st.integers(1, 2000))
def test_numbers_and_marks_never_make_a_name_too_long(name: str, number: int) -> None:
    for made in (numbered(name, number), kept_name(name, number), cut_name(name, 100)):
        assert 0 < len(os.fsencode(made)) <= LONGEST
        assert "/" not in made
    assert split_name(numbered(name, number))[1] == split_name(name)[1]
    assert len({kept_name(name, one) for one in range(1, 20)} | {name}) == 20
    assert len({numbered(name, one) for one in range(1, 20)}) == 19


def test_numbers_stand_before_the_extension() -> None:
    assert numbered("IMG.jpg", 1) == "IMG.jpg"
    assert numbered("IMG.jpg", 2) == "IMG (2).jpg"
    assert numbered("IMG.jpg.json", 2) == "IMG (2).jpg.json"
    assert numbered("archive.tar", 3) == "archive (3).tar"
    assert kept_name("IMG.jpg") == "IMG (kept).jpg"
    assert kept_name("IMG.jpg", 3) == "IMG (kept 3).jpg"


@given(file_names)
def test_a_hidden_name_carries_the_name_home(name: str) -> None:
    hidden = hidden_name(name, word(16))
    assert len(os.fsencode(hidden)) <= LONGEST
    assert hidden.startswith(".photon-relay-")
    assert hidden.endswith(".part")
    back = name_of_hidden(hidden)
    assert back
    assert back == name or len(os.fsencode(name)) > 200
    assert name_of_hidden(name) is None or name.startswith(".photon-relay-")


def test_words_are_letters_only_and_differ() -> None:
    assert word(12).isascii()
    assert word(12).isalpha()
    assert word(12).islower()
    assert len(word(12)) == 12
    assert word(12) != word(12)
    assert word(8, Random(1)) == word(8, Random(1))
