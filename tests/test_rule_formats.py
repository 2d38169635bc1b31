"""Rules in the forms of the Prometheus Operator and of Grafana."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.render.rule_formats import formatted

TEXT = (Path(__file__).parents[1] / "alerts/kpi.rules.yaml").read_text()
GROUPS = yaml.load(TEXT, Loader=yaml.CSafeLoader)["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}


def made(form: str) -> Any:
    return yaml.load(formatted(TEXT, form)[1], Loader=yaml.CSafeLoader)


def test_an_object_of_the_operator_has_the_same_groups() -> None:
    found = made("prometheusrule")

    assert (found["kind"], found["apiVersion"]) == ("PrometheusRule", "monitoring.coreos.com/v1")
    assert found["spec"]["groups"] == GROUPS


def test_grafana_gets_every_alert_with_the_same_comparison_wait_and_labels() -> None:
    rules = {rule["title"]: rule for group in made("grafana")["groups"] for rule in group["rules"]}

    assert {name: rule["data"][0]["model"]["expr"] for name, rule in rules.items()} == {
        name: rule["expr"] for name, rule in ALERTS.items()
    }
    assert {name: (rule["for"], rule["labels"]) for name, rule in rules.items()} == {
        name: (rule["for"], rule["labels"]) for name, rule in ALERTS.items()
    }
    assert len({rule["uid"] for rule in rules.values()}) == len(ALERTS)
    assert max(len(rule["uid"]) for rule in rules.values()) <= 40


def test_templates_for_grafana_ask_prometheus_for_nothing() -> None:
    rules = {rule["title"]: rule for group in made("grafana")["groups"] for rule in group["rules"]}
    texts = [text for rule in rules.values() for text in rule["annotations"].values()]

    assert [text for text in texts if "query (" in text or "$value " in text or "ALERTS" in text] == []
    assert rules["OutcomeNoShowRateHigh"]["annotations"]["description"].startswith(
        "No-show rate of team {{ $labels.team }} is "
        "{{ if $values.A.Labels }}{{ $values.A.Value | humanizePercentage }}{{ end }} over "
        "{{ $labels.window }}; {{ $labels.severity }}. Look first"
    )
    assert (
        "}} requests over {{ $labels.window }}; {{ $labels.severity }}. Look first"
        in (rules["OutcomeChangeOfTheBacklogHigh"]["annotations"]["description"])
    )


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("prometheus", "kpi.rules.yaml"),
        ("prometheusrule", "kpi.prometheusrule.yaml"),
        ("grafana", "kpi.grafana.yaml"),
    ],
)
def test_each_form_has_its_file(form: str, name: str) -> None:
    assert formatted(TEXT, form)[0] == name
