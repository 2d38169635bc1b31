"""What the command line loads before it answers: counted, because how long it takes is the machine's affair."""

import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """
store: {path: store.duckdb}
sources: [{name: meetings, type: files, record: booking, path: "*.jsonl"}]
"""
SMALL = {"exporter", "exporter.base", "exporter.base.clock", "exporter.base.defaults", "exporter.base.duration"} | {
    "exporter.cli",
    "exporter.cli.command",
    "exporter.cli.complete",
    "exporter.cli.commands",
    "exporter.cli.config",
    "exporter.cli.end",
    "exporter.cli.types",
}
"""What any help may load, besides the modules of the commands themselves."""


def loaded(folder: Path, *arguments: str) -> set[str]:
    """The modules that a command loads."""
    command = [sys.executable, "-X", "importtime", "-m", "exporter", *arguments]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    lines = [line for line in ended.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines[1:]}  # below the heading


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("run", "--help"), ("explain", "--help")])
def test_help_loads_the_command_line_and_nothing_else(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    found = loaded(tmp_path, *arguments)

    ours = {name for name in found if name.startswith("exporter")}
    assert {name for name in ours if not name.startswith("exporter.cli.commands.")} <= SMALL
    packages = {name.partition(".")[0] for name in found if name[:1] != "_"} - sys.stdlib_module_names
    assert packages - {"sitecustomize", "distutils-precedence"} == {"exporter", "click"}


def test_a_check_loads_neither_the_server_nor_what_polls_or_pushes(tmp_path: Path) -> None:
    (tmp_path / "outcome.yaml").write_text(CONFIG)

    found = loaded(tmp_path, "check", "--config.file", "outcome.yaml")

    assert "exporter.cli.expected" in found
    waiting = {"aiohttp", "asyncio", "requests", "stamina", "exporter.collect.poll", "exporter.server"}
    publishing = {"jinja2", "opentelemetry", "prometheus_client", "rich", "exporter.publish.otlp"}
    assert found & {*waiting, *publishing, "duckdb", "sqlglot"} == set()
