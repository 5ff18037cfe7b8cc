from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING

import anyio
import pytest

from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.nextcloud.occ import Occ
from daemon.nextcloud.output import ScanResult, Status
from daemon.nextcloud.refresh_plan import Changed, Features, plan_refresh
from daemon.nextcloud.runner import CommandRunner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from daemon.nextcloud.runner import Answer
    from tests.nextcloud.conftest import Cloud


async def fails(work: Awaitable[object]) -> tuple[str, bool]:
    """The code of the error, and whether it passes by itself."""
    with pytest.raises(RelayError) as caught:
        await work
    return caught.value.code, isinstance(caught.value, Transient)


async def test_status_and_features(cloud: Cloud) -> None:
    assert await cloud.occ.status() == Status("32.0.1")
    assert await cloud.occ.features() == Features(
        generate_metadata=True,
        memories="7.8.2",
        memories_option="--path",
        memories_skip_cleanup=True,
        photos=True,
        trash=True,
    )
    cloud.server.switch(maintenance=True)
    assert await cloud.occ.status() == Status("32.0.1", maintenance=True)
    cloud.server.switch(maintenance=False, needs_upgrade=True)
    assert await cloud.occ.status() == Status("32.0.1", needs_upgrade=True)


async def test_features_are_kept_for_an_hour(cloud: Cloud) -> None:
    await cloud.occ.features()
    cloud.server.forget()
    cloud.server.switch(no_memories=True, old_nextcloud=True, no_photos=True)
    assert (await cloud.occ.features()).memories == "7.8.2"
    assert cloud.server.calls() == []
    cloud.clock.seconds += 3601
    assert await cloud.occ.features() == Features(trash=True)
    assert len(cloud.server.calls()) == 2


async def test_a_bin_that_is_off_is_asked_about_again_soon(cloud: Cloud) -> None:
    cloud.server.switch(trashbin_off=True)
    assert not (await cloud.occ.features()).trash
    cloud.server.switch(trashbin_off=False)
    assert not (await cloud.occ.features()).trash
    cloud.clock.seconds += 61
    assert (await cloud.occ.features()).trash


async def test_an_unknown_option_makes_it_ask_again(cloud: Cloud) -> None:
    cloud.photo("alice", "In/a.jpg")
    await cloud.occ.features()
    cloud.server.switch(old_nextcloud=True)
    assert await fails(cloud.occ.scan("alice", "In", generate_metadata=True)) == ("occ.no_option", False)
    assert not (await cloud.occ.features()).generate_metadata


async def test_a_shallow_scan_of_the_one_folder(cloud: Cloud) -> None:
    cloud.photo("alice", "In/a.jpg")
    cloud.photo("alice", "In/deep/b.jpg")
    assert await cloud.occ.scan("alice", "In") == ScanResult(1, 1, 0, 2, 0, 0)
    assert cloud.server.calls() == [["files:scan", "--path=/alice/files/In", "--shallow"]]
    assert cloud.server.known("alice") == {"In/", "In/a.jpg", "In/deep/"}
    (cloud.data / "alice/files/In/a.jpg").unlink()
    assert (await cloud.occ.scan("alice", "/In/")).removed == 1
    assert "In/a.jpg" not in cloud.server.known("alice")


async def test_a_deep_scan_and_all_files(cloud: Cloud) -> None:
    cloud.photo("bob", "In/deep/b.jpg")
    assert (await cloud.occ.scan("bob", "", shallow=False)).files == 1
    assert cloud.server.calls() == [["files:scan", "--path=/bob/files"]]


@pytest.mark.parametrize("name", ["My Photos/$HOME;id", "--all", "-p", "a|b", "ü", "x\ny", "'\"`"])
async def test_names_are_names(cloud: Cloud, name: str) -> None:
    cloud.photo("o'neil @home", f"{name}/a.jpg")
    assert (await cloud.occ.scan("o'neil @home", name)).files == 1
    assert await cloud.occ.knows("o'neil @home", f"{name}/a.jpg")
    await cloud.occ.delete("o'neil @home", f"{name}/a.jpg")
    assert not (cloud.data / "o'neil @home/files" / name / "a.jpg").exists()


async def test_a_user_id_that_looks_like_an_option(cloud: Cloud) -> None:
    cloud.photo("-f", "In/a.jpg")
    await cloud.occ.scan("-f", "In")
    assert await cloud.occ.knows("-f", "In/a.jpg")
    await cloud.occ.tag("-f", "In/a.jpg", "relayed")
    await cloud.occ.memories_index("-f", "In")
    await cloud.occ.delete("-f", "In/a.jpg")
    assert cloud.server.calls("files:delete") == [["files:delete", "--force", "--", "-f/files/In/a.jpg"]]


@pytest.mark.parametrize(
    ("user", "path"), [("alice", "../bob"), ("alice", "a/./b"), ("a/b", "x"), ("..", "x"), ("", "x")]
)
async def test_paths_that_lead_elsewhere_are_not_asked_for(cloud: Cloud, user: str, path: str) -> None:
    assert await fails(cloud.occ.scan(user, path)) == ("occ.bad_path", False)
    assert await fails(cloud.occ.delete(user, path)) == ("occ.bad_path", False)
    assert cloud.server.calls() == []


async def test_a_name_that_is_no_utf8_is_asked_for_as_it_is(cloud: Cloud) -> None:
    name = os.fsdecode(b"bad\xff")
    cloud.photo("alice", f"{name}/a.jpg")
    with pytest.raises(RelayError) as caught:
        await cloud.occ.knows("alice", f"{name}/../a.jpg")
    caught.value.message.encode()
    assert not await cloud.occ.knows("alice", f"{name}/a.jpg")


async def test_what_a_scan_may_meet(cloud: Cloud) -> None:
    cloud.photo("alice", "In/a.jpg")
    server, occ = cloud.server, cloud.occ
    assert await fails(occ.scan("nobody", "In")) == ("occ.unknown_user", False)
    assert await fails(occ.scan("alice", "Nope")) == ("occ.path_not_found", False)
    for trap, expected in {
        "already_scanning": ("occ.already_scanning", True),
        "locked": ("occ.locked", True),
        "maintenance": ("occ.maintenance", True),
        "needs_upgrade": ("occ.upgrade_pending", True),
        "not_installed": ("occ.not_installed", True),
        "database": ("occ.database", True),
        "not_writable": ("occ.not_writable", False),
        "nothing": ("occ.nothing_scanned", False),
    }.items():
        server.switch(**{trap: 1})
        assert await fails(occ.scan("alice", "In")) == expected, trap
    server.switch(locked=1, locked_style="new")
    assert await fails(occ.scan("alice", "In")) == ("occ.locked", True)
    server.switch(noise=True)
    assert (await occ.scan("alice", "In")).files == 1


async def test_the_wrong_user_names_the_right_one(cloud: Cloud) -> None:
    cloud.server.switch(wrong_user=82)
    with pytest.raises(NeedsPerson) as caught:
        await cloud.occ.scan("alice", "In")
    assert (caught.value.code, caught.value.context["uid"]) == ("occ.wrong_user", 82)


async def test_names_in_nfd_are_counted_and_the_rest_is_scanned(cloud: Cloud) -> None:
    cloud.photo("alice", "In/" + unicodedata.normalize("NFD", "Zoë.jpg"))
    cloud.photo("alice", "In/a.jpg")
    result = await cloud.occ.scan("alice", "In")
    assert (result.files, result.errors) == (1, 1)


async def test_old_nextcloud(cloud: Cloud) -> None:
    cloud.photo("alice", "In/a.jpg")
    cloud.server.switch(old_nextcloud=True)
    assert await cloud.occ.scan("alice", "In") == ScanResult(1, 1)


async def test_a_mount_that_is_gone_and_a_received_share(cloud: Cloud) -> None:
    cloud.archived("2026/a.jpg")
    await cloud.occ.scan("alice", "Album/2026")
    assert cloud.server.known("bob") >= {"Album/2026/a.jpg"}  # one storage for everybody
    cloud.server.switch(shares={"bob": ["/Album/2026"]})
    assert await fails(cloud.occ.scan("bob", "Album/2026")) == ("occ.nothing_scanned", False)
    cloud.album.rename(cloud.album.with_name("gone"))
    assert await fails(cloud.occ.scan("alice", "Album/2026")) == ("occ.nothing_scanned", False)
    assert cloud.server.known("alice") >= {"Album/2026/a.jpg"}


async def test_a_file_is_not_scanned_before_its_folder(cloud: Cloud) -> None:
    cloud.archived("2026/a.jpg")
    file = ("alice", "Album/2026/a.jpg")
    assert await fails(cloud.occ.scan(*file, generate_metadata=True)) == ("occ.unknown_file", False)
    await cloud.occ.scan("alice", "Album/2026")
    assert (await cloud.occ.scan(*file, generate_metadata=True)).files == 1
    assert cloud.server.with_metadata("alice") == {"Album/2026/a.jpg"}


@pytest.mark.parametrize(("old", "option"), [(False, "--path=/Album/2026"), (True, "--folder=/Album/2026")])
async def test_memories_indexes_a_folder_in_either_version(cloud: Cloud, old: bool, option: str) -> None:
    cloud.server.switch(old_memories=old)
    cloud.archived("2026/a.jpg")
    cloud.archived("2027/b.jpg")
    for folder in ("Album/2026", "Album/2027"):
        await cloud.occ.scan("alice", folder)
    assert (await cloud.occ.memories_index("alice", "Album/2026")).failed == 0
    assert cloud.server.calls("memories:index")[-1] == ["memories:index", "--user=alice", option, "--skip-cleanup"]
    assert cloud.server.indexed("alice") == {"Album/2026/a.jpg"}
    await cloud.occ.memories_index("alice", None)
    assert cloud.server.indexed("alice") == {"Album/2026/a.jpg", "Album/2027/b.jpg"}


async def test_what_memories_may_meet(cloud: Cloud) -> None:
    cloud.archived("2026/a.jpg")
    await cloud.occ.scan("alice", "Album/2026")
    assert await fails(cloud.occ.memories_index("nobody", "Album/2026")) == ("occ.unknown_user", False)
    assert await fails(cloud.occ.memories_index("alice", "Album/Nope")) == ("occ.path_not_found", False)
    cloud.server.switch(unindexable=["a.jpg"])
    assert (await cloud.occ.memories_index("alice", "Album/2026")).failed == 1
    cloud.server.switch(no_exiftool=1)
    assert await fails(cloud.occ.memories_index("alice", "Album/2026")) == ("occ.exiftool", False)
    cloud.server.switch(no_memories=True)
    assert await fails(cloud.occ.memories_index("alice", "Album/2026")) == ("occ.no_command", False)
    assert (await cloud.occ.features()).memories is None


async def test_delete_goes_into_the_users_own_bin(cloud: Cloud) -> None:
    photo = cloud.photo("alice", "In/a.jpg")
    inode = photo.stat().st_ino
    await cloud.occ.scan("alice", "In")
    cloud.server.switch(locked_paths=["alice/files/In/a.jpg"])
    assert await fails(cloud.occ.delete("alice", "In/a.jpg")) == ("occ.locked", True)
    cloud.server.switch(locked_paths=[])
    await cloud.occ.delete("alice", "In/a.jpg")
    [trashed] = (cloud.data / "alice/files_trashbin/files").iterdir()
    assert trashed.name.startswith("a.jpg.d")
    assert trashed.stat().st_ino == inode
    assert not await cloud.occ.knows("alice", "In/a.jpg")
    assert await fails(cloud.occ.delete("alice", "In/a.jpg")) == ("occ.unknown_file", False)
    assert await fails(cloud.occ.delete("alice", "In/two\nlines .jpg")) == ("occ.unknown_file", False)


async def test_tags(cloud: Cloud) -> None:
    cloud.photo("bob", "In/a.jpg")
    await cloud.occ.tag("bob", "In/a.jpg", "relayed")
    assert cloud.server.tagged("bob") == {"In/a.jpg": {"relayed"}}
    assert await fails(cloud.occ.tag("bob", "In/b.jpg", "relayed")) == ("occ.unknown_file", False)


async def test_apps_mounts_and_further_commands(cloud: Cloud) -> None:
    assert (await cloud.occ.apps())["memories"] == "7.8.2"
    [mount] = await cloud.occ.external_mounts()
    assert (mount.mount_point, mount.datadir) == ("/Album", str(cloud.album))
    cloud.server.switch(commands=["preview:pre-generate"])
    assert (await cloud.occ.run(["preview:pre-generate"])).exit_code == 0
    assert await fails(cloud.occ.run(["recognize:classify"])) == ("occ.no_command", False)
    cloud.server.switch(
        answers={"files_external:list": {"exit": 1, "stderr": 'There are no commands defined in the "files_external"'}}
    )
    assert await cloud.occ.external_mounts() == []


async def test_a_plan_makes_the_photo_seen_everywhere(cloud: Cloud) -> None:
    cloud.photo("alice", "In/a.jpg")
    await cloud.occ.scan("alice", "In")
    cloud.archived("2026/11/a.jpg")
    (cloud.data / "alice/files/In/a.jpg").unlink()
    plan = plan_refresh(
        {"alice": [Changed("In")]},
        [Changed("2026/11", ("a.jpg",), 1)],
        album="/Album",
        seen_by="bob",
        features=await cloud.occ.features(),
    )
    for call in plan.calls:
        await cloud.occ.carry_out(call)
    assert cloud.server.known("alice") == {"In/", "Album/2026/", "Album/2026/11/", "Album/2026/11/a.jpg"}
    assert cloud.server.with_metadata("bob") == cloud.server.indexed("bob") == {"Album/2026/11/a.jpg"}


async def test_one_at_a_time(cloud: Cloud) -> None:
    class Counting:
        def __init__(self) -> None:
            self.inner = CommandRunner(cloud.server.command)
            self.now = self.most = 0

        async def run(self, argv: Sequence[str], *, timeout: float) -> Answer:  # noqa: ASYNC109
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                return await self.inner.run(argv, timeout=timeout)
            finally:
                self.now -= 1

    runner = Counting()
    occ = Occ(runner, timeout=30, clock=cloud.clock)
    cloud.photo("alice", "In/a.jpg")
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(occ.scan, "alice", "In")
    assert runner.most == 1
    assert len(cloud.server.calls("files:scan")) == 4


async def test_two_scans_of_one_folder_at_once_shut_each_other_out(cloud: Cloud) -> None:
    """What the lock is for: without it, the second says that it did nothing."""
    cloud.photo("alice", "In/a.jpg")
    cloud.server.switch(slow=1)
    other = Occ(CommandRunner(cloud.server.command), timeout=30, clock=cloud.clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other.scan, "alice", "In")
        await anyio.sleep(0.6)
        assert await fails(cloud.occ.scan("alice", "In")) == ("occ.already_scanning", True)


async def test_a_slow_scan_is_given_up(cloud: Cloud) -> None:
    cloud.photo("alice", "In/a.jpg")
    occ = Occ(CommandRunner(cloud.server.command), timeout=1, clock=cloud.clock)
    cloud.server.switch(slow=60)
    assert await fails(occ.scan("alice", "In")) == ("occ.timeout", True)
    cloud.server.switch(slow=0, database_lost=1)
    assert await fails(occ.scan("alice", "In")) == ("occ.timeout", True)


async def test_a_backslash_is_never_sent_since_nextcloud_would_read_a_slash(cloud: Cloud) -> None:
    for path in ("In\\a.jpg", "In/..\\b.jpg"):
        assert await fails(cloud.occ.delete("alice", path)) == ("occ.bad_path", False)
    assert cloud.server.calls("files:delete") == []


async def test_a_tag_that_would_be_an_option_is_never_sent(cloud: Cloud) -> None:
    assert await fails(cloud.occ.tag("bob", "In/b.jpg", "--help")) == ("occ.bad_tag", False)
