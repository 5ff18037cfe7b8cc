"""The nginx and Caddy configurations of docs/proxies.md, word for word, before a real page: callers, saving, the live
connection. Only addresses, files and the port behind are put in for the reader's own.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import socket
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import pytest
import yaml

from tests.docs.reading import ROOT, blocks
from tests.ui.house import House
from ui.tls import make_self_signed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

PAGE = [ROOT / "docs" / "proxies.md"]
NAME = "relay.example.org"
FRIEND, STRANGER = "127.9.9.9", "127.9.9.10"
PROXY = "127.0.0.1"
"""The proxy's address as the relay sees it."""


def _may_listen() -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.1.2.3", 443))
        except PermissionError:
            return False
    return True


def _block(words: str) -> str:
    [text] = [block.text for kind in ("nginx", "caddy") for block in blocks(kind, PAGE) if words in block.text]
    return text


def _nginx(folder: Path, address: str, port: int) -> list[str]:
    cert, key = make_self_signed([NAME], datetime.now(UTC))
    (folder / "relay.pem").write_bytes(cert)
    (folder / "relay.key").write_bytes(key)
    site = _block("server_name")
    for before, after in (
        ("listen 443 ssl", f"listen {address}:443 ssl"),
        ("http://127.0.0.1:8080", f"http://127.0.0.1:{port}"),
        ("/etc/ssl/relay", f"{folder}/relay"),
    ):
        assert before in site
        site = site.replace(before, after)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxied;\n{site}\n}}\n"
    )
    return ["nginx", "-e", "stderr", "-p", str(folder), "-c", "nginx.conf"]


def _caddy(folder: Path, address: str, port: int) -> list[str]:
    site = _block("reverse_proxy")
    assert "127.0.0.1:8080" in site
    # Its own certificate instead of one from Let's Encrypt, and nothing of this machine is touched.
    here = f"admin off\nlocal_certs\nskip_install_trust\nauto_https disable_redirects\ndefault_bind {address}\n"
    here += f"storage file_system {folder}/caddy\n"
    (folder / "Caddyfile").write_text(f"{{\n{here}}}\n{site.replace('127.0.0.1:8080', f'127.0.0.1:{port}')}")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@asynccontextmanager
async def _running(words: list[str], folder: Path, address: str) -> AsyncIterator[None]:
    with (folder / "proxy.log").open("wb") as log:
        environment = {"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        process = await asyncio.create_subprocess_exec(*words, stdout=log, stderr=log, env=environment)
        try:
            with anyio.fail_after(20):
                while True:
                    assert process.returncode is None, (folder / "proxy.log").read_text()
                    try:
                        _, writer = await asyncio.open_connection(address, 443)
                    except OSError:
                        await anyio.sleep(0.05)
                        continue
                    writer.close()
                    break
            yield
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


class _To(aiohttp.abc.AbstractResolver):
    """Finds every name at one address."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[Any]:
        return [{"hostname": host, "host": self.address, "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


@asynccontextmanager
async def _browser(address: str, caller: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a client that calls the page by its name, from an address of its own."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    connector = aiohttp.TCPConnector(resolver=_To(address), local_addr=(caller, 0), ssl=trusting)
    async with aiohttp.ClientSession(f"https://{NAME}", connector=connector) as session:
        yield session


@pytest.mark.parametrize(("program", "make"), [("nginx", _nginx), ("caddy", _caddy)])
async def test_the_page_works_behind_it(
    program: str, make: Callable[[Path, str, int], list[str]], tmp_path: Path
) -> None:
    if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin"):
        pytest.skip(f"needs {program}: apt-get install nginx-light caddy")
    if not _may_listen():
        pytest.skip("needs root: the proxies listen at port 443 of an address of 127.0.0.0/8")
    house = House(tmp_path / "playground")
    ui = next(yaml.safe_load(block.text)["ui"] for block in blocks("yaml", PAGE) if "trusted_proxies" in block.text)
    assert ui["url"] == f"https://{NAME}"
    house.configure(ui={"url": ui["url"], "trusted_proxies": [PROXY], "allow": [FRIEND, f"{PROXY}/32"]})
    address = f"127.{random.randrange(2, 255)}.{random.randrange(255)}.{random.randrange(2, 255)}"
    folder = tmp_path / "proxy"
    folder.mkdir()
    async with house.open(), _running(make(folder, address, house.port), folder, address):
        async with _browser(address, FRIEND) as friend:
            await _saves_and_follows(friend)
        async with _browser(address, STRANGER) as stranger:
            # Neither from where it comes nor by what it claims: the proxy throws that away.
            for claim in ({}, {"X-Forwarded-For": FRIEND}, {"Forwarded": f"for={FRIEND}"}):
                async with stranger.get("/api/v1/status", headers=claim) as answer:
                    assert (answer.status, (await answer.json())["error"]["code"]) == (403, "access.address")


async def _saves_and_follows(friend: aiohttp.ClientSession) -> None:
    origin = {"Origin": f"https://{NAME}"}
    async with friend.get("/") as answer:
        assert answer.status == 200
        assert answer.headers["Strict-Transport-Security"]
    async with friend.get("/api/v1/session") as answer:
        assert answer.cookies["__Host-photon-relay"]["secure"], answer.cookies
        csrf = (await answer.json())["csrf"]
    wish = {"watch": {"settle": "7s"}}
    headers = {**origin, "X-CSRF-Token": csrf}
    async with friend.patch("/api/v1/config", json=wish, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
    async with friend.ws_connect("/api/v1/live", headers=origin) as live:
        assert (await live.receive_json(timeout=10))["type"] == "snapshot"
        # What changes comes at once, too: nothing keeps frames back.
        async with friend.post("/api/v1/pause", headers=headers) as answer:
            assert answer.status == 200, await answer.text()
        with anyio.fail_after(10):
            while "paused" not in (await live.receive()).data:
                pass
