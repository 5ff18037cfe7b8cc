"""https with real certificates, and the password command on real files."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from daemon.errors import ConfigError, NeedsPerson
from daemon.settings import Settings
from daemon.settings_file import ensure_default, load
from tests.ui.doors.world import HASH, SetClock
from ui.passwords import matches
from ui.tls import DAYS, RENEW, Tls, make_self_signed, names_of, self_signed_files

if TYPE_CHECKING:
    from tests.ui.doors.conftest import Make


def tls_of(state: Path, clock: SetClock | None = None, **ui: Any) -> tuple[Tls, list[Settings]]:
    holder = [Settings.model_validate({"ui": ui})]
    return Tls(lambda: holder[-1], str(state), clock or SetClock()), holder


def own(folder: Path, name: str = "relay.example") -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    cert, key = make_self_signed([name], datetime.now(UTC))
    (folder / "cert.pem").write_bytes(cert)
    (folder / "key.pem").write_bytes(key)
    return {"cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}


async def shown_by(port: int, **options: Any) -> x509.Certificate:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, value in options.items():
        setattr(context, name, value)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
        await writer.wait_closed()
    return x509.load_der_x509_certificate(found)


async def test_without_a_certificate_there_is_no_https(tmp_path: Path) -> None:
    assert await tls_of(tmp_path)[0].context() is None


async def test_a_self_signed_certificate_is_made_once_and_for_all_names(tmp_path: Path) -> None:
    tls, holder = tls_of(tmp_path, tls={"cert": "self-signed"}, hosts=["relay.example"], url="https://out.example:8443")
    context = await tls.context()
    files = sorted((tmp_path / "tls").iterdir())
    assert [(one.name, one.stat().st_mode & 0o777) for one in files] == [("cert.pem", 0o600), ("key.pem", 0o600)]
    before = files[0].read_bytes()
    alternative = x509.load_pem_x509_certificate(before).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert {str(one.value) for one in alternative.value} == set(names_of(holder[0].ui))
    assert {"relay.example", "out.example", "localhost", "127.0.0.1", "::1"} <= set(names_of(holder[0].ui))
    assert await tls.context() is context
    assert not tls.is_own()
    again, _ = tls_of(tmp_path, tls={"cert": "self-signed"}, hosts=["relay.example"], url="https://out.example:8443")
    await again.context()
    assert files[0].read_bytes() == before, "kept over a restart"
    more = {"tls": {"cert": "self-signed"}, "hosts": ["relay.example", "new.example"]}
    holder.append(Settings.model_validate({"ui": more}))
    assert await tls.context() is context
    assert files[0].read_bytes() != before, "a new name makes a new one"


async def test_a_self_signed_certificate_is_renewed_in_time(tmp_path: Path) -> None:
    clock = SetClock()
    clock.now = lambda: datetime.now(UTC) + timedelta(seconds=clock.ahead)  # type: ignore[method-assign]
    tls, _ = tls_of(tmp_path, clock, tls={"cert": "self-signed"})
    await tls.context()
    before = (tmp_path / "tls/cert.pem").read_bytes()
    clock.ahead = (DAYS - RENEW - 1) * 86400
    await tls.context()
    assert (tmp_path / "tls/cert.pem").read_bytes() == before
    clock.ahead += 2 * 86400
    await tls.context()
    assert (tmp_path / "tls/cert.pem").read_bytes() != before


async def test_https_sets_secure_cookies_and_takes_no_old_tls(page: Make, tmp_path: Path) -> None:
    tls, _ = tls_of(tmp_path, tls={"cert": "self-signed"})
    world = await page(await tls.context(), password_hash=HASH)
    world.doors.own_certificate = tls.is_own
    caller = world.caller()
    found = await caller.log_in()
    assert found.json["secure"]
    assert found.set_cookie[0].startswith("__Host-photon-relay=")
    assert "Strict-Transport-Security" not in found.headers, "never with a self-signed certificate"
    assert (await caller.get("/api/v1/status")).status == 200
    world.doors.own_certificate = lambda: True
    assert "Strict-Transport-Security" in (await caller.get("/api/v1/status")).headers
    assert await shown_by(world.port, minimum_version=ssl.TLSVersion.TLSv1_2)
    with pytest.warns(DeprecationWarning, match="TLS"), pytest.raises((ssl.SSLError, ConnectionError)):
        await shown_by(world.port, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)


async def test_a_changed_certificate_is_taken_without_a_restart(page: Make, tmp_path: Path) -> None:
    tls, _ = tls_of(tmp_path, tls=own(tmp_path / "own"))
    context = await tls.context()
    world = await page(context)
    before = await shown_by(world.port)
    own(tmp_path / "own", "other.example")
    assert await tls.context() is context
    after = await shown_by(world.port)
    assert before != after
    (tmp_path / "own/key.pem").write_bytes(make_self_signed(["x"], datetime.now(UTC))[1])
    with pytest.raises(NeedsPerson, match="cannot be used"):
        await tls.context()
    assert await shown_by(world.port) == after, "a pair that does not fit leaves the one before in use"


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
async def test_a_certificate_that_is_none_is_said_in_words(tmp_path: Path, content: bytes) -> None:
    files = own(tmp_path / "own")
    Path(files["cert"]).write_bytes(content)
    with pytest.raises(NeedsPerson) as error:
        await tls_of(tmp_path, tls=files)[0].context()
    assert error.value.code == "tls.unreadable"


async def test_a_certificate_that_is_not_there(tmp_path: Path) -> None:
    files = {"cert": str(tmp_path / "none.pem"), "key": str(tmp_path / "none.key")}
    with pytest.raises(NeedsPerson) as error:
        await tls_of(tmp_path, tls=files)[0].context()
    assert error.value.code == "tls.unreadable"


def test_self_signed_is_no_file_and_needs_no_key(tmp_path: Path) -> None:
    path = tmp_path / "photon-relay.yaml"
    path.write_text("ui:\n  tls:\n    cert: self-signed\n")
    assert load(path, {}).settings.ui.tls.cert == "self-signed"
    path.write_text("ui:\n  tls:\n    cert: self-signed\n    key: key.pem\n")
    with pytest.raises(ConfigError):
        load(path, {})
    path.write_text("ui:\n  tls:\n    cert: cert.pem\n")
    with pytest.raises(ConfigError):
        load(path, {})


# -- the command ----------------------------------------------------------------------------------------------------


def command(path: Path, given: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "daemon", "password", "--config", str(path)],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environ},
    )


def test_the_command_changes_one_value_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "photon-relay.yaml"
    ensure_default(path)
    before = path.read_text().splitlines()
    done = command(path, "correct horse battery\n")
    assert done.returncode == 0, done.stderr
    after = path.read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    assert "password_hash:" in changed[0][1]
    hashed = load(path, {}).settings.ui.password_hash.get_secret_value()
    assert matches("correct horse battery", hashed)
    assert "correct horse" not in done.stdout + done.stderr + path.read_text()
    assert hashed not in done.stdout + done.stderr


@pytest.mark.parametrize("given", ["", "short\n", "\n", "x" * 3000 + "\n", "aaaaaaaaaaaa\n"])
def test_the_command_takes_no_weak_password(tmp_path: Path, given: str) -> None:
    path = tmp_path / "photon-relay.yaml"
    path.write_text("ui: {open: true}\n")
    done = command(path, given)
    assert done.returncode == 1
    assert "password." in done.stderr
    assert path.read_text() == "ui: {open: true}\n"


def test_the_command_says_where_the_password_comes_from_if_not_the_file(tmp_path: Path) -> None:
    path = tmp_path / "photon-relay.yaml"
    path.write_text("ui: {open: true}\n")
    done = command(path, "correct horse battery\n", PHOTON_RELAY__UI__PASSWORD_HASH=HASH)
    assert done.returncode == 1
    assert "config.overridden" in done.stderr
    assert path.read_text() == "ui: {open: true}\n"


def test_a_wrong_file_is_told_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "photon-relay.yaml"
    path.write_text("ui: {opne: true}\n")
    done = command(path, "correct horse battery\n")
    assert done.returncode == 2
    assert "photon-relay.yaml:1" in done.stderr


def test_a_key_that_does_not_fit_its_certificate_is_made_anew(tmp_path: Path) -> None:
    """As a power cut between the two leaves them: the page must not be shut until the certificate ends."""
    now = datetime(2026, 11, 22, tzinfo=UTC)
    cert, key = map(Path, self_signed_files(str(tmp_path), Settings().ui, now))
    _, other = make_self_signed(["localhost"], now)
    key.write_bytes(other)
    self_signed_files(str(tmp_path), Settings().ui, now)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    before = cert.read_bytes(), key.read_bytes()
    self_signed_files(str(tmp_path), Settings().ui, now)
    assert (cert.read_bytes(), key.read_bytes()) == before
