"""What ``occ`` says, through the real process that stands in for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from daemon.checks.check import Check, Level
from daemon.checks.nextcloud import nextcloud
from daemon.clock import Clock
from daemon.errors import RelayError
from daemon.nextcloud.occ import Occ
from daemon.nextcloud.runner import CommandRunner
from tests.checks.conftest import MOUNT, House

if TYPE_CHECKING:
    from pathlib import Path


async def look(house: House, **nextcloud_keys: Any) -> list[Check]:
    return await nextcloud(house.settings(nextcloud=nextcloud_keys), house.occ)


async def album(house: House, **keys: Any) -> list[Check]:
    """Only what is said of the album; the apps are left alone, which spares three calls."""
    found = await look(house, memories="off", photos="off", album=keys)
    return [check for check in found if check.name == "album"]


def troubles(checks: list[Check]) -> list[tuple[str, Level, str]]:
    return [(check.name, check.level, check.code) for check in checks if check.level is not Level.OK]


async def test_all_well(house: House) -> None:
    found = await look(house)
    assert troubles(found) == []
    said = [check.message for check in found]
    assert said[0] == "Nextcloud 32.0.1 answers"
    assert said[1] == "Memories 7.8.2 is told of what changed"
    assert said[2] == "dates and places are read for Nextcloud Photos"
    assert said[3] == "/Album is the external storage /Album (/archive as Nextcloud sees it), read-only"
    # Looking changes nothing: no scan, no index.
    assert {argv[0] for argv in house.server.calls()} == {
        "status", "app:list", "files:scan", "memories:index", "files_external:list"
    }  # fmt: skip
    assert all("--help" in argv for argv in house.server.calls("files:scan", "memories:index"))


@pytest.mark.parametrize(
    ("trap", "level", "code"),
    [
        ({"maintenance": True}, Level.WARNING, "occ.maintenance"),
        ({"needs_upgrade": True}, Level.FAILED, "occ.upgrade_pending"),
        ({"not_installed": True}, Level.FAILED, "occ.not_installed"),
    ],
)
async def test_a_server_that_does_not_work(house: House, trap: dict[str, Any], level: Level, code: str) -> None:
    house.server.switch(**trap)
    [found] = await look(house)
    assert (found.name, found.level, found.code) == ("occ", level, code)
    assert found.hint


@pytest.mark.parametrize("trap", [{"wrong_user": 33}, {"database": True}])
async def test_what_occ_itself_refuses_is_raised(house: House, trap: dict[str, Any]) -> None:
    house.server.switch(**trap)
    with pytest.raises(RelayError) as caught:
        await look(house)
    assert caught.value.code in {"occ.wrong_user", "occ.database"}


async def test_no_occ_where_it_should_be(house: House, tmp_path: Path) -> None:
    occ = Occ(CommandRunner([str(tmp_path / "gone")]), timeout=5, clock=Clock())
    with pytest.raises(RelayError, match="cannot be started"):
        await nextcloud(house.settings(), occ)


async def test_later_commands_may_fail_alone(house: House) -> None:
    house.server.switch(answers={"app:list": {"exit": 1, "stderr": "boom"}, "files_external:list": {"stdout": "[]"}})
    assert troubles(await look(house)) == [
        ("galleries", Level.FAILED, "occ.failed"),
        ("album", Level.WARNING, "album.missing"),
    ]


async def test_a_bin_that_is_off(house: House) -> None:
    house.server.switch(trashbin_off=True)
    settings = house.settings(users={"include": {"alice": {}, "bob": {"after": "keep"}}})
    [found] = [check for check in await nextcloud(settings, house.occ) if check.name == "trash bin"]
    assert (found.level, found.code) == (Level.FAILED, "occ.no_trash")
    assert "alice" in found.message
    assert "bob" not in found.message
    assert "files_trashbin" in found.hint
    house.server.switch(trashbin_off=False)
    [found] = [check for check in await nextcloud(settings, house.occ) if check.name == "trash bin"]
    assert found.level is Level.OK


@pytest.mark.parametrize(
    ("traps", "keys", "trouble"),
    [
        ({"no_memories": True}, {}, []),
        ({"no_memories": True}, {"memories": "on"}, ["occ.no_memories"]),
        ({}, {"memories": "off"}, []),
        ({}, {"photos": "off"}, []),
        ({"old_nextcloud": True}, {}, []),
        ({"old_nextcloud": True}, {"photos": "on"}, ["occ.no_option"]),
        ({"no_photos": True}, {}, []),
    ],
)
async def test_galleries(house: House, traps: dict[str, Any], keys: dict[str, Any], trouble: list[str]) -> None:
    house.server.switch(**traps)
    found = [check for check in await look(house, **keys) if check.name == "galleries"]
    assert len(found) == 2
    assert [check.code for check in found if check.level is Level.FAILED] == trouble


@pytest.mark.parametrize("options", [{}, {"readonly": False}, {"readonly": "false"}, {"readonly": 0}])
async def test_an_album_that_people_can_write_in(house: House, options: dict[str, Any]) -> None:
    house.mounts(MOUNT | {"options": options})
    [found] = await album(house)
    assert (found.level, found.code) == (Level.WARNING, "album.writable")
    assert "occ files_external:option 3 readonly true" in found.hint


async def test_read_only_in_other_words(house: House) -> None:
    house.mounts(MOUNT | {"options": {"readonly": "true"}})
    assert troubles(await album(house)) == []


async def test_an_album_that_is_not_there(house: House) -> None:
    house.mounts(MOUNT | {"mount_point": "/Albums"})
    [found] = await album(house)
    assert (found.level, found.code) == (Level.WARNING, "album.missing")
    assert "nextcloud.album.folder" in found.hint


async def test_an_album_that_is_another_kind_of_folder(house: House) -> None:
    house.server.switch(answers={"files_external:list": {"stdout": "[]"}, "info:file": {"stdout": "fileid: 7"}})
    [found] = await album(house)
    assert (found.level, "no external storage" in found.message) == (Level.OK, True)
    assert house.server.calls("info:file") == [["info:file", "admin/files/Album"]]


async def test_the_innermost_mount_that_holds_the_album_counts(house: House) -> None:
    house.mounts(
        MOUNT | {"mount_point": "/Photos", "options": {}},
        MOUNT | {"mount_point": "/Photos/Archive/", "mount_id": 4},
        MOUNT | {"mount_point": "/Photos/Arch", "options": {}},
    )
    [found] = await album(house, folder="/Photos/Archive/All")
    assert found.level is Level.OK
    assert "/Photos/Archive/ " in found.message


async def test_a_mount_whose_name_begins_alike_is_another(house: House) -> None:
    house.mounts(MOUNT | {"mount_point": "/Alb"}, MOUNT | {"mount_point": "/"})
    [found] = await album(house)
    assert found.code == "album.missing"


async def test_seen_by_must_see_it(house: House) -> None:
    house.mounts(MOUNT | {"applicable_users": ["admin"]})
    assert troubles(await album(house, seen_by="carol")) == [
        ("album", Level.WARNING, "album.no_such_user"),
        ("album", Level.FAILED, "album.not_seen"),
    ]
    assert troubles(await album(house)) == []
    # Who is in a group is not known, so nothing is said.
    house.mounts(MOUNT | {"applicable_users": ["bob"], "applicable_groups": ["family"]})
    assert troubles(await album(house)) == []


async def test_no_album_wanted(house: House) -> None:
    [found] = await album(house, folder="")
    assert (found.level, "off" in found.message) == (Level.OK, True)
    assert house.server.calls("files_external:list") == []


async def test_apps_that_are_left_alone_are_not_asked_for(house: House) -> None:
    found = await look(house, memories="off", photos="off")
    assert troubles(found) == []
    assert {argv[0] for argv in house.server.calls()} == {"status", "files_external:list"}


async def test_off_says_what_that_means(house: House) -> None:
    off = {"via": "off"}
    found = await nextcloud(house.settings(nextcloud={"occ": off}), None)
    assert [(check.level, check.code) for check in found] == [(Level.WARNING, "occ.off")]
    settings = house.settings(nextcloud={"occ": off}, users={"include": {"alice": {}, "bob": {"after": "tag"}}})
    found = await nextcloud(settings, None)
    assert [check.level for check in found] == [Level.WARNING, Level.FAILED]
    assert "alice, bob" in found[1].message
    users = {"include": {"alice": {"after": "keep"}}, "new": "include"}
    assert len(await nextcloud(house.settings(nextcloud={"occ": off}, users=users), None)) == 2


async def test_switched_on_but_not_started_anew(house: House) -> None:
    [found] = await nextcloud(house.settings(), None)
    assert (found.level, found.code) == (Level.WARNING, "config.restart")
