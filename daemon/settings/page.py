"""The section about the page: each key with its type, its default and words for people."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from daemon.settings.base import Section, key, secret
from daemon.settings.values import (
    HostName,
    Listen,
    Network,
    PasswordHash,
    Secret,
    WebAddress,
    split_listen,
)

SELF_SIGNED = "self-signed"


class Tls(Section):
    """Certificate for https without a proxy in front."""

    cert: str = key(
        "",
        "The certificate's file (PEM, the whole chain), relative to this file. self-signed: one is made and renewed by "
        "itself; browsers warn of it. Empty: no https.",
        "tls/fullchain.pem",
    )
    key: str = Field(
        default="",
        description="The file of the certificate's private key (PEM), relative to this file.",
        examples=["tls/privkey.pem"],
    )

    @property
    def self_signed(self) -> bool:
        """Whether a certificate is to be made here."""
        return self.cert == SELF_SIGNED


class Other(Section):
    """Another relay, on another machine."""

    name: str = Field(min_length=1, max_length=60, description="What it is called here.", examples=["attic"])
    url: WebAddress = key("", "How its page is reached from here.", "http://attic.example:8080")
    token: Secret = secret(
        "An API token of that relay, which may read. Better kept in a file of its own (token_file).",
        "prt_3v0Vbq8yWmN5jX2LrT7cZk9QhUdFsAeP",
    )


class Ui(Section):
    """The page."""

    listen: Listen = key(
        "127.0.0.1:8080",
        "Address and port where the page is served; 0.0.0.0:8080 lets other machines in.",
        "0.0.0.0:8080",
    )
    url: WebAddress = key(
        "",
        "How the page is reached from outside; messages need it for their links and buttons.",
        "https://relay.example.org",
    )
    password_hash: PasswordHash = secret(
        "The password's hash, written by `photon-relay password`. Empty: no password.",
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
    )
    open: bool = key(False, "May everybody who reaches the page change things without a password?", True)
    allow: tuple[Network, ...] = key(
        (), "Addresses and subnets that may reach the page. Empty: everyone.", ["192.168.1.0/24", "fd00::/8"]
    )
    trusted_proxies: tuple[Network, ...] = key(
        (), "Addresses of proxies in front of the page, whose X-Forwarded-For is believed.", ["172.18.0.2"]
    )
    hosts: tuple[HostName, ...] = key(
        (), "Names under which the page may be called. Empty: addresses and localhost only.", ["relay.example.org"]
    )
    tls: Tls = Field(default=Tls(), description="Certificate for https without a proxy in front.")
    others: tuple[Other, ...] = key(
        (),
        "Other relays whose state the page shows beside its own, where the storage is spread over several machines.",
        [{"name": "attic", "url": "http://attic.example:8080"}],
    )
    popups: Literal["scifi", "plain"] = key("scifi", "How pop-ups look: scifi or plain.", "plain")
    timezone: str = key(
        "",
        "The time zone for times on the page and for cron expressions. Empty: that of the machine (TZ).",
        "Europe/Berlin",
    )

    @property
    def address(self) -> tuple[str, int]:
        """Host (without brackets) and port of ``listen``."""
        return split_listen(self.listen)
