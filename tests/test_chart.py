"""The Helm chart, as far as it can be read without helm; tests/delivery renders it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from exporter import __version__

ROOT = Path(__file__).parents[1]
CHART = ROOT / "deploy/helm/outcome-exporter"
FREE = {
    "config", "affinity", "nodeSelector", "livenessProbe", "readinessProbe", "resources", "podSecurityContext",
    "securityContext", "podDisruptionBudget", "labels", "annotations", "instanceSelector",
}  # fmt: skip
"""Values that are passed on as they are."""


def leaves(values: Any, above: str = "") -> Iterator[str]:
    """The path of every single value."""
    for key, value in values.items():
        path = f"{above}.{key}".removeprefix(".")
        if isinstance(value, dict) and value and key not in FREE:
            yield from leaves(value, path)
        else:
            yield path


def named(schema: Any, above: str = "") -> Iterator[str]:
    """The same of a schema."""
    for key, each in schema["properties"].items():
        path = f"{above}.{key}".removeprefix(".")
        if each.get("properties") and key not in FREE:
            yield from named(each, path)
        else:
            yield path


def test_rules_and_dashboards_in_the_chart_are_links_to_the_only_copy() -> None:
    assert (CHART / "files/alerts").is_symlink()
    assert (CHART / "files/alerts").resolve() == ROOT / "alerts"
    assert (CHART / "files/dashboards").is_symlink()
    assert (CHART / "files/dashboards").resolve() == ROOT / "dashboards"


def test_the_chart_has_the_version_of_the_program() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_every_value_has_a_default_and_is_in_the_schema() -> None:
    values = set(leaves(yaml.safe_load((CHART / "values.yaml").read_text())))
    schema = set(named(json.loads((CHART / "values.schema.json").read_text()))) - {"global"}

    assert len(values) > 60
    assert values == schema


def test_templates_ask_for_values_that_there_are_and_every_value_is_asked_for() -> None:
    values = set(leaves(yaml.safe_load((CHART / "values.yaml").read_text())))
    text = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    used = set(re.findall(r"\.Values\.([\w.]+)", text))
    words = set(re.findall(r"\.(\w+)", text))

    assert {path for path in used if not any((f"{value}.").startswith(f"{path}.") for value in values)} - {
        "config.sources", "podDisruptionBudget.minAvailable",
    } == set()  # fmt: skip
    assert {value for value in values if value.rpartition(".")[2] not in words} - {
        f"prometheusRule.files.{name}" for name in ("kpi", "comparison", "exporter")
    } == set()


def test_no_credential_can_be_written_into_values() -> None:
    text = (CHART / "values.yaml").read_text() + "".join(p.read_text() for p in (CHART / "templates").iterdir())

    assert "kind: Secret\n" not in text
    assert re.findall(r"(?i)^\s*(?:password|token|api_key):", text, flags=re.MULTILINE) == []
