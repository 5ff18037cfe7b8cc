from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon.photoprism.client import PhotoPrism
from tests.photoprism.conftest import TOKEN
from tests.standins.photoprism import thumbnail_of

if TYPE_CHECKING:
    from tests.photoprism.conftest import TestClock, Trees
    from tests.standins.photoprism import PhotoPrismStandIn


async def imported(pp: PhotoPrismStandIn, trees: Trees, client: PhotoPrism) -> str:
    sha1 = trees.put("batch/IMG_1.jpg", b"\xff\xd8\xff" + b"photo" * 100)
    await client.import_folder("batch", timeout=10)
    assert pp.row(sha1) is not None
    return sha1


async def test_the_small_picture_of_a_content(pp: PhotoPrismStandIn, trees: Trees, client: PhotoPrism) -> None:
    sha1 = await imported(pp, trees, client)
    picture = await client.thumbnail(sha1)
    assert picture is not None
    assert picture.startswith(thumbnail_of(sha1))


async def test_the_token_is_asked_for_once_and_again_when_it_has_ended(
    pp: PhotoPrismStandIn, trees: Trees, client: PhotoPrism
) -> None:
    sha1 = await imported(pp, trees, client)
    await client.thumbnail(sha1)
    await client.thumbnail(sha1)
    assert sum(path.endswith("/config") for _, path in pp.calls) == 1
    pp.preview_token = "another"
    assert await client.thumbnail(sha1)
    assert sum(path.endswith("/config") for _, path in pp.calls) == 2


async def test_more_than_a_thumbnail_can_have_is_not_read(
    pp: PhotoPrismStandIn, trees: Trees, client: PhotoPrism
) -> None:
    sha1 = await imported(pp, trees, client)
    pp.traps.thumbnail = "endless"
    assert await client.thumbnail(sha1) is None


@pytest.mark.parametrize("token", ["", "../../config", "a/b", "a?b"])
async def test_a_token_that_would_lead_elsewhere_is_not_used(
    pp: PhotoPrismStandIn, trees: Trees, client: PhotoPrism, token: str
) -> None:
    sha1 = await imported(pp, trees, client)
    pp.preview_token = token
    pp.calls.clear()
    assert await client.thumbnail(sha1) is None
    assert [path for _, path in pp.calls if "/t/" in path] == []


async def test_a_wrong_token_is_tried_once_a_minute(pp: PhotoPrismStandIn, clock: TestClock) -> None:
    stranger = PhotoPrism(pp.url, f"{TOKEN}x", clock=clock, timeout=5.0)
    try:
        assert [await stranger.thumbnail("0" * 40) for _ in range(30)] == [None] * 30
        assert len(pp.calls) == 1
        clock.time += 61
        assert await stranger.thumbnail("0" * 40) is None
        assert len(pp.calls) == 2
    finally:
        await stranger.close()


async def test_only_a_hash_is_asked_for(client: PhotoPrism) -> None:
    with pytest.raises(ValueError, match="SHA-1"):
        await client.thumbnail("../config")
