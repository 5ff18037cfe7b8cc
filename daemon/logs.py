"""The log: text or JSON lines on standard error, names made safe, secrets taken out."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from daemon.log_ring import LogRing
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


_ENCODER = json.JSONEncoder(ensure_ascii=False)


class Redact(logging.Filter):
    """Takes known secrets out of every line, whoever wrote it."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: tuple[str, ...] = ()

    def know(self, secrets: Iterable[str]) -> None:
        """Set the secrets to take out; those shorter than four characters would blacken ordinary words."""
        self._secrets = tuple(sorted((one for one in secrets if len(one) >= 4), key=len, reverse=True))

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the record's message together, once for all handlers, without the secrets."""
        record.msg, record.args = self.clean(record.getMessage()), ()
        return True

    def clean(self, text: str) -> str:
        """Give ``text`` without the secrets."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, "•••")
        return text


redact = Redact()
"""The one filter of the process; the command line tells it the secrets whenever settings are loaded."""


@lru_cache(4)
def _second(since_epoch: int) -> str:
    return datetime.fromtimestamp(since_epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _when(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03d}Z"


class TextFormatter(logging.Formatter):
    """``2026-11-05T10:00:00.000Z INFO    relay: message``, always one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the record as one line; a traceback follows indented."""
        area = record.name.removeprefix("daemon.")
        line = f"{_when(record)} {record.levelname:<7} {area}: {shown(record.getMessage(), 2000)}"
        if record.exc_info:
            trace = redact.clean(self.formatException(record.exc_info))
            line += "".join(f"\n  | {shown(each, 2000)}" for each in trace.splitlines())
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, area, message, ``where`` it comes from, what the line carries besides."""

    def __init__(self, where: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._where = {key: shown(value, 200) for key, value in (where or {}).items()}

    def format(self, record: logging.LogRecord) -> str:
        """Give the record as one line of JSON."""
        entry: dict[str, Any] = {
            "time": _when(record),
            "level": record.levelname.lower(),
            "area": record.name.removeprefix("daemon."),
            "message": shown(record.getMessage(), 2000),
            **self._where,
        }
        entry |= {
            key: shown(value, 2000) if isinstance(value, str) else _plain(value)
            for key, value in record.__dict__.items()
            if key not in _STANDARD
        }
        if record.exc_info:
            entry["trace"] = [shown(each, 2000) for each in self.formatException(record.exc_info).splitlines()]
        # All of it at once: a secret may stand in what a line carries as well as in its message.
        return redact.clean(_ENCODER.encode(entry))


def _plain(value: object) -> object:
    """Give a value as JSON has it: numbers, true, false and null as they are, anything else as safe text."""
    return value if value is None or isinstance(value, (bool, int, float)) else shown(repr(value), 2000)


ring = LogRing()
"""The process's last lines, for the page; kept when the log is set up anew."""
ring.setFormatter(JsonFormatter())
ring.addFilter(redact)


TERMINAL = "terminal"


def hush() -> None:
    """Let the terminal have warnings only from now on, whatever the level; the page's log goes on as it is."""
    for handler in logging.getLogger().handlers:
        if handler.name == TERMINAL:
            handler.setLevel(logging.WARNING)


def _where(environ: Mapping[str, str]) -> dict[str, str]:
    """Give node and task, where a Swarm's stack file has said them: logs of many machines end up in one place."""
    return {key: environ[key.upper()] for key in ("node", "task") if environ.get(key.upper())}


def set_up(level: str, form: str) -> None:
    """Send the log to standard error as ``form`` (``text`` or ``json``); may be called again with other values.

    Lines of JSON have ``node`` and ``task`` where ``NODE`` and ``TASK`` are in the environment.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(_where(os.environ)) if form == "json" else TextFormatter())
    handler.addFilter(redact)
    # What no line of ours tells is not asked of the system for each of them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # nor where in the source it was written
    root = logging.getLogger()
    handler.setLevel(next((old.level for old in root.handlers if old.name == TERMINAL), logging.NOTSET))
    handler.set_name(TERMINAL)
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.addHandler(ring)
    root.setLevel(logging.WARNING)
    logging.getLogger("daemon").setLevel(level.upper())
    logging.getLogger("ui").setLevel(level.upper())
