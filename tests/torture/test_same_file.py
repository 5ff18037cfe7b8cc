"""The archive's folder, seen a second time as a watched one through another file system: the original is the archive's.

A pool over disks (mergerfs), or a network share of this very machine. Neither the name nor the device tells, nor, with
numbers of its own, the inode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon.ledger.model import State
from tests.relay.world import FOLDER, shot
from tests.torture.fuse.mount import Mount
from tests.torture.needs import needs_fuse

if TYPE_CHECKING:
    from tests.relay.conftest import MakeWorld

pytestmark = [needs_fuse]


@pytest.mark.parametrize("own_inodes", [False, True])
@pytest.mark.parametrize("after", ["delete", "delete, one by one", "archive", "trash"])
async def test_the_archives_only_file_is_not_let_go(
    make_world: MakeWorld,
    monkeypatch: pytest.MonkeyPatch,
    after: str,
    own_inodes: bool,
) -> None:
    world = await make_world("folder", users={"after": after.partition(",")[0]})
    if "," in after:
        world.one_by_one(monkeypatch)
    original = world.archive_root / "2026/11/IMG_1.jpg"
    original.parent.mkdir(parents=True)
    original.write_bytes(shot(1))
    path = f"{FOLDER}/IMG_1.jpg"
    with Mount(original.parent, world.path("alice", FOLDER), own_inodes=own_inodes):
        await world.settle("alice", [path])
        [photo] = world.ledger.photos.by_state(*State)
        async with world.running():
            await world.until(lambda: world.photo(photo).code != "" or world.photo(photo).state is State.DONE)
        assert original.exists(), world.said()
        # With one inode number it is told before, as what it looks like: the archive's name has gone.
        alike = after.startswith("delete") and not own_inodes
        assert world.photo(photo).code == ("archive.broken" if alike else "archive.itself")
        assert [where for where in world.standing() if where.endswith(".jpg")] == [f"files/{path}"]
        # Whoever is killed while Nextcloud throws it away can take nothing back: it must not have been asked.
        assert world.nextcloud.calls("files:delete") == []
