"""The jsonnet mixin: the same rules and dashboards, with the links and the job of whoever imports it."""

import json
from typing import Any

import pytest
import yaml

from tests.delivery.tools import ROOT, asked, run, tool

pytestmark = [asked, pytest.mark.real]
OWN = "{_config+:: {job: 'outcomes', grafana: 'https://grafana.example.org'}}"


def made(field: str) -> Any:
    mixin = ROOT / "deploy/mixin/mixin.libsonnet"
    return json.loads(run(tool("jsonnet"), "-e", f"((import '{mixin}') + {OWN}).{field}"))


def test_alerts_and_recording_rules_are_those_of_the_files() -> None:
    text = "".join(path.read_text() for path in sorted((ROOT / "alerts").glob("*.yaml")))
    groups = [
        group for path in (ROOT / "alerts").glob("*.yaml") for group in yaml.safe_load(path.read_text())["groups"]
    ]
    rules = [rule for group in groups for rule in group["rules"]]
    alerts = [rule for group in made("prometheusAlerts")["groups"] for rule in group["rules"]]
    records = [rule for group in made("prometheusRules")["groups"] for rule in group["rules"]]

    assert sorted(rule["alert"] for rule in alerts) == sorted(rule["alert"] for rule in rules if "alert" in rule)
    assert sorted(rule["record"] for rule in records) == sorted(rule["record"] for rule in rules if "record" in rule)
    assert 'job="outcome-exporter"' in text
    assert 'job="outcome-exporter"' not in json.dumps(alerts).replace('\\"', '"')


def test_every_dashboard_is_there_with_the_links_asked_for() -> None:
    boards = made("grafanaDashboards")

    assert sorted(boards) == sorted(path.name for path in (ROOT / "dashboards").glob("*.json"))
    assert "grafana.example.com" not in json.dumps(boards)
