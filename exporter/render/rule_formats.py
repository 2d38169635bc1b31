"""Rules of Prometheus in the forms that others load: the Prometheus Operator, and Grafana's own alerting."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from exporter.render.rules import RulesDumper

Group = Mapping[str, Any]
FOLDER = "Outcome"
DATA_SOURCE = "prometheus"
"""The uid of the data source in Grafana, as deploy/compose provisions it."""
LONGEST_UID = 40
WITH = r"\{\{ with query \(printf `%s.*?\{\{ end \}\}"
ASKED = re.compile(
    "|".join(
        (
            WITH % "ALERTS_FOR_STATE",
            rf"; on this weekday {WITH % ''} is usual",
            rf" \({WITH % ''} records[^)]*\)",
            rf"(?: above| below)? {WITH % ''}[^.{{]*(?:\{{\{{ \$labels\.currency \}}\}})?",
        )
    )
)
"""What a description asks Prometheus for: since when, what is usual, how many records, and the threshold."""


def formatted(text: str, form: str) -> tuple[str, str]:
    """(name of the file, its text) of rules of Prometheus in another form: prometheus, prometheusrule or grafana."""
    groups: Sequence[Group] = yaml.safe_load(text)["groups"]
    if form == "prometheusrule":
        return "kpi.prometheusrule.yaml", dumped(operator(groups))
    if form == "grafana":
        return "kpi.grafana.yaml", dumped(grafana(groups))
    return "kpi.rules.yaml", text


def dumped(content: Mapping[str, Any]) -> str:
    """As the other rule files are written."""
    return yaml.dump(content, Dumper=RulesDumper, sort_keys=False, allow_unicode=True, width=1000)


def operator(groups: Sequence[Group]) -> dict[str, Any]:
    """An object for the Prometheus Operator."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "outcome-exporter-kpis", "labels": {"app.kubernetes.io/name": "outcome-exporter"}},
        "spec": {"groups": [dict(group) for group in groups]},
    }


def grafana(groups: Sequence[Group]) -> dict[str, Any]:
    """A file for Grafana's provisioning/alerting: the alerts alone. Prometheus has to load the recording rules."""
    return {
        "apiVersion": 1,
        "groups": [
            {"orgId": 1, "name": group["name"], "folder": FOLDER, "interval": group["interval"], "rules": [*rules]}
            for group in groups
            if (rules := list(alerts(group)))
        ],
    }


def alerts(group: Group) -> Iterator[dict[str, Any]]:
    """The alerts of a group, each with its whole comparison in one query."""
    for rule in group["rules"]:
        if "alert" not in rule:
            continue
        model = {"refId": "A", "expr": rule["expr"], "instant": True, "range": False}
        above = {"evaluator": {"type": "gt", "params": [0]}}
        yield {
            "uid": hashlib.sha256(rule["alert"].encode()).hexdigest()[:LONGEST_UID],
            "title": rule["alert"],
            "condition": "C",
            "data": [
                query("A", DATA_SOURCE, model),
                # A value of 0 or below is a breach too: what counts is that there is one.
                query("B", "__expr__", {"refId": "B", "type": "math", "expression": "$A*0+1"}),
                query("C", "__expr__", {"refId": "C", "type": "threshold", "expression": "B", "conditions": [above]}),
            ],
            "noDataState": "OK",
            "execErrState": "Error",
            "for": rule.get("for", "0s"),
            "labels": rule["labels"],
            "annotations": {
                name: in_grafana(text)
                for name, text in rule["annotations"].items()
                if name != "explain_url" or "query (" not in text
            },
            "isPaused": False,
        }


def query(name: str, source: str, model: Mapping[str, Any]) -> dict[str, Any]:
    """One step of an alert."""
    return {"refId": name, "relativeTimeRange": {"from": 600, "to": 0}, "datasourceUid": source, "model": dict(model)}


def in_grafana(text: str) -> str:
    """A template of Prometheus as Grafana reads it: `$value` is a text there, and nothing can be asked.

    Grafana fills in the text also while nothing is wrong: then there is no value, and formatting it would be an error.
    """
    text = ASKED.sub("", text)
    shown = r"{{ if $values.A.Labels }}{{ $values.A.Value\1 }}{{ end }}"
    return re.sub(r"\{\{ \$value( \| \w+)? \}\}", shown, text)
