"""Which configuration file is meant; a module of its own, since those that read one take long to import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def default_config_path(environ: Mapping[str, str]) -> Path:
    """Tell which file is meant where none is named: ``$PHOTON_RELAY_CONFIG``, else ``/config``'s, else the one here."""
    if named := environ.get("PHOTON_RELAY_CONFIG"):
        return Path(named)
    mounted = Path("/config/photon-relay.yaml")
    return mounted if mounted.exists() else Path("config/photon-relay.yaml")
