"""The page's own files: all of them small, none of them from elsewhere, and no path of a request near the disk."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

from yarl import URL

from ui import static_files

if TYPE_CHECKING:
    from tests.ui.house import House

MOST = 150_000
"""Bytes of the whole front end, every view and picture of it, as a browser gets it."""


def test_all_of_it_is_small() -> None:
    assets = static_files.load()
    assert "index.html" in assets
    assert sum(len(asset.squeezed or asset.plain) for asset in assets.values()) < MOST


def test_nothing_is_fetched_from_elsewhere_and_nothing_stands_inline() -> None:
    for name, asset in static_files.load().items():
        if name.endswith((".html", ".css", ".js")):
            text = asset.plain.decode()
            wanted = re.findall(r"(?:src|href|from|import|url)\s*[=(]?\s*[\"'(](https?:)?//", text)
            assert not wanted, name
        if name.endswith(".html"):
            assert not re.search(r"\son\w+\s*=|\sstyle\s*=|<style|<script(?![^>]*\ssrc=)", text), name


async def test_each_file_has_a_kind_and_a_tag_and_is_sent_once(house: House) -> None:
    assets = static_files.load()
    for name, asset in assets.items():
        async with house.session.get(f"/static/{name}", headers={"Accept-Encoding": "identity"}) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == asset.kind
            assert await answer.read() == asset.plain
            tag = answer.headers["ETag"]
        async with house.session.get(f"/static/{name}", headers={"If-None-Match": f'"x", {tag}'}) as answer:
            # aiohttp's client asks for gzip, which is another tag: it must not be mistaken for the plain one.
            assert answer.status == (200 if asset.squeezed else 304)
        async with house.session.get(
            f"/static/{name}", headers={"If-None-Match": tag, "Accept-Encoding": "identity"}
        ) as answer:
            assert (answer.status, await answer.read()) == (304, b"")


async def test_what_can_be_squeezed_is(house: House) -> None:
    async with house.session.get("/", headers={"Accept-Encoding": "gzip, br"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.headers["ETag"].endswith('-gz"')
        content = await answer.read()
    assert content == static_files.load()["index.html"].plain
    squeezed = static_files.load()["index.html"].squeezed
    assert squeezed is not None
    assert gzip.decompress(squeezed) == content


async def test_no_path_leads_to_the_disk(house: House) -> None:
    for path in (
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/static//etc/passwd",
        "/static/js/%00app.js",
        "/static/",
        "/static",
        "/static/js",
        "/server.py",
        "/%2e%2e/%2e%2e/etc/passwd",
    ):
        async with house.session.get(URL(house.url + path, encoded=True)) as answer:
            assert answer.status == 404, path
