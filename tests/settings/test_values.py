"""Durations, sizes and the other values as people write them."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from daemon.settings import Settings, format_duration, format_size, parse_duration, parse_size
from daemon.settings.values import DURATION_PATTERN, LARGEST, LONGEST_MS, SIZE_PATTERN, split_listen, web_address


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("300ms", 0.3),
        ("15s", 15.0),
        ("5m", 300.0),
        ("6h", 21600.0),
        ("1d", 86400.0),
        ("0s", 0.0),
        ("0", 0.0),
        (0, 0.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("1.5s", 1.5),
        (" 10 s ", 10.0),
        (2.5, 2.5),
    ],
)
def test_durations_are_read_as_seconds(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "10", 10, "s", "-1s", "1x", "1s2", "1 2s", True, None, [], "1e3s", "9999d", "\u0661s"]
)
def test_other_durations_are_refused(text: object) -> None:
    with pytest.raises(PydanticCustomError):
        parse_duration(text)


def test_a_bare_number_is_answered_with_the_unit_it_lacks() -> None:
    with pytest.raises(PydanticCustomError, match="did you mean 10s"):
        parse_duration(10)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_impossible_seconds_are_refused(seconds: float) -> None:
    with pytest.raises(PydanticCustomError):
        parse_duration(seconds)


@given(st.integers(0, LONGEST_MS))
def test_every_duration_survives_being_written(milliseconds: int) -> None:
    text = format_duration(milliseconds / 1000)
    assert parse_duration(text) == milliseconds / 1000
    assert re.search(DURATION_PATTERN, text)


@given(st.lists(st.tuples(st.integers(0, 100), st.sampled_from(["ms", "s", "m", "h", "d"])), min_size=1, max_size=5))
def test_parts_of_a_duration_add_up(parts: list[tuple[int, str]]) -> None:
    whole = parse_duration(" ".join(f"{count}{unit}" for count, unit in parts))
    assert whole == pytest.approx(sum(parse_duration(f"{count}{unit}") for count, unit in parts))


@given(st.text())
def test_any_text_is_a_duration_or_refused_with_words(text: str) -> None:
    try:
        parse_duration(text)
    except PydanticCustomError:
        return
    assert re.search(DURATION_PATTERN, text.strip())


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GiB", 2 << 30),
        ("500MB", 500_000_000),
        (4096, 4096),
        ("4096", 4096),
        ("0", 0),
        ("1.5 KiB", 1536),
        ("1tib", 1 << 40),
        ("7B", 7),
    ],
)
def test_sizes_are_read_as_bytes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", -1, "2 Gi", "2G", True, None, 1.5, "1iB", "99999999TiB"])
def test_other_sizes_are_refused(text: object) -> None:
    with pytest.raises(PydanticCustomError):
        parse_size(text)


@given(st.integers(0, LARGEST))
def test_every_size_survives_being_written(size: int) -> None:
    text = format_size(size)
    assert parse_size(text) == size
    assert re.search(SIZE_PATTERN, text)


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:8080", ("127.0.0.1", 8080)), ("[::1]:80", ("::1", 80)), ("localhost:0", ("localhost", 0))],
)
def test_listen_is_split(text: str, address: tuple[str, int]) -> None:
    assert split_listen(text) == address


@pytest.mark.parametrize(
    "text", ["", "8080", ":8080", "a:", "a:b", "a:65536", "::1:80", "[a]:1", "[1.2.3.4]:1", "10.0.0.0/8:1", "a b:1"]
)
def test_other_listens_are_refused(text: str) -> None:
    with pytest.raises(PydanticCustomError):
        split_listen(text)


@pytest.mark.parametrize("text", ["x", "ftp://x", "http://", "http://u:p@x", "http://x:y", "http://[", "http://a b"])
def test_other_web_addresses_are_refused(text: str) -> None:
    with pytest.raises(PydanticCustomError):
        web_address(text)


def test_the_words_for_a_password_in_an_address_do_not_show_it() -> None:
    with pytest.raises(PydanticCustomError) as caught:
        web_address("http://user:geheim@host")
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(("given_", "meant"), [(True, "on"), (False, "off"), ("on", "on"), ("auto", "auto")])
def test_switches_know_the_booleans_that_yaml_makes_of_them(given_: object, meant: str) -> None:
    settings = Settings.model_validate({"nextcloud": {"memories": given_, "photos": given_}})
    assert (settings.nextcloud.memories, settings.nextcloud.photos) == (meant, meant)


def test_a_level_false_is_off() -> None:
    settings = Settings.model_validate({"notify": {"ntfy": {"levels": {"error": False}}}})
    assert settings.notify.ntfy.levels.error == "off"
    assert settings.notify.ntfy.levels.warning == "default"


def test_settings_are_written_in_the_form_of_the_file() -> None:
    settings = Settings.model_validate({"ui": {"allow": ["10.1.2.3/8"]}, "photoprism": {"import": "/x/"}})
    written = settings.model_dump(mode="json", by_alias=True)
    assert written["watch"]["settle"] == "10s"
    assert written["relay"]["min_free"] == "2GiB"
    assert written["ui"]["allow"] == ["10.0.0.0/8"]
    assert written["photoprism"]["import"] == "/x"
    assert Settings.model_validate(json.loads(json.dumps(written))) == settings
