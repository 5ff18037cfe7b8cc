"""The schema beside a settings file: the file's first line names it, and editors complete and check keys by it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from daemon.settings.render import SCHEMA_LINE
from daemon.settings.schema import TITLE, json_schema
from daemon.settings.storing import put_private

if TYPE_CHECKING:
    from pathlib import Path

NAME = "photon-relay.schema.json"


def schema_text() -> str:
    """Give the schema as it stands in a file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def keep_schema(settings: Path) -> None:
    """Have this version's schema beside a settings file that names it; where that cannot be, do without. Blocking.

    Only an earlier one of ours is replaced. A folder that cannot be written to (a Docker config) keeps what it has.
    """
    place = settings.with_name(NAME)
    with suppress(OSError, UnicodeDecodeError):
        with settings.open("rb") as file:
            if file.readline(len(SCHEMA_LINE) + 2).rstrip() != SCHEMA_LINE.encode():
                return
        text = schema_text()
        if place.is_symlink() or place.exists():
            earlier = "" if place.is_symlink() else place.read_text(encoding="utf-8")
            if earlier == text or f'"title": "{TITLE}"' not in earlier:
                return
        put_private(place, text.encode())
        place.chmod(0o644)  # the editor is somebody else's
