"""The arrows of the house, held by reading every import: who may know whom."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Small modules without knowledge of their own: everybody may use them, and they use only one another.
BASE = frozenset(
    f"daemon.{name}"
    for name in (
        *("errors", "clock", "text", "fingerprint", "wake", "pauses", "current", "issues", "events", "schedule"),
        *("__init__", "supervise", "elsewhere"),
    )
)
STEPS = frozenset(f"daemon.relay.{name}" for name in ("intake", "examine", "confirm", "release", "refresh", "restore"))
# What the lower layers are, each with what it may import besides the base.
PACKAGES = {
    "daemon.settings": {"daemon.files"},
    "daemon.ledger": set[str](),
    "daemon.files": set[str](),
    "daemon.docker": set[str](),
    "daemon.photoprism": set[str](),
    "daemon.nextcloud": {"daemon.docker", "daemon.settings"},
    "daemon.watch": {"daemon.nextcloud.homes", "daemon.files"},
    # The relay and the watch stand side by side: they share the words for what was found, and the rules about names.
    "daemon.relay": {
        *("daemon.nextcloud", "daemon.photoprism", "daemon.files", "daemon.ledger", "daemon.settings"),
        *("daemon.watch.media", "daemon.watch.model"),
    },
    "daemon.notify": {"daemon.settings", "daemon.ledger"},
}
FRONT = ("daemon.app", "daemon.__main__", "daemon.cli")
"""Those who may know the page."""


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports() -> dict[str, frozenset[str]]:
    """Give for every module of ours the modules of ours that it imports at run time, lazily ones included."""
    paths = [path for folder in ("daemon", "ui") for path in sorted((ROOT / folder).rglob("*.py"))]
    known = {module_of(path) for path in paths}
    found = {}
    for path in paths:
        names: set[str] = set()
        for node in ast.walk(_without_type_checking(ast.parse(path.read_text()))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
                names.add(node.module)
        ours = {_nearest(name, known) for name in names if name.split(".")[0] in {"daemon", "ui"}}
        found[module_of(path)] = frozenset(name for name in ours if name)
    return found


def _without_type_checking(tree: ast.Module) -> ast.Module:
    """Leave out what only the type checker reads: naming a type is no dependency on what it does."""

    class Drop(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            test = node.test
            named = isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"
            return None if named else self.generic_visit(node)

    return Drop().visit(tree)  # type: ignore[no-any-return]


def _nearest(name: str, known: set[str]) -> str:
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def package_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_there_is_something_to_look_at() -> None:
    assert "daemon.relay.pipeline" in imports()
    assert "daemon.relay.release" in imports()["daemon.app"]


def test_base_modules_use_only_one_another() -> None:
    for module in sorted(BASE & imports().keys()):
        allowed = BASE | {"daemon"} | ({"daemon.settings.values"} if module == "daemon.schedule" else set())
        assert imports()[module] <= allowed, f"{module} imports {sorted(imports()[module] - allowed)}"


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_go_one_way(package: str) -> None:
    allowed = PACKAGES[package] | {package}
    for module, used in imports().items():
        if module != package and not module.startswith(f"{package}."):
            continue
        wrong = {
            name
            for name in used - BASE - {"daemon"}
            if not any(name == one or name.startswith(f"{one}.") or one.startswith(f"{name}.") for one in allowed)
        }
        assert not wrong, f"{module} imports {sorted(wrong)}"


def test_files_know_no_ledger_and_the_ledger_no_files() -> None:
    for module, used in imports().items():
        if package_of(module) == "daemon.files":
            assert not [name for name in used if package_of(name) in {"daemon.ledger", "daemon.relay", "daemon.watch"}]
        if package_of(module) == "daemon.ledger":
            assert not [name for name in used if package_of(name) in {"daemon.files", "daemon.relay", "daemon.watch"}]


def test_steps_do_not_import_one_another() -> None:
    for step in STEPS:
        assert not (imports()[step] & STEPS), f"{step} imports {sorted(imports()[step] & STEPS)}"


def test_only_the_pipeline_knows_the_steps_and_only_the_app_builds_them() -> None:
    may = {
        *(
            "daemon.relay.pipeline",
            "daemon.relay.releases",
            "daemon.relay.refreshes",
            "daemon.app",
            "daemon.lifetime",
            "daemon.cli.run",
        ),
        *("daemon.service", "daemon.service.service"),
    }
    for module, used in imports().items():
        if module not in may and module not in STEPS:
            steps = {name for name in used if name in STEPS}
            assert not steps, f"{module} imports {sorted(steps)}"


def test_only_the_app_and_the_command_line_know_the_page() -> None:
    for module, used in imports().items():
        if not module.startswith("ui") and not module.startswith(FRONT):
            page = {name for name in used if name.split(".")[0] == "ui"}
            assert not page, f"{module} imports {sorted(page)}"


def test_the_page_sees_the_daemon_through_its_one_door() -> None:
    allowed = {"daemon", "daemon.service", "daemon.settings", "daemon.settings_file", "daemon.logs", *BASE}
    for module, used in imports().items():
        if module.startswith("ui"):
            wrong = {
                name
                for name in used
                if name.startswith("daemon")
                and name not in allowed
                and package_of(name) not in {"daemon.settings", "daemon.service"}
            }
            assert not wrong, f"{module} imports {sorted(wrong)}"


def test_only_the_ledger_speaks_sql() -> None:
    for path in sorted((ROOT / "daemon").rglob("*.py")):
        if "ledger" not in path.parts:
            used = {
                alias.name
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Import)
                for alias in node.names
            }
            assert "sqlite3" not in used, path


ROOMS = sorted({module_of(path) for folder in ("daemon", "ui") for path in (ROOT / folder).rglob("__init__.py")})


def _doorplate(room: str) -> set[str]:
    text = ast.get_docstring(ast.parse((ROOT / room.replace(".", "/") / "__init__.py").read_text())) or ""
    found = re.search(r"^Who may enter: ([\w, ]+)\.$", text, re.MULTILINE)
    assert found, f"{room}/__init__.py does not say who may enter"
    return {_named(name) for name in found[1].split(", ")}


def _named(name: str) -> str:
    """Give the module or room that a doorplate means by a short name."""
    full = (
        name if name == "ui" else next((f"{top}.{name}" for top in ("daemon", "ui") if _is_there(f"{top}.{name}")), "")
    )
    assert full, f"there is no {name}"
    return full


def _is_there(module: str) -> bool:
    return module in imports()


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in {"daemon", "ui.api.shapes"}])
def test_only_those_enter_a_room_whom_its_docstring_names(room: str) -> None:
    may = _doorplate(room)
    for module, used in imports().items():
        inside = module == room or module.startswith(f"{room}.")
        if not inside and any(name == room or name.startswith(f"{room}.") for name in used):
            assert {package_of(module), module.partition(".")[0]} & may, f"{module} enters {room}"


def test_nobody_imports_in_a_ring() -> None:
    graph = {module: {name for name in used if name != module} for module, used in imports().items()}
    # A package's own __init__ is imported with each of its modules; that is no ring of ours.
    packages = {module for module in graph if (ROOT / module.replace(".", "/") / "__init__.py").exists()}
    done: set[str] = set()
    path: list[str] = []

    def visit(module: str) -> None:
        if module in path:
            ring = " -> ".join([*path[path.index(module) :], module])
            raise AssertionError(f"a ring: {ring}")
        if module in done or module in packages:
            return
        path.append(module)
        for name in sorted(graph.get(module, ())):
            visit(name)
        path.pop()
        done.add(module)

    for module in sorted(graph):
        visit(module)


def test_what_is_asked_every_half_minute_imports_little() -> None:
    # HEALTHCHECK of both containers: with all libraries it costs a small machine two percent of its time.
    code = (
        "import sys, daemon.cli.main as main, daemon.cli.health, daemon.gate.place; main.parser(); "
        "print(*sorted({'aiodocker', 'aiohttp', 'pydantic', 'yaml', 'cryptography'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


CHOSEN = {
    "aiodocker": "aiodocker",
    "aiohttp": "aiohttp",
    "aiohttp-session": "aiohttp_session",
    "anyio": "anyio",
    "blake3": "blake3",
    "cryptography": "cryptography",
    "pyyaml": "yaml",
    "watchfiles": "watchfiles",
}
"""The libraries that the program's owner has chosen, each with the name under which it is imported."""


@pytest.mark.parametrize("library", CHOSEN)
def test_the_chosen_libraries_are_those_that_are_used(library: str) -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert any(re.match(rf"{library}[>=~\[]", one) for one in needed)
    wanted = re.compile(rf"^\s*(from|import) {CHOSEN[library]}\b", re.MULTILINE)
    assert any(wanted.search(path.read_text()) for room in ("daemon", "ui") for path in (ROOT / room).rglob("*.py"))
