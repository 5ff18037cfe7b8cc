from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from daemon.files.exif import jpeg_thumbnail
from daemon.service import thumbnails
from daemon.service.thumbnails import media_type
from tests.files.media import photo
from tests.relay.world import FOLDER, shot
from tests.service.conftest import service_over
from tests.standins.photoprism import thumbnail_of

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.service import Service
    from tests.relay.world import World

BIG = 600 << 10
"""More than a picture may have to be its own thumbnail."""


def small() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), "navy").save(out, "JPEG")
    return out.getvalue()


def with_thumbnail(thumbnail: bytes, *, order: str = "big", filler: int = BIG, claim: int | None = None) -> bytes:
    """Make a JPEG whose Exif has a second directory with a thumbnail, as cameras write it."""

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, order)  # type: ignore[arg-type]

    def directory(*entries: tuple[int, int], following: int = 0) -> bytes:
        made = number(len(entries), 2)
        for tag, value in entries:
            made += number(tag, 2) + number(4, 2) + number(1, 4) + number(value, 4)
        return made + number(following, 4)

    head = (b"MM" if order == "big" else b"II") + number(42, 2) + number(8, 4)
    first = directory((0x0100, 64), following=8 + 18)
    second = directory((0x0201, 8 + 18 + 30), (0x0202, len(thumbnail) if claim is None else claim))
    tiff = head + first + second + thumbnail
    exif = b"Exif\0\0" + tiff
    plain = photo("JPEG")
    comments = b"".join(b"\xff\xfe" + (60_002).to_bytes(2, "big") + bytes(60_000) for _ in range(filler // 60_000))
    return plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + comments + plain[2:]


async def put(world: World, content: bytes, name: str = "IMG_1.jpg") -> int:
    [entered] = await world.deliver("alice", {f"{FOLDER}/{name}": content})
    return entered.id


def read(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY)
    try:
        return jpeg_thumbnail(fd)
    finally:
        os.close(fd)


@pytest.mark.parametrize("order", ["big", "little"])
def test_the_thumbnail_that_a_camera_put_into_the_file(tmp_path: Path, order: str) -> None:
    (tmp_path / "x.jpg").write_bytes(with_thumbnail(small(), order=order))
    assert read(tmp_path / "x.jpg") == small()
    Image.open(io.BytesIO(read(tmp_path / "x.jpg"))).verify()


@pytest.mark.parametrize(
    "content",
    [
        with_thumbnail(b"<svg onload='alert(1)'/>", filler=0),
        with_thumbnail(small(), claim=0, filler=0),
        with_thumbnail(small(), claim=1 << 31, filler=0),
        with_thumbnail(small(), filler=0)[:300],
        photo("JPEG"),
        b"",
        b"\xff\xd8\xff\xe1\xff\xffExif\0\0MM\0*\0\0\0\x08",
    ],
)
def test_a_file_that_has_none_or_lies(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    assert read(tmp_path / "x.jpg") == b""


async def test_before_it_is_relayed_the_original_is_looked_into(service: Service, folder_world: World) -> None:
    identity = await put(folder_world, with_thumbnail(small()))
    assert await service.photos.thumbnail(identity) == (small(), "image/jpeg")


async def test_when_it_was_relayed_the_archived_file_is_looked_into(service: Service, folder_world: World) -> None:
    identity = await put(folder_world, with_thumbnail(small()))
    await folder_world.relay()
    assert not folder_world.path("alice", f"{FOLDER}/IMG_1.jpg").exists()
    assert await service.photos.thumbnail(identity) == (small(), "image/jpeg")


async def test_a_small_picture_is_its_own(service: Service, folder_world: World) -> None:
    identity = await put(folder_world, shot(1, 100_000))
    assert await service.photos.thumbnail(identity) == (shot(1, 100_000), "image/jpeg")
    png = photo("PNG")
    assert await service.photos.thumbnail(await put(folder_world, png, "a.png")) == (png, "image/png")
    large = await put(folder_world, shot(2, BIG), "b.jpg")
    assert await service.photos.thumbnail(large) is None


@pytest.mark.parametrize("kind", ["gif", "heic"])
async def test_no_other_kind_of_file_goes_out(service: Service, folder_world: World, kind: str) -> None:
    content = photo({"gif": "GIF", "heic": "HEIF"}[kind])
    identity = await put(folder_world, content, f"a.{kind}")
    assert await service.photos.thumbnail(identity) is None


async def test_what_is_called_a_photo_and_is_a_page_does_not_go_out(service: Service, folder_world: World) -> None:
    identity = await put(folder_world, b"<html><script>alert(1)</script></html>")
    assert await service.photos.thumbnail(identity) is None


async def test_another_file_under_its_name_is_not_shown(service: Service, folder_world: World) -> None:
    identity = await put(folder_world, shot(1, 100_000))
    path = folder_world.path("alice", f"{FOLDER}/IMG_1.jpg")
    path.rename(path.with_name("IMG_old.jpg"))  # so that its inode is not used again
    path.write_bytes(shot(2, 100_000))
    assert await service.photos.thumbnail(identity) is None


async def test_a_link_is_not_followed(service: Service, folder_world: World) -> None:
    identity = await put(folder_world, shot(1, 100_000))
    path = folder_world.path("alice", f"{FOLDER}/IMG_1.jpg")
    secret = folder_world.root / "secret.jpg"
    path.rename(secret)  # the same file, size and inode, outside of the home
    path.symlink_to(secret)
    assert await service.photos.thumbnail(identity) is None


async def test_side_files_have_none(service: Service, folder_world: World) -> None:
    _, side = await folder_world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1), f"{FOLDER}/IMG_1.xmp": b"<x/>"})
    assert await service.photos.thumbnail(side.id) is None
    assert (await service.photos.get(side.id))["thumbnail"] is None
    assert (await service.photos.list())["photos"][1]["thumbnail"] == f"/api/v1/photos/{side.id - 1}/thumbnail"


async def test_photoprism_is_asked_first(world: World) -> None:
    assert world.pp is not None
    identity = await put(world, with_thumbnail(small()))
    async with service_over(world) as service:
        assert await service.photos.thumbnail(identity) == (small(), "image/jpeg"), "it is not there yet"
        await world.relay()
        told = await service.photos.thumbnail(identity)
        assert told is not None
        row = await service.photos.get(identity)
        assert told[0].startswith(thumbnail_of(row["sha1"]))
        assert told[1] == "image/jpeg"


@pytest.mark.parametrize("trap", ["svg", "html", "endless"])
async def test_what_photoprism_gives_instead_of_a_picture_does_not_go_out(world: World, trap: str) -> None:
    assert world.pp is not None
    identity = await put(world, with_thumbnail(small()))
    await world.relay()
    world.pp.traps.thumbnail = trap
    async with service_over(world) as service:
        assert await service.photos.thumbnail(identity) == (small(), "image/jpeg"), "the archived file has one"


async def test_a_photoprism_that_is_away_or_hangs_costs_little_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world.pp is not None
    monkeypatch.setattr(thumbnails, "PATIENCE", 0.3)
    identity = await put(world, with_thumbnail(small()))
    await world.relay()
    async with service_over(world) as service:
        world.pp.traps.thumbnail = "hang"
        assert await service.photos.thumbnail(identity) == (small(), "image/jpeg")
        world.pp.traps.outage = "reset"
        assert await service.photos.thumbnail(identity) == (small(), "image/jpeg")


def test_only_three_kinds_have_a_media_type() -> None:
    assert media_type(photo("JPEG")) == "image/jpeg"
    assert media_type(photo("PNG")) == "image/png"
    assert media_type(photo("WEBP")) == "image/webp"
    for other in (b"", b"<svg/>", b"GIF89a", b"RIFF....AVI ", photo("HEIF"), photo("TIFF"), b"\xff\xd8"):
        assert media_type(other) is None
