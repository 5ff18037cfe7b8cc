"""The images, built once for a run of the tests, and a world that is cleared away whatever happens."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon import __version__
from tests.e2e_engine.engine import ROOT, Ground, docker

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE, STANDINS = "photon-relay:e2e", "photon-relay-standins:e2e"


@pytest.fixture(scope="session")
def image() -> str:
    """Build the image of this working tree."""
    docker("build", "--quiet", "--tag", IMAGE, "--build-arg", f"VERSION={__version__}", str(ROOT), within=900)
    return IMAGE


@pytest.fixture(scope="session")
def standins(image: str) -> str:
    """Build the stand-ins out of it."""
    with tempfile.TemporaryDirectory() as context:
        tests = Path(context, "tests")
        for source in ("__init__.py", "uploads.py", "standins", "e2e_engine"):
            target = tests / source
            target.parent.mkdir(exist_ok=True)
            if source.endswith(".py"):
                shutil.copy(ROOT / "tests" / source, target)
            else:
                shutil.copytree(ROOT / "tests" / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "tests/docker/images/php", context)
        shutil.copy(ROOT / "tests/e2e_engine/images/Dockerfile", context)
        docker("build", "--quiet", "--tag", STANDINS, "--build-arg", f"IMAGE={image}", context)
    return STANDINS


@pytest.fixture
def ground(image: str, standins: str) -> Iterator[Ground]:
    """Give the folders of a Nextcloud and a PhotoPrism, as they are found on a home server."""
    folder = Path(tempfile.mkdtemp(prefix="photon-relay-e2e-"))
    folder.chmod(0o755)
    made = Ground(folder, image, standins)
    yield made
    made.clear()
