from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import Transient
from daemon.nextcloud.homes import check_data, files_of, is_home_name, is_sample, list_homes, survey


def home(root: Path, name: str) -> None:
    (root / name / "files").mkdir(parents=True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / ".ncdata").touch()
    return tmp_path


def test_homes_are_directories_with_files(data: Path) -> None:
    for name in (
        "alice",
        "bob smith",
        "o'neil",
        "eve@example.org",
        "2656a3c0-30b2-1032-9b1c-7f2a",
        "rnd_team",
        "skeleton",
    ):
        home(data, name)
    (data / "no home").mkdir()
    (data / "files at hand").mkdir()
    (data / "files at hand" / "files").touch()
    (data / "nextcloud.log").touch()
    assert list_homes(str(data)) == sorted(
        ["alice", "bob smith", "o'neil", "eve@example.org", "2656a3c0-30b2-1032-9b1c-7f2a", "rnd_team", "skeleton"]
    )


def test_what_stands_beside_homes_is_none_even_with_a_folder_files(data: Path) -> None:
    for name in (
        "appdata_oc1234", "updater-oc1234", "__groupfolders", "files_external", "files_encryption", ".Trash-1000",
        "lost+found", "@eaDir", "#recycle", " blank", "blank ", "new\nline", "esc\x1b[31m",
    ):  # fmt: skip
        home(data, name)
    home(data, os.fsdecode(b"not\xffutf8"))
    home(data, "alice")
    assert list_homes(str(data)) == ["alice"]


def test_links_are_not_followed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    home(elsewhere, "mallory")
    (data / "mallory").symlink_to(elsewhere / "mallory")
    (data / "trudy").mkdir()
    (data / "trudy" / "files").symlink_to(elsewhere)
    assert list_homes(str(data)) == []


@pytest.mark.parametrize("marker", [".ncdata", ".ocdata"])
def test_either_marker_will_do(tmp_path: Path, marker: str) -> None:
    (tmp_path / marker).touch()
    check_data(str(tmp_path))


@pytest.mark.parametrize("path", ["", "nowhere", "file"])
def test_without_the_marker_nobody_lives_there(tmp_path: Path, path: str) -> None:
    home(tmp_path, "alice")
    (tmp_path / "file").touch()
    for ask in (check_data, list_homes):
        with pytest.raises(Transient) as caught:
            ask(str(tmp_path / path))
        assert caught.value.code == "nextcloud.mount_missing"


def test_what_may_not_be_looked_into_is_said() -> None:
    # Not below pytest's own folder, into which only its owner may look.
    with tempfile.TemporaryDirectory() as folder:
        looked_into_by_nobody(Path(folder))


def looked_into_by_nobody(data: Path) -> None:
    (data / ".ncdata").touch()
    home(data, "alice")
    home(data, "locked")
    script = (
        "import os, sys\n"
        "from daemon.nextcloud.homes import survey\n"
        "from daemon.errors import RelayError\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: print(survey(sys.argv[1]))\n"
        "except RelayError as error: print(error.code)\n"
    )
    (data / "locked").chmod(0)
    data.chmod(0o755)
    assert "users=('alice',), unreadable=('locked',)" in run(script, str(data))
    data.chmod(0)
    assert run(script, str(data)).strip() == "nextcloud.no_access"
    data.chmod(0o711)  # the marker is seen, the names are not
    assert run(script, str(data)).strip() == "nextcloud.no_access"
    data.chmod(0o755)
    (data / "locked").chmod(0o755)


def run(script: str, *arguments: str) -> str:
    return subprocess.run([sys.executable, "-c", script, *arguments], check=True, capture_output=True, text=True).stdout


def test_files_of(data: Path) -> None:
    assert files_of(str(data), "alice") == str(data / "alice" / "files")
    for name in ("..", "a/b", "", "appdata_x"):
        with pytest.raises(ValueError, match="no user id"):
            files_of(str(data), name)


@given(st.text())
def test_a_home_name_is_one_component(name: str) -> None:
    if is_home_name(name):
        assert "/" not in name
        assert name not in {"", ".", ".."}
        name.encode()


@pytest.mark.parametrize(
    ("path", "size", "expected"),
    [
        ("Photos/Birdie.jpg", 593508, True),
        ("Fotos/Nextcloud community.jpg", 797325, True),
        ("Nextcloud intro.mp4", 3963036, True),
        ("Nextcloud.png", 50598, True),
        ("Photos/Nextcloud.png", 50598, False),
        ("Photos/Steps.jpg", 567690, False),
        ("Photos/2026/Steps.jpg", 567689, False),
        ("Photos/IMG_0001.jpg", 593508, False),
    ],
)
def test_samples_have_their_name_and_size(path: str, size: int, expected: bool) -> None:
    assert is_sample(path, size) is expected


def test_survey_is_sorted(data: Path) -> None:
    for name in ("c", "a", "b"):
        home(data, name)
    assert survey(str(data)).users == ("a", "b", "c")
