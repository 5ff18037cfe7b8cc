"""A file that is written to while it is in a batch stays one row, waits longer each time, comes when it is quiet."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from daemon.ledger.model import State
from tests.relay.world import FOLDER, shot

if TYPE_CHECKING:
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
PATH = f"{FOLDER}/IMG_1.jpg"


async def test_a_file_that_changes_in_each_batch_has_one_row_and_growing_pauses(make_world: MakeWorld) -> None:
    world = await make_world("folder", **OFF)
    [photo] = await world.deliver("alice", {PATH: shot(1)})
    pauses: list[float] = []
    for turn in range(2, 6):
        batch = world.pipeline.forming.open()
        assert batch is not None
        # Written to in place, and the watch hears of it at once.
        world.path("alice", PATH).write_bytes(shot(turn))
        await world.intake.found([world.found("alice", PATH)])
        await world.pipeline._batch(batch)
        now = world.photo(photo)
        latest = world.ledger.photos.latest("alice", PATH)
        assert latest is not None
        assert (latest.id, now.code, now.attempts) == (photo.id, "file.changed", turn - 1)
        if turn > 2:
            assert now.state is State.WAITING
            assert now.next_try is not None
            pauses.append(now.next_try - world.clock.time)
            await world.later(pauses[-1] + 0.1)
        world.pipeline._wake_due()
    assert all(later > 1.3 * earlier for earlier, later in itertools.pairwise(pauses)), pauses
    await world.relay()
    assert world.photo(photo).state is State.DONE
    assert list(world.archived().values()) == [shot(5)]
