"""Ranks and doors: a module imports only what stands below it, and each outside thing has its doors."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "exporter"

FLOORS = (
    "base",
    "records",
    "store catalogue",
    "collect evaluation",
    "connectors baselines",
    "insight",
    "publish",
    "render scaffold",
    "config proposal",
    "explain",
    "runtime server demo",
    "report",
    "answers",
    "app",
    "cli",
    "__main__",
)
"""From the ground up. A package imports only from packages below it; inside one, modules import each other as they like
but never in a circle."""

DOORS = {
    "aiohttp": "collect.http collect.wire server demo",
    "duckdb": "store evaluation connectors.files.parquet_file",
    "prometheus_client": "publish.exposition publish.lines collect.selfmetrics collect.source_metrics "
    "collect.receive_metrics demo",
    "opentelemetry": "publish.otlp connectors.otlp.span",
    "google": "publish.otlp connectors.otlp.span",
    "requests": "publish.otlp",
    "yaml": "base.strict_yaml render demo",
    "jinja2": "server.page scaffold",
    "pydantic": "catalogue.kpi config server.gate records.columns connectors render",
    "sqlglot": "catalogue.expression_tree",
    "holidays": "evaluation.calendar config.calendar",
    "jmespath": "collect.path",
    "jwt": "collect.auth",
    "click": "__main__ cli",
}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "exporter"


@cache
def imported(path: Path) -> tuple[str, ...]:
    """Every module that a file imports, ours without the leading `exporter.`."""
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
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


def test_no_module_imports_itself_by_way_of_others() -> None:
    known = {name_of(path): path for path in FILES}
    waits_for = {name: {each for each in imported(path) if each in known} for name, path in known.items()}

    assert len(waits_for) > 100
    TopologicalSorter(waits_for).prepare()  # raises CycleError, which names the circle


def test_connectors_do_not_know_each_other() -> None:
    modules = [path for path in FILES if "connectors" in path.parts and path.parent.name != "connectors"]

    assert len(modules) >= 8
    for path in modules:
        others = {module for module in imported(path) if module.startswith("connectors.")}
        assert {other for other in others if other.split(".")[1] != path.parent.name} == set()


def test_the_clock_is_read_in_one_place() -> None:
    readers = {
        name_of(path) for path in FILES if "datetime.now(" in path.read_text() or "time.time(" in path.read_text()
    }

    assert readers == {"base.clock"}
