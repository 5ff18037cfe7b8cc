"""Editors find the schema that the settings file's first line names, also where the program made that file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml

from daemon.settings import json_schema
from daemon.settings.beside import NAME, keep_schema, schema_text
from daemon.settings_file import ensure_default
from tests.e2e.world import World

if TYPE_CHECKING:
    from pathlib import Path


def test_the_first_start_puts_it_there(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    with World(tmp_path / "w") as world:
        text = world.config.read_text()
        world.config.unlink()
        ensure_default(world.config)
        first = world.config.read_text().splitlines()[0]
        world.config.write_text(f"{first}\n{text}")
        world.prism.start()
        world.start()
    place = world.config.parent / first.partition("$schema=")[2]
    assert json.loads(place.read_text()) == json_schema()
    assert place.stat().st_mode & 0o777 == 0o644


def test_only_an_earlier_one_of_ours_is_replaced(tmp_path: Path) -> None:
    settings, place = tmp_path / "photon-relay.yaml", tmp_path / NAME
    ensure_default(settings)
    assert isinstance(yaml.safe_load(settings.read_text()), dict)
    place.write_text('{"title": "Photon Relay", "of": "an earlier version"}')
    keep_schema(settings)
    assert place.read_text() == schema_text()
    place.write_text('{"title": "somebody else\'s"}')
    keep_schema(settings)
    assert "somebody else" in place.read_text()
    place.unlink()
    place.symlink_to(tmp_path / "elsewhere")
    keep_schema(settings)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_names_none_gets_none(tmp_path: Path) -> None:
    settings = tmp_path / "photon-relay.yaml"
    settings.write_text("archive: {via: folder}\n")
    keep_schema(settings)
    keep_schema(tmp_path / "none.yaml")
    assert [path.name for path in tmp_path.iterdir()] == [settings.name]


def test_a_folder_that_cannot_be_written_to_stops_nobody(tmp_path: Path) -> None:
    settings = tmp_path / "photon-relay.yaml"
    ensure_default(settings)
    (tmp_path / NAME).mkdir()
    keep_schema(settings)
    assert (tmp_path / NAME).is_dir()
