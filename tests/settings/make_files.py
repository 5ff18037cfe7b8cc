"""Writes what is made from the settings' description: the default file, its schema, docs/settings.md, a table."""

from pathlib import Path

from daemon.settings import default_file
from daemon.settings.beside import schema_text
from tests.docs import settings_page

if __name__ == "__main__":
    folder = Path(__file__).parents[2] / "config"
    (folder / "photon-relay.yaml").write_text(default_file(), encoding="utf-8")
    (folder / "photon-relay.schema.json").write_text(schema_text(), encoding="utf-8")
    settings_page.FILE.write_text(settings_page.page(), encoding="utf-8")
    settings_page.README.write_text(settings_page.readme(), encoding="utf-8")
