"""A file that a power cut left empty or cut short is no settings; what can be put back is told, and works."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from daemon.errors import ConfigError, NeedsPerson
from daemon.settings.versions import BY_HAND, Versions
from daemon.settings_torn import is_mixture, load_at_start

if TYPE_CHECKING:
    from pathlib import Path

GOOD = b"# mine\nusers: {include: [alice]}\nstate: 'the state'\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my settings.yaml"
    path.write_bytes(GOOD)
    versions = Versions(tmp_path / "the state" / "versions")
    versions.note(b"users: {include: [old]}\n", BY_HAND, 1.0)
    versions.note(GOOD, BY_HAND, 1_700_000_000.0)
    versions.note(b"users: [", "somebody", 1_700_000_001.0)
    return path


@pytest.mark.parametrize("torn", [b"", b"\0" * len(GOOD), b"  \n\n", GOOD[:20], b"\xef\xbb\xbf"])
def test_what_is_torn_is_told_with_the_way_back(file: Path, torn: bytes) -> None:
    file.write_bytes(torn)
    environ = {"PHOTON_RELAY__STATE": str(file.parent / "the state")}
    with pytest.raises(ConfigError) as raised:
        load_at_start(file, environ)
    assert file.read_bytes() == torn, "nothing is overwritten by itself"
    last = raised.value.faults[-1]
    assert last.startswith(f"{file}:1: the version of 2023-11-14T22:13:20")
    subprocess.run(["sh", "-c", last.partition("put back: ")[2]], check=True)
    assert file.read_bytes() == GOOD
    assert list(load_at_start(file, environ).settings.users.include) == ["alice"]


def test_the_state_is_found_without_help_of_the_environment(file: Path) -> None:
    file.write_bytes(b"state: the state\nusers: {include: [al")
    with pytest.raises(ConfigError) as raised:
        load_at_start(file, {})
    assert "can be put back" in raised.value.faults[-1]


def test_where_there_was_nothing_before_nothing_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "photon-relay.yaml"
    path.write_bytes(b"")
    assert load_at_start(path, {}).settings.users.new == "ask"


def test_a_comment_alone_means_the_defaults(file: Path) -> None:
    file.write_bytes(b"# nothing\n")
    assert not load_at_start(file, {"PHOTON_RELAY__STATE": str(file.parent / "the state")}).settings.users.include


LATER = b"# mine\nusers: {include: [alex!, bob]}\nstate: 'the state'\n"
MIXED = LATER[:29] + GOOD[29:] + b"\n" * (len(LATER) - len(GOOD))


@pytest.fixture
def half_written(file: Path) -> Path:
    """Give a file that is still the old one, with what a save that did not come to its end has kept."""
    kept = Versions(file.parent / "the state" / "versions").written_over(GOOD, LATER)
    with pytest.raises(OSError, match="the disk"), kept:
        raise OSError("the disk")
    return file


def kept(file: Path) -> set[str]:
    return {one.name for one in (file.parent / "the state" / "versions").iterdir() if one.name.endswith("n.yaml")}


def test_what_was_half_written_in_place_is_put_back_and_told(half_written: Path) -> None:
    half_written.write_bytes(MIXED)
    loaded = load_at_start(half_written, {"PHOTON_RELAY__STATE": str(half_written.parent / "the state")})
    assert half_written.read_bytes() == GOOD
    assert list(loaded.settings.users.include) == ["alice"]
    assert "what stood there before was put back" in loaded.warnings[-1]
    assert not kept(half_written)
    again = load_at_start(half_written, {"PHOTON_RELAY__STATE": str(half_written.parent / "the state")})
    assert not any("put back" in line for line in again.warnings)


def test_where_it_cannot_be_put_back_it_is_not_used(half_written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise NeedsPerson("config.read_only", "it is mounted read-only")

    half_written.write_bytes(MIXED)
    monkeypatch.setattr("daemon.settings_torn.store", refused)
    with pytest.raises(ConfigError) as raised:
        load_at_start(half_written, {"PHOTON_RELAY__STATE": str(half_written.parent / "the state")})
    assert "could not be put back: it is mounted read-only" in raised.value.faults[-1]
    assert kept(half_written)


@pytest.mark.parametrize("content", [GOOD, LATER, GOOD.replace(b"alice", b"carol"), GOOD[:-20], b"# mine\n"])
def test_what_is_whole_or_by_hand_is_left_alone(half_written: Path, content: bytes) -> None:
    half_written.write_bytes(content)
    loaded = load_at_start(half_written, {"PHOTON_RELAY__STATE": str(half_written.parent / "the state")})
    assert half_written.read_bytes() == content
    assert loaded.text.encode() == content
    assert not kept(half_written)


def test_a_mixture_is_told_from_all_else() -> None:
    before, after = b"a: 1\nb: 1\n", b"a: 2\nb: 2\nc: 2\n"
    room = len(after) - len(before)
    for mixture in (b"a: 2\nb: 1\n" + b"\n" * room, before + bytes(room), after[:7] + before[7:] + bytes(room)):
        assert is_mixture(mixture, before, after), mixture
    for whole in (before, after, before + b"\n" * room, b"a: 3\nb: 1\n", after[:6], after + b"d: 1\n"):
        assert not is_mixture(whole, before, after), whole
