"""The whole daemon as a process: a new home, a message on the phone, a press of its button, a changed file."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import anyio
import anyio.to_thread
import yaml

from tests.notify.conftest import until
from tests.standins.ntfy import NtfyStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def daemon(config: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "daemon", "--config", str(config), "run"], cwd=ROOT, stdout=out, stderr=out
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(12)


async def notify_test(config: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "daemon", "notify", "test", "--config", str(config)]
    return await anyio.to_thread.run_sync(
        lambda: subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    )


async def test_a_new_user_is_included_from_the_phone(tmp_path: Path) -> None:
    data, archive, port = tmp_path / "data", tmp_path / "archive", free_port()
    archive.mkdir()
    (data / "alice" / "files" / "Photos").mkdir(parents=True)
    (data / ".ncdata").touch()
    config, log = tmp_path / "config" / "photon-relay.yaml", tmp_path / "log"
    config.parent.mkdir()
    async with NtfyStandIn(token="tk_right", anonymous=False) as server:
        config.write_text(
            f"# mine\nnextcloud: {{data: {data}, occ: {{via: 'off'}}, album: {{folder: ''}}}}\n"
            f"users: {{include: {{alice: {{}}}}, after: delete}}\n"
            f"archive: {{via: folder, folder: {{path: {archive}}}}}\n"
            f"relay: {{min_free: 0B}}\n"
            f"notify: {{ntfy: {{url: '{server.url}', topic: photos, token: tk_right}}}}\n"
            f"ui: {{listen: '127.0.0.1:{port}', url: 'http://127.0.0.1:{port}'}}\n"
            f"state: {tmp_path / 'state'}\n"
        )
        with daemon(config, log) as process:
            await until(lambda: b"running" in log.read_bytes() or process.poll() is not None, 30)
            (data / "bob" / "files" / "Photos").mkdir(parents=True)
            try:
                await until(lambda: bool(server.messages), 30)
            except TimeoutError:
                raise AssertionError(log.read_text()) from None
            message = server.messages[0]
            assert message["title"] == "New user: bob"
            url = message["actions"][0]["url"]
            async with aiohttp.ClientSession() as phone:
                async with phone.get(url) as looked:
                    assert looked.status in {404, 405}, "looking at it, as a preview of links does, presses nothing"
                elsewhere = {"Origin": "https://ntfy.sh", "Sec-Fetch-Site": "cross-site"}
                async with phone.post(url, headers=elsewhere, data="") as answer:
                    said = await answer.text()
                    assert answer.status == 200, said + log.read_text()
                    assert answer.headers["Access-Control-Allow-Origin"] == "*", "ntfy's web application reads it"
                assert "bob is included" in said
                async with phone.post(url) as again:
                    assert again.status == 409
            settings = yaml.safe_load(config.read_text())
            assert list(settings["users"]["include"]) == ["alice", "bob"]
            assert config.read_text().startswith("# mine\n")
            await anyio.sleep(1.0)
            assert len(server.messages) == 1
            tried = await notify_test(config)
            assert (tried.returncode, tried.stderr) == (0, "")
            assert server.messages[1]["id"] in tried.stdout
            server.token = "another"
            tried = await notify_test(config)
            assert (tried.returncode, tried.stdout) == (1, "")
            assert "unauthorized (ntfy code 40101, status 401)" in tried.stderr
            shutil.rmtree(data / "alice")
            server.token = "tk_right"
            await until(lambda: server.messages[-1]["title"] == "alice has no home any more", 30)


async def test_a_message_as_a_test_needs_no_daemon(tmp_path: Path) -> None:
    config = tmp_path / "photon-relay.yaml"
    async with NtfyStandIn() as server:
        config.write_text(f"nextcloud: {{data: /none}}\nnotify: {{ntfy: {{url: '{server.url}', topic: photos}}}}\n")
        tried = await notify_test(config)
        assert (tried.returncode, tried.stderr) == (0, "")
        assert [message["title"] for message in server.messages] == ["Photon Relay: a test"]
        assert sorted(one.name for one in tmp_path.iterdir()) == ["photon-relay.yaml"], "nothing is left over"
    tried = await notify_test(config)
    assert tried.returncode == 1
    assert "[ntfy.unreachable]" in tried.stderr
    config.write_text("nextcloud: {data: /none}\n")
    tried = await notify_test(config)
    assert tried.returncode == 1
    assert "[ntfy.off]" in tried.stderr
