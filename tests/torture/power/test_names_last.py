"""Names that others rely on, or have taken away without syncing: after a power cut they are as they were told."""

from __future__ import annotations

from errno import EIO
from typing import TYPE_CHECKING

import pytest

from daemon.ledger.ledger import Ledger
from daemon.ledger.model import State
from daemon.lifetime import StateLock
from daemon.relay import batch_folder
from tests.relay.world import FOLDER, World, shot
from tests.torture.needs import needs_fuse

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.power.cuts import Bench

pytestmark = needs_fuse


def test_a_new_state_folder_outlives_a_power_cut(benches: list[Bench]) -> None:
    mount = benches[0].mount
    state = mount.path / "deep/er/state"
    StateLock(str(state)).release()
    ledger = Ledger(str(state))
    ledger.marks.put("one", "two")
    mount.cut()
    ledger.close()
    mount.power_on(1, "nothing")
    again = Ledger(str(state))
    assert again.marks.get("one") == "two"
    again.close()


def test_a_folder_that_a_killed_run_has_made_is_made_durable_too(benches: list[Bench]) -> None:
    mount = benches[0].mount
    state = mount.path / "made/before/state"
    state.mkdir(parents=True)
    StateLock(str(state)).release()
    mount.cut()
    mount.power_on(1, "nothing")
    assert state.is_dir()


def test_a_batch_folder_that_photoprism_has_taken_away_stays_away(benches: list[Bench]) -> None:
    mount = benches[0].mount
    imports = mount.path / "import"
    for batch in ("taken", "swept"):
        (imports / batch / "subfolder").mkdir(parents=True)
        (imports / batch / "subfolder/a.jpg").write_bytes(b"a")
    mount.settle()
    (imports / "taken/subfolder/a.jpg").unlink()
    (imports / "taken/subfolder").rmdir()
    (imports / "taken").rmdir()
    batch_folder.sweep(str(imports), "taken")
    batch_folder.sweep(str(imports), "swept")
    mount.cut()
    mount.power_on(1, "nothing")
    assert list(imports.iterdir()) == []


async def test_what_is_told_as_restored_stands_after_a_power_cut(
    benches: list[Bench], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Cut between the ledger's line and the file's own name: what is found then has that name, told once."""
    mount = benches[0].mount
    (mount.path / "home").mkdir()
    (tmp_path / "data").symlink_to(mount.path / "home")
    world = World(tmp_path, prism=None, settings={"nextcloud": {"occ": {"via": "off"}}})
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: world.photo(photo).state is State.DONE)
    mount.settle()

    def cut(*_: object) -> None:
        mount.cut()
        raise OSError(EIO, "the power is away")

    with monkeypatch.context() as patch:
        patch.setattr(world.restore, "_give_name", cut)
        with pytest.raises(OSError, match="power is away"):
            await world.restore.photo(photo.id)
    mount.power_on(1, "nothing")
    await world.restart()
    assert world.photo(photo).state is State.RESTORED
    assert world.standing() == {f"files/{FOLDER}/IMG_1.jpg": shot(1)}
    await world.restore.photo(photo.id)
    assert [line["deed"] for line in world.ledger.audit.lines()].count("restored") == 1
    await world.close()


@pytest.mark.parametrize("single", [False, True])
async def test_a_disk_that_forgets_a_deleted_file_at_once_is_no_owner_who_was_faster(
    benches: list[Bench], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, single: bool
) -> None:
    """FUSE asks by name even for what is open, so nothing is to be learnt of a file whose name is gone."""
    home = benches[0].mount.path / f"home-{single}"
    home.mkdir()
    (tmp_path / "data").symlink_to(home)
    world = World(tmp_path, prism=None, settings={"nextcloud": {"occ": {"via": "off"}}})
    if single:
        world.one_by_one(monkeypatch)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: world.photo(photo).state is State.DONE)
    assert [line["deed"] for line in world.ledger.audit.lines()] == ["removed"]
    await world.close()
