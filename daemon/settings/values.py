"""Values as people write them: ``10s``, ``2GiB``, ``auto``, addresses, folders; and the words when they are wrong.

Each type here turns what stands in the file into what the program works with, and back again (``model_dump`` in JSON
mode gives the file's own form). A fault is a ``PydanticCustomError``, whose text is for people and never shows a
secret.
"""

from __future__ import annotations

import re
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, SecretStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from daemon.text import shown

MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
BYTES = {
    "b": 1,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "tib": 1024**4,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
}
LONGEST_MS = 3660 * MILLISECONDS["d"]
LARGEST = 1 << 60
LONGEST_FOLDER = 2000

# ASCII digits only: \d takes Arabic and other digits too, which float() would read and a JSON schema pattern not.
_DURATION_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?(ms|s|m|h|d)")
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern}\s*)+")
_SIZE = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,9})?) ?([kmgt]?i?b)?", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")

DURATION_PATTERN = r"^(0|([0-9]{1,12}(\.[0-9]{1,9})? ?(ms|s|m|h|d)\s*)+)$"
SIZE_PATTERN = r"^[0-9]{1,19}(\.[0-9]{1,9})? ?([kKmMgGtT]?[iI]?[bB])?$"


def wrong(message: str) -> PydanticCustomError:
    """Give the fault with a sentence for people; it must not hold a secret."""
    # Without a context pydantic leaves braces in the text alone, so a template may be quoted.
    return PydanticCustomError("setting", message)


def quoted(value: object) -> str:
    """Give a value the way a message may show it: one line, short, in quotes."""
    return f"`{shown(str(value), 60)}`"


def parse_duration(value: object) -> float:
    """Give the seconds that ``300ms``, ``15s``, ``1h 30m`` or ``0`` stand for, exact to the millisecond.

    A float is taken as seconds (the program's own code says it so). A bare whole number other than 0 is refused: in
    a file nobody can tell whether ``10`` means seconds or minutes.
    """
    if isinstance(value, float):
        if not 0 <= value <= LONGEST_MS / 1000:
            raise wrong("must lie between 0s and 3660d")
        return value
    text = str(value).strip() if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    if text == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        hint = f"; did you mean {text}s?" if text.isascii() and text.isdigit() and len(text) < 8 else ""
        raise wrong(f"must be a length of time with a unit (ms, s, m, h, d), such as 300ms, 10s, 5m or 6h{hint}")
    total = sum((Decimal(count) * MILLISECONDS[unit] for count, unit in _DURATION_PART.findall(text)), Decimal())
    if total > LONGEST_MS:
        raise wrong("must lie between 0s and 3660d")
    return round(total) / 1000


def format_duration(seconds: float) -> str:
    """Give seconds as the file has them, in the largest unit that keeps the number whole: ``1.5`` as ``1500ms``."""
    whole = round(seconds * 1000)
    for unit in ("d", "h", "m", "s"):
        if whole and whole % MILLISECONDS[unit] == 0:
            return f"{whole // MILLISECONDS[unit]}{unit}"
    return f"{whole}ms" if whole else "0s"


def parse_size(value: object) -> int:
    """Give the bytes that ``2GiB``, ``500MB`` or a plain number stand for."""
    text = str(value).strip() if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    match = _SIZE.fullmatch(text)
    unit = (match[2] or "b").lower() if match else ""
    if not match or unit not in BYTES:
        raise wrong("must be a size such as 500MB, 2GiB, or a whole number of bytes")
    total = int(Decimal(match[1]) * BYTES[unit])
    if total > LARGEST:
        raise wrong("must not be beyond 1048576TiB")
    return total


def format_size(size: int) -> str:
    """Give bytes as the file has them, in the largest unit that keeps the number whole."""
    for unit in ("TiB", "GiB", "MiB", "KiB", "TB", "GB", "MB", "KB"):
        if size and size % BYTES[unit.lower()] == 0:
            return f"{size // BYTES[unit.lower()]}{unit}"
    return str(size)


def _switch(value: object) -> object:
    # YAML 1.1 tools and JSON clients write `on` as true.
    if isinstance(value, bool):
        return "on" if value else "off"
    return value


def _level(value: object) -> object:
    return "off" if value is False else value


def _secret(value: object) -> object:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    plain = text.get_secret_value() if isinstance(text, SecretStr) else text
    if not isinstance(plain, str):
        raise wrong("must be a single text, in quotes if it has special characters")
    if not all("!" <= char <= "~" for char in plain):
        raise wrong("must not have blanks, line ends or characters beyond ASCII; was it copied whole?")
    return text


def _password_hash(value: SecretStr) -> SecretStr:
    plain = value.get_secret_value()
    if plain and not re.fullmatch(r"\$[a-z0-9-]+\$.+", plain):
        raise wrong(
            "must be the hash that `photon-relay password` writes, not a password itself; "
            "in a Compose file each $ of it must be written $$"
        )
    return value


def absolute(value: str) -> str:
    """Give an absolute path in its plain form, without doubled or trailing slashes; refuse ``..``."""
    if not value.startswith("/"):
        raise wrong(f"must be an absolute path that begins with /, not {quoted(value)}")
    if "\0" in value or ".." in value.split("/"):
        raise wrong("must not contain `..` or a NUL character")
    return "/" + "/".join(part for part in value.split("/") if part not in {"", "."})


def absolute_or_empty(value: str) -> str:
    """Give an absolute path in its plain form, or the empty text."""
    return absolute(value) if value else ""


def _file_path(value: str) -> str:
    if not value or "\0" in value:
        raise wrong("must name a folder, it is empty")
    return value


def relative(value: str) -> str:
    """Give a folder below another one in its plain form: not empty, not absolute, no ``..``."""
    if len(value) > LONGEST_FOLDER:
        raise wrong(f"must not be longer than {LONGEST_FOLDER} characters")
    parts = [part for part in value.split("/") if part not in {"", "."}]
    if not parts:
        raise wrong("must name a folder, it is empty")
    if value.startswith("/"):
        raise wrong(f"must be relative to the user's files, without a / at the beginning: {quoted('/'.join(parts))}")
    if "\0" in value or ".." in parts:
        raise wrong("must not contain `..` or a NUL character")
    return "/".join(parts)


def folder_name(value: str) -> str:
    """Give the name of one folder: no ``/``, not empty, not ``..``."""
    name = relative(value)
    if "/" in name:
        raise wrong("must be the name of one folder, without /")
    return name


def user_id(value: str) -> str:
    """Give a Nextcloud user id; blanks inside, apostrophes, ``@`` and dots are legal.

    Nextcloud's ``User/Manager.php`` (``verifyUid``) allows ``[a-zA-Z0-9 _.@'-]`` for its own accounts, but ids from
    LDAP or single sign-on may hold more, so only what can never be a home's name is refused.
    """
    if not value or value != value.strip():
        raise wrong("must be a user id: not empty, no blanks at its ends")
    if value in {".", ".."} or "/" in value or not value.isprintable():
        raise wrong("must be a user id: no slash, no control characters")
    return value


def web_address(value: str) -> str:
    """Give an ``http://`` or ``https://`` address without a trailing slash, or the empty text."""
    if not value:
        return ""
    if not value.isascii() or not value.isprintable() or " " in value:
        raise wrong("must be an address without blanks or special characters")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise wrong("must be an address such as http://photoprism:2342") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise wrong("must begin with http:// or https:// and name a host, such as http://photoprism:2342")
    if "@" in parts.netloc:
        raise wrong("must not contain a user name or password; there is a key of its own for the token")
    return value.rstrip("/")


def split_listen(value: str) -> tuple[str, int]:
    """Give host and port of ``127.0.0.1:8080`` or ``[::1]:8080``."""
    host, _, port = value.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    try:
        ip_network(bare)
        fits = bracketed == (":" in bare) and "/" not in bare
    except ValueError:
        fits = not bracketed and bool(_HOST.fullmatch(bare))
    if not fits or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise wrong("must be address:port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080")
    return bare, int(port)


def _listen(value: str) -> str:
    split_listen(value)
    return value


def _network(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, (IPv4Network, IPv6Network)):
        return value
    if isinstance(value, str):
        try:
            return ip_network(value.strip(), strict=False)
        except ValueError:
            pass
    raise wrong("must be an address or subnet, such as 192.168.1.20 or 192.168.1.0/24")


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise wrong(f"must be a host name without http:// and port, such as photos.example.org, not {quoted(value)}")
    return value.lower()


def texts(value: object, what: str) -> tuple[str, ...]:
    """Give a list of texts, none of them empty; ``what`` says how one looks."""
    if not isinstance(value, (list, tuple)):
        raise wrong(f"must be {what}")
    items = tuple(str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in value)
    if not items or not all(isinstance(item, str) and item and "\0" not in item for item in items):
        raise wrong(f"must be {what}; no item may be empty")
    return items


def _auto_or_command(value: object) -> object:
    return value if value == "auto" else texts(value, "auto, or a list such as [php, occ]")


def _also(value: object) -> tuple[tuple[str, ...], ...]:
    what = "a list of commands, each a list itself, such as [[preview:pre-generate], [recognize:classify]]"
    if not isinstance(value, (list, tuple)):
        raise wrong(f"must be {what}")
    return tuple(texts(item, what) for item in value)


def _extensions(value: object) -> object:
    if value == "default":
        return value
    found = tuple(item.removeprefix(".").lower() for item in texts(value, "default, or a list such as [jpg, heic]"))
    for item in found:
        if not re.fullmatch(r"[a-z0-9]{1,10}", item):
            raise wrong(f"must hold file name endings such as jpg or heic, not {quoted(item)}")
    return tuple(dict.fromkeys(found))


def _workers(value: object) -> object:
    text = str(value).strip() if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    if text == "auto":
        return text
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= 64:
        raise wrong("must be auto or a whole number from 1 to 64")
    return int(text)


def _strings(*, one_or: str = "") -> dict[str, Any]:
    listed: dict[str, Any] = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
    return {"anyOf": [{"const": one_or}, listed]} if one_or else listed


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"const": 0}]}),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, return_type=str, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": SIZE_PATTERN}, {"type": "integer", "minimum": 0}]}),
]
Switch = Annotated[Literal["auto", "on", "off"], BeforeValidator(_switch)]
Level = Annotated[Literal["off", "min", "low", "default", "high", "max"], BeforeValidator(_level)]
Secret = Annotated[SecretStr, BeforeValidator(_secret)]
PasswordHash = Annotated[SecretStr, BeforeValidator(_secret), AfterValidator(_password_hash)]
AbsolutePath = Annotated[str, AfterValidator(absolute)]
AbsolutePathOrEmpty = Annotated[str, AfterValidator(absolute_or_empty)]
FilePath = Annotated[str, AfterValidator(_file_path)]
Folder = Annotated[str, AfterValidator(relative)]
FolderName = Annotated[str, AfterValidator(folder_name)]
UserId = Annotated[str, AfterValidator(user_id)]
WebAddress = Annotated[str, AfterValidator(web_address)]
Listen = Annotated[str, AfterValidator(_listen)]
HostName = Annotated[str, AfterValidator(_host)]
Network = Annotated[
    IPv4Network | IPv6Network,
    BeforeValidator(_network),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^[0-9A-Fa-f:.]+(/[0-9.]+)?$"}),
]
Command = Annotated[
    Literal["auto"] | tuple[str, ...], BeforeValidator(_auto_or_command), WithJsonSchema(_strings(one_or="auto"))
]
Commands = Annotated[
    tuple[tuple[str, ...], ...], BeforeValidator(_also), WithJsonSchema({"type": "array", "items": _strings()})
]
Extensions = Annotated[
    Literal["default"] | tuple[str, ...], BeforeValidator(_extensions), WithJsonSchema(_strings(one_or="default"))
]
Workers = Annotated[
    Literal["auto"] | int,
    BeforeValidator(_workers),
    WithJsonSchema({"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": 64}]}),
]
