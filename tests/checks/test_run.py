"""All checks together: all well, each on its own, nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import anyio
import pytest

from daemon.checks import aside as aside_module
from daemon.checks.aside import aside
from daemon.checks.check import Check, Level, ok
from daemon.checks.run import Look, Surroundings, look_at, run_checks
from daemon.clock import Clock
from daemon.errors import NeedsPerson, Transient
from daemon.photoprism.client import PhotoPrism
from tests.checks.conftest import House, snapshot
from tests.standins.photoprism import PhotoPrismStandIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def standin(house: House) -> AsyncIterator[PhotoPrismStandIn]:
    async with PhotoPrismStandIn(house.imports, house.originals, token="AAAAAA-BBBBBB-CCCCCC-DDDDDD") as standin:
        yield standin


@pytest.fixture
async def prism(standin: PhotoPrismStandIn) -> AsyncIterator[PhotoPrism]:
    prism = PhotoPrism(standin.url, standin.token, timeout=5.0)
    yield prism
    await prism.close()


def around(house: House, prism: PhotoPrism | None = None) -> Surroundings:
    return Surroundings(house.settings(), house.occ, prism, Clock())


def names(checks: list[Check]) -> list[str]:
    return list(dict.fromkeys(check.name for check in checks))


async def test_all_is_well_and_nothing_is_left_behind(house: House, prism: PhotoPrism) -> None:
    before = snapshot(house.root)
    found = await run_checks(around(house, prism))
    assert [check for check in found if check.level is not Level.OK] == []
    assert names(found) == [
        "data directory",
        "users",
        "rights in users' folders",
        "watching",
        "import folder",
        "originals",
        "PhotoPrism",
        "free space",
        "state folder",
        "occ",
        "galleries",
        "album",
        "ntfy",
        "daemon",
    ]
    assert snapshot(house.root) == before


async def test_the_folder_archive_needs_no_photoprism(house: House) -> None:
    before = snapshot(house.root)
    settings = house.settings(archive={"via": "folder", "folder": {"path": str(house.archive)}})
    found = await run_checks(Surroundings(settings, house.occ, None, Clock()))
    assert [check for check in found if check.level is Level.FAILED] == []
    assert "archive folder" in names(found)
    assert not {"import folder", "originals", "PhotoPrism"} & set(names(found))
    assert snapshot(house.root) == before


async def test_one_fault_does_not_hide_the_others(house: House, prism: PhotoPrism, standin: PhotoPrismStandIn) -> None:
    standin.traps.readonly = True
    (house.data / ".ncdata").unlink()
    house.imports.rmdir()
    (house.originals / "2026/11/a.jpg").unlink()
    house.server.switch(needs_upgrade=True)
    found = await run_checks(around(house, prism))
    assert {check.code for check in found if check.level is not Level.OK} == {
        "nextcloud.mount_missing",
        "disk.no_root",
        "originals.empty",
        "photoprism.forbidden",
        "occ.upgrade_pending",
    }
    # Four looks meet the missing data directory, and it is told once, under its own name.
    assert [check.name for check in found if check.code == "nextcloud.mount_missing"] == ["data directory"]
    assert all(check.hint for check in found if check.level is not Level.OK)


async def well(_: Surroundings) -> list[Check]:
    return [ok("well", "well")]


async def hangs(_: Surroundings) -> list[Check]:
    await anyio.sleep_forever()
    return []


async def hangs_on_a_disk(_: Surroundings) -> list[Check]:
    await aside(time.sleep, 2.0)
    return []


async def breaks(_: Surroundings) -> list[Check]:
    raise KeyError("no")


async def refuses(_: Surroundings) -> list[Check]:
    raise NeedsPerson("a.b", "it may not", hint="let it")


async def disk_fails(_: Surroundings) -> list[Check]:
    raise OSError(28, "No space left on device", "/a\nb")


async def test_a_look_that_hangs_is_a_failure(house: House) -> None:
    began = time.monotonic()
    looks = [Look("one", 0.1, hangs, "wait"), Look("two", 0.1, hangs_on_a_disk), Look("three", 5, well)]
    found = await look_at(looks, around(house))
    assert time.monotonic() - began < 1.5
    assert found[0] == Check("one", Level.FAILED, "no answer within 0 s", "wait", "checks.no_answer")
    assert (found[1].name, found[1].level, found[1].code) == ("two", Level.FAILED, "checks.no_answer")
    assert found[2] == ok("well", "well")


async def test_a_look_that_raises_is_a_failure(house: House) -> None:
    found = await look_at(
        [Look(name, 5, look) for name, look in (("x", breaks), ("y", refuses), ("z", disk_fails))], around(house)
    )
    assert [(check.name, check.level, check.code) for check in found] == [
        ("x", Level.FAILED, "checks.broken"),
        ("y", Level.FAILED, "a.b"),
        ("z", Level.FAILED, "disk.full"),
    ]
    assert found[1].hint == "let it"
    assert "KeyError" in found[0].message
    assert "\n" not in found[2].message


async def test_a_disk_that_hangs_does_not_keep_the_program_from_ending() -> None:
    script = (
        "import anyio, time\n"
        "from daemon.checks.aside import aside\n"
        "async def main():\n"
        "    with anyio.move_on_after(0.1): await aside(time.sleep, 60)\n"
        "anyio.run(main)\n"
    )
    began = time.monotonic()
    await anyio.run_process([sys.executable, "-c", script])
    assert time.monotonic() - began < 20


async def test_aside_gives_results_and_errors() -> None:
    assert await aside(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await aside(divmod, 7, 0)


async def test_no_more_threads_than_that_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    for thread in threading.enumerate():
        if thread.name == "check-aside":  # of an earlier test
            thread.join()
    monkeypatch.setattr(aside_module, "MOST", 2)
    go_on = threading.Event()
    for _ in range(2):
        with anyio.move_on_after(0.05):
            await aside(go_on.wait, 30)
    with pytest.raises(Transient, match="earlier checks still wait"):
        await aside(divmod, 7, 2)
    go_on.set()
    with anyio.fail_after(5):
        while True:
            try:
                assert await aside(divmod, 7, 2) == (3, 1)
                break
            except Transient:
                await anyio.sleep(0.01)


def test_the_command(house: House, tmp_path: object) -> None:
    settings = house.settings(archive={"via": "folder", "folder": {"path": str(house.archive)}})
    file = house.root.parent / "photon-relay.yaml"
    file.write_text(json.dumps(settings.model_dump(mode="json", by_alias=True)))
    before = snapshot(house.root)

    def check(*more: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "daemon", "check", "--config", str(file), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=os.environ)
        return done.returncode, done.stdout

    code, out = check("--json")
    assert code == 0, out
    assert {one["level"] for one in json.loads(out)} <= {"ok", "warning"}
    (house.data / ".ncdata").unlink()
    code, out = check()
    assert code == 1
    assert "FAIL  data directory" in out
    assert "nextcloud.data the data directory itself?" in out
    (house.data / ".ncdata").write_text("")
    assert set(snapshot(house.root)) == set(before)
