"""docs/settings.md and the README's short table, made from the settings' own description."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daemon.settings import Settings
from daemon.settings.base import keyed
from daemon.settings.by_hand import BY_HAND
from daemon.settings.fields import shape_of
from daemon.settings.render import flow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

FILE = Path(__file__).parents[2] / "docs" / "settings.md"
README = Path(__file__).parents[2] / "README.md"
FIRST = (
    "nextcloud.data",
    "nextcloud.occ.via",
    "nextcloud.occ.container",
    "nextcloud.album.folder",
    "nextcloud.album.seen_by",
    "users.new",
    "users.folders",
    "users.existing",
    "users.after",
    "users.release_after",
    "archive.via",
    "photoprism.url",
    "photoprism.token",
    "photoprism.import",
    "photoprism.originals",
    "watch.settle",
    "watch.sweep",
    "notify.ntfy.url",
    "notify.ntfy.topic",
    "ui.listen",
    "ui.url",
    "ui.allow",
)
"""The keys that matter at first."""
_BEGIN, _END = "<!-- made by python -m tests.settings.make_files -->\n", "<!-- until here -->\n"
_HEAD = """\
# Every setting

Made from the settings' own description, which [the default file](../config/photon-relay.yaml) and its
[JSON schema](../config/photon-relay.schema.json) come from too: `python -m tests.settings.make_files`.

- One YAML file: `--config FILE`, else `$PHOTON_RELAY_CONFIG`, else `/config/photon-relay.yaml`. What is not in it has
  the default.
- Saved, it counts within two seconds. A file with a fault changes nothing; page, log and `photon-relay config check`
  say which line. Only a new `state` needs a restart.
- Lengths of time: `300ms`, `10s`, `5m`, `6h`, `1d`. Sizes: `500MB`, `2GiB`.
- Instead of `token:` there may be `token_file: /path`, for every single value. An environment variable wins over both:
  `PHOTON_RELAY__PHOTOPRISM__TOKEN` is `photoprism.token`.
- Keys marked ✎ can be changed only in the file by hand, never from the page: they run programs, or name files and
  folders.
"""


def page() -> str:
    """Give the page's text."""
    top = [(key, info) for key, info in keyed(Settings).items() if shape_of(info).kind != "section"]
    lines = [_HEAD]
    for key, info in keyed(Settings).items():
        model = shape_of(info).model
        if shape_of(info).kind == "section" and model:
            lines += [f"## {key}\n", f"{info.description}\n", *_table(model, key)]
        elif shape_of(info).kind == "list" and model:
            lines += [f"## {key}\n", f"{info.description}\n", *_table(model, f"{key}[]")]
    lines += ["## Else\n", "| key | default | what it does |", "| --- | --- | --- |"]
    lines += [_row(key, info.description or "", flow(_default(Settings, key))) for key, info in top if key != "hooks"]
    return "\n".join(lines) + "\n"


def readme() -> str:
    """Give the README with its table made anew."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    rows = {line.split("`")[1]: line for line in page().splitlines() if line.startswith("| `")}
    table = ["| key | default | what it does |", "| --- | --- | --- |", *(rows[key] for key in FIRST)]
    return before + _BEGIN + "\n".join(table) + "\n" + _END + after


def _table(model: type[BaseModel], prefix: str) -> Iterator[str]:
    yield "| key | default | what it does |"
    yield "| --- | --- | --- |"
    yield from _rows(model, prefix)
    yield ""


def _rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for key, info in keyed(model).items():
        path, shape = f"{prefix}.{key}", shape_of(info)
        if shape.kind == "section" and shape.model:
            yield from _rows(shape.model, path)
            continue
        words = info.description or ""
        default = "" if shape.secret else flow(_default(model, key))
        if info.examples and not shape.secret and (example := flow(info.examples[0])) != default:
            words += f" For example `{example}`."
        yield _row(path, words, default)
        if shape.kind == "list" and shape.model:
            yield from _rows(shape.model, f"{path}[]")
        if shape.kind == "map" and shape.model:
            yield from _rows(shape.model, f"{path}.<user>")


def _row(path: str, words: str, default: str) -> str:
    by_hand = path != "ui.password_hash" and any(
        path == one or path.startswith((f"{one}.", f"{one}[]")) for one in BY_HAND
    )
    hand = " ✎" if by_hand else ""
    told = f"`{default}`" if default not in {"", '""', "null"} else ""
    words = words.replace("|", "\\|")
    return f"| `{path}`{hand} | {told} | {words} |".replace("|  |", "| |")


def _default(model: type[BaseModel], key: str) -> object:
    return model.model_construct().model_dump(mode="json", by_alias=True).get(key, "")
