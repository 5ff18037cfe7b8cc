"""The certificate for https without a proxy: one's own, or a self-signed one that is made and renewed by itself.

``ui.tls.cert: self-signed`` asks for the latter. Browsers warn of it once for each device; it keeps a listener in the
network out, and proves nothing about who answers until its fingerprint (in the log) was compared.
"""

from __future__ import annotations

import logging
import os
import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio.to_thread
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from daemon.errors import NeedsPerson
from daemon.settings.storing import put_private

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.clock import Clock
    from daemon.settings import Settings, Ui

log = logging.getLogger(__name__)

DAYS = 397
"""Days that a self-signed certificate lives; browsers refuse longer ones from anybody else, too."""
RENEW = 30
"""Days before its end when it is made anew."""

_Signature = tuple[tuple[int, int, int, int], ...]


class Tls:
    """Gives the context for the listener, and keeps it up to date with its files."""

    def __init__(self, settings: Callable[[], Settings], state: str, clock: Clock) -> None:
        self._settings = settings
        self._state = state
        self._clock = clock
        self._context: ssl.SSLContext | None = None
        self._paths: tuple[str, str] | None = None
        self._signature: _Signature = ()
        self._own = False

    def is_own(self) -> bool:
        """Tell whether the certificate in use is one that somebody else has signed."""
        return self._own

    async def context(self) -> ssl.SSLContext | None:
        """Give the context to serve with, ``None`` for plain http; the same object as long as the files' names stay.

        Changed files are loaded into the living context: connections made from then on get the new certificate, and
        those that are open stay. Raises ``NeedsPerson`` ``tls.…``; what was loaded before stays in use.
        """
        ui = self._settings().ui
        if not ui.tls.cert:
            self._context, self._paths, self._own = None, None, False
            return None
        return await anyio.to_thread.run_sync(self._look, ui)

    def _look(self, ui: Ui) -> ssl.SSLContext:
        now = self._clock.now()
        made = ui.tls.self_signed
        paths = self_signed_files(self._state, ui, now) if made else (ui.tls.cert, ui.tls.key)
        signature = _signature(paths)
        if self._context is not None and paths == self._paths and signature == self._signature:
            return self._context
        # A pair that does not fit must not spoil the context that is in use.
        fresh = _load(new_context(), paths)
        if self._context is not None and paths == self._paths:
            context = _load(self._context, paths)
            log.info("the certificate %s was read again", paths[0])
        else:
            context = fresh
        self._context, self._paths, self._signature = context, paths, signature
        certificate = x509.load_pem_x509_certificate(Path(paths[0]).read_bytes())
        self._own = certificate.issuer != certificate.subject
        return context


def new_context() -> ssl.SSLContext:
    """Give a server's context: TLS 1.2 and up, with the library's own choice of ciphers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def _load(context: ssl.SSLContext, paths: tuple[str, str]) -> ssl.SSLContext:
    try:
        # Without a password to give, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(*paths, password=lambda: "")
    except OSError as error:
        why = error.reason if isinstance(error, ssl.SSLError) and error.reason else error.strerror
        raise NeedsPerson(
            "tls.unreadable",
            f"the certificate {paths[0]} with its key {paths[1]} cannot be used: {why}",
            hint="both must be PEM files that belong together, readable by the user the daemon runs as, the key without"
            " a password; the page is served with the one before, if there was one",
        ) from error
    return context


def _signature(paths: tuple[str, str]) -> _Signature:
    try:
        found = [os.stat(path) for path in paths]  # noqa: PTH116 - following links: certbot's live folder is links
    except OSError:
        return ()
    return tuple((one.st_dev, one.st_ino, one.st_mtime_ns, one.st_size) for one in found)


# -- self-signed --------------------------------------------------------------------------------------------------


def names_of(ui: Ui) -> list[str]:
    """Give the names and addresses under which the page may be called, for a certificate."""
    url = urlsplit(ui.url).hostname
    listen = ui.address[0]
    found = ["localhost", "127.0.0.1", "::1", *ui.hosts, *([url] if url else [])]
    if listen not in {"0.0.0.0", "::"}:  # noqa: S104 - what must not stand in a certificate
        found.append(listen)
    return list(dict.fromkeys(found))


def self_signed_files(state: str, ui: Ui, now: datetime) -> tuple[str, str]:
    """Give the files of a self-signed certificate that is valid for all names; makes them where needed. Blocking."""
    folder = Path(state) / "tls"
    cert, key = folder / "cert.pem", folder / "key.pem"
    names = names_of(ui)
    if _still_good(cert, key, names, now):
        return str(cert), str(key)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        certificate, private = make_self_signed(names, now)
        # Power cut here: a new key beside an old certificate, which is seen not to fit, and both are made anew.
        put_private(key, private)
        put_private(cert, certificate)
    except OSError as error:
        raise NeedsPerson(
            "tls.unwritable",
            f"the self-signed certificate cannot be written to {folder}: {error.strerror}",
            hint="see that the state folder belongs to the user the daemon runs as",
        ) from error
    print_ = x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex(":")
    log.info("made a self-signed certificate for %s; its SHA-256 fingerprint: %s", ", ".join(names), print_)
    return str(cert), str(key)


def _still_good(cert: Path, key: Path, names: list[str], now: datetime) -> bool:
    try:
        found = x509.load_pem_x509_certificate(cert.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        if private.public_key() != found.public_key():
            return False
        alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return False
    held = {str(one.value) for one in alternative}
    ends = found.not_valid_after_utc - timedelta(days=RENEW)
    return set(names) <= held and found.not_valid_before_utc <= now < ends


def make_self_signed(names: list[str], now: datetime) -> tuple[bytes, bytes]:
    """Give a certificate for these names and addresses, and its key, both PEM."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Photon Relay on {socket.gethostname()}"[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - timedelta(hours=1))
        .not_valid_after(now.astimezone(UTC) + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), pem


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
