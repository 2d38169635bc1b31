"""Ranks and doors: a module imports only what stands below it, and each outside thing has its doors."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "exporter"

FLOORS = (
    "failure decode",
    "unreadable",
    "records stats strict opening duration pattern logs negotiation store.fault",
    "client column expression kpi figure health store "
    "server.listen server.page server.gate server.places server.turns server.reach config.secret config.shape",
    "segments connectors plan retention formula config.section demo.fakes",
    "business trust derive derivation",
    "prepare",
    "loss",
    "source evaluate publish otlp definition merge",
    "breach freshness",
    "baseline config.comparison fold",
    "fixed",
    "past poll series fact config.credential config.calendar config.setting server",
    "config.entry config.definition report history question",
    "config probe screen explain comparison backfill forecast",
    "figures guide render demo",
    "app",
    "argument answer",
    "__main__",
)
"""From the ground up. A folder stands where its name does, unless one of its modules is named."""

DOORS = {
    "aiohttp": "client server demo",
    "duckdb": "store prepare business connectors.files_parquet",
    "prometheus_client": "publish health demo",
    "opentelemetry": "otlp",
    "google": "otlp",
    "requests": "otlp",
    "yaml": "strict render demo",
    "jinja2": "server.page",
    "pydantic": "kpi config server.gate column connectors render",
    "sqlglot": "expression",
    "holidays": "opening config.calendar",
    "click": "__main__ argument",
}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "exporter"


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, ours without the leading `exporter.`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            ours = node.module == "exporter" or node.module.startswith("exporter.")
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [
                name for name in names if ours and (ROOT.parent / name.replace(".", "/")).with_suffix(".py").exists()
            ]
            folders = [name for name in names if ours and (ROOT.parent / name.replace(".", "/")).is_dir()]
            yield from (name.removeprefix("exporter.") for name in (modules + folders or [node.module]))


def floor(module: str) -> int | None:
    """The floor of a module: its own, or its folder's."""
    floors = {name: i for i, names in enumerate(FLOORS) for name in names.split()}
    parts = module.split(".")
    return next((floors[key] for n in range(len(parts), 0, -1) if (key := ".".join(parts[:n])) in floors), None)


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_imports_only_what_stands_below_it(path: Path) -> None:
    name = name_of(path)
    here = floor(name)
    assert here is not None or name == "exporter"

    above = [
        module
        for module in imported(path)
        if here is not None
        and (there := floor(module)) is not None
        and (there > here or (there == here and module.split(".")[0] != name.split(".")[0]))
    ]

    assert above == []


@pytest.mark.parametrize("package", DOORS)
def test_an_outside_thing_has_its_doors(package: str) -> None:
    users = {name_of(path) for path in FILES if any(module.split(".")[0] == package for module in imported(path))}
    allowed = tuple(DOORS[package].split())

    assert users
    assert set() == {user for user in users if not any(user == door or user.startswith(f"{door}.") for door in allowed)}


SHARED = {"contract", "details", "recent"}
"""Modules beside the connectors that are none."""


def test_connectors_do_not_know_each_other() -> None:
    modules = [path for path in FILES if path.parent.name == "connectors" and path.name != "__init__.py"]
    stems = {path.stem for path in modules} - SHARED
    platforms = {stem for stem in stems if not any(stem.startswith(f"{other}_") for other in stems)}

    for path in modules:
        others = {
            module.removeprefix("connectors.") for module in imported(path) if module.startswith("connectors.")
        } - SHARED
        own = next((platform for platform in platforms if path.stem.startswith(platform)), "")
        assert {other for other in others if not other.startswith(own)} == set()


def test_the_clock_is_read_in_one_place() -> None:
    readers = {
        name_of(path) for path in FILES if "datetime.now(" in path.read_text() or "time.time(" in path.read_text()
    }

    assert readers == {"app"}
