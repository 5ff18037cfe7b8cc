"""Writes the default file and the schema anew, after the settings' description has changed."""

import json
from pathlib import Path

from daemon.settings import default_file, json_schema

if __name__ == "__main__":
    folder = Path(__file__).parents[2] / "config"
    (folder / "photon-relay.yaml").write_text(default_file(), encoding="utf-8")
    schema = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    (folder / "photon-relay.schema.json").write_text(schema + "\n", encoding="utf-8")
