"""The JSON schema (draft 2020-12) of the configuration file, for editors and for the page's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.settings.base import keyed
from daemon.settings.fields import shape_of
from daemon.settings.model import Settings
from daemon.settings.overlay import SUFFIX

if TYPE_CHECKING:
    from pydantic import BaseModel

TITLE = "Photon Relay"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Give the schema, made from the settings' own description.

    Defaults stand in it as they would in the file. Beside each single value there is its ``…_file``.
    """
    made = Settings.model_json_schema(by_alias=True, mode="validation")
    definitions = made.pop("$defs")
    for name, schema in definitions.items():
        _finish(schema, _models(Settings)[name])
    _finish(made, Settings)
    # `alice:` with nothing behind it is how people write it.
    included = definitions["Users"]["properties"]["include"]
    included["additionalProperties"] = {"anyOf": [included["additionalProperties"], {"type": "null"}]}
    return {"$schema": DIALECT, "title": TITLE, **made, "$defs": definitions}


def _models(root: type[BaseModel]) -> dict[str, type[BaseModel]]:
    found = {root.__name__: root}
    for info in root.model_fields.values():
        if model := shape_of(info).model:
            found |= _models(model)
    return found


def _finish(schema: dict[str, Any], model: type[BaseModel]) -> None:
    schema.pop("title", None)
    # The class's docstring is for programmers; what people read is the description of the key.
    schema.pop("description", None)
    defaults = model.model_construct().model_dump(mode="json", by_alias=True)
    properties: dict[str, Any] = {}
    for key, value in schema["properties"].items():
        value.pop("title", None)
        info = keyed(model)[key]
        # Where it equals the class's docstring pydantic leaves it out.
        value["description"] = info.description
        if shape_of(info).kind == "section":
            value.pop("default", None)
        elif "default" in value:
            value["default"] = defaults.get(key, "")
        if value.get("default", "") is None:
            del value["default"]
        properties[key] = value
        if shape_of(info).kind in {"text", "scalar"}:
            properties[key + SUFFIX] = {
                "description": f"A file that holds the value of `{key}`, relative to this file.",
                "type": "string",
            }
    schema["properties"] = properties
