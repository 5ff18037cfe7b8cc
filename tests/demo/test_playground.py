"""The playground's ground: what it makes, what it takes for a fault."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from daemon.demo import occ
from daemon.demo.playground import FOLDER, Playground, endless, fixed
from daemon.errors import NeedsPerson
from daemon.settings_file import load

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def playground(tmp_path: Path) -> Playground:
    made = Playground(tmp_path / "ground")
    made.make(8080)
    return made


def test_its_configuration_is_valid(playground: Playground) -> None:
    loaded = load(playground.config, {})
    assert loaded.settings.archive.via == "folder"
    assert loaded.settings.users.decision("bob") == "include"
    assert os.fspath(loaded.settings.state) == str(playground.root / "state")


def test_it_is_made_again_where_it_is_and_nowhere_else(playground: Playground, tmp_path: Path) -> None:
    playground.upload(fixed()[0])
    playground.make(8081)
    assert len(playground.left()) == 1
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(NeedsPerson, match="not empty"):
        Playground(tmp_path).make(8080)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["ground", "holiday.jpg"]


def test_faults_are_found(playground: Playground) -> None:
    for delivery in fixed():
        playground.upload(delivery)
    names = [name for delivery in fixed() for name in delivery.files]
    assert len(playground.left()) == len(names) == 10
    assert len(playground.sent) == 9, "one is a duplicate"
    assert len(playground.faults()) == 9 + 10
    for user in ("alice", "bob"):
        shutil.move(playground.data / user / "files" / FOLDER, playground.archive / user)
    faults = [fault.partition(":")[0] for fault in playground.faults()]
    assert faults == ["more than once in the archive"] + ["not in the galleries"] * 10
    (playground.archive / "bob/from alice.jpg").unlink()
    call = [sys.executable, occ.__file__, str(playground.root)]
    subprocess.run([*call, "files:scan", "--path=/bob/files/Album", "--generate-metadata"], check=True)
    assert len(playground.unseen()) == 9, "Memories was not told"
    subprocess.run([*call, "memories:index", "--user=bob", "--path=/Album"], check=True)
    assert playground.faults() == []
    (playground.archive / "bob/VID_0003.mp4").unlink()
    assert playground.faults() == ["not in the archive: bob: InstantUpload/VID_0003.mp4"]


def test_endless_deliveries_show_every_kind_and_never_the_same_name() -> None:
    deliveries = list(itertools.islice(endless(1), 30))
    names = [(delivery.user, name) for delivery in deliveries for name in delivery.files]
    assert len(set(names)) == len(names)
    contents = [content for delivery in deliveries for content in delivery.files.values()]
    assert len(set(contents)) == len(contents) - sum("duplicate" in delivery.what for delivery in deliveries)
    assert {"a photo", "a Live Photo", "a video", "a duplicate", "a HEIC", "a screenshot"} == {
        delivery.what for delivery in deliveries
    }
