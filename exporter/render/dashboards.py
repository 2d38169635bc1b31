"""dashboards/views/*.yaml + the catalogue -> dashboards/*.json, in the classic form that Grafana 10 to 13 read."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from exporter.catalogue.kpi import BASES, Kpi
from exporter.render import panels
from exporter.render.panels import DATASOURCE, Panel
from exporter.render.rules import RUNBOOK_URL
from exporter.render.view import PanelRow, Shown, View, Written

COLUMNS = 24
LINK = (
    "/d/{uid}?${{datasource:queryparam}}&${{job:queryparam}}&${{window:queryparam}}&${{basis:queryparam}}"
    "&var-team={team}&${{__url_time_range}}"
)


def dashboard(written: View, kpis: Mapping[str, Kpi], *, windows: tuple[str, ...], runbook: str = RUNBOOK_URL) -> str:
    """The text of a dashboard's JSON file."""
    placed: list[Panel] = []
    top, ids = 0, iter(range(1, 1000))
    for row in written.rows:
        heading = {"id": next(ids), "type": "row", "title": row.title, "collapsed": row.closed, "panels": []}
        placed.append(heading | {"gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top}})
        row_panels, bottom = laid_out(row, top + 1, written.uid, kpis, runbook)
        row_panels = [{"id": next(ids)} | panel for panel in row_panels]
        if row.closed:
            placed[-1]["panels"] = row_panels
            top += 1
        else:
            placed += row_panels
            top = bottom
    return json.dumps(frame(written, windows) | {"panels": placed}, indent=1, sort_keys=True) + "\n"


def laid_out(row: PanelRow, top: int, uid: str, kpis: Mapping[str, Kpi], runbook: str) -> tuple[list[Panel], int]:
    """The panels of a row from left to right, line by line; and where the next row begins."""
    placed: list[Panel] = []
    x = height = 0
    for shown in row.panels:
        if x + shown.width > COLUMNS:
            top, x, height = top + height, 0, 0
        where = {"h": shown.height, "w": shown.width, "x": x, "y": top}
        placed.append(panel_of(shown, uid, kpis, runbook) | {"gridPos": where})
        x, height = x + shown.width, max(height, shown.height)
    return placed, top + height


def panel_of(shown: Shown, uid: str, kpis: Mapping[str, Kpi], runbook: str) -> Panel:
    """What a place on a view shows."""
    link = LINK.format(uid=uid, team="${__data.fields.Team}")
    of_one: Mapping[str, Callable[[Kpi], Panel]] = {
        "headline": lambda kpi: panels.headline(kpi, kpis, runbook),
        "trend": panels.trend,
        "spread": panels.spread,
        "segments": panels.segments,
    }
    for form, make in of_one.items():
        name = getattr(shown, form)
        if name:
            return make(kpis[name])
    if shown.by_team:
        return panels.by_team([kpis[name] for name in shown.by_team], link)
    if shown.panel:
        return written_panel(shown.panel)
    return panels.breaches(kpis, link)


def written_panel(written: Written) -> Panel:
    """A panel as the view spells it out."""
    tabular = written.type == "table"
    targets = [
        panels.target(query.expr, query.legend, i, instant=written.type != "timeseries", table=tabular)
        for i, query in enumerate(written.queries)
    ]
    common = {"unit": written.unit, "noValue": written.no_value}
    if tabular:
        made = panels.table(written.title, written.description, targets, written.columns, **common)
    elif written.type == "stat":
        made = panels.stat(written.title, written.description, targets, **common, thresholds=steps(written.alarm_above))
    else:
        made = panels.timeseries(written.title, written.description, targets, **common)
    made["fieldConfig"]["overrides"] = [
        *(
            panels.of_query(i, query.unit, dashed=query.dashed)
            for i, query in enumerate(written.queries)
            if query.unit or query.dashed
        ),
        *(panels.override(name, unit=unit) for name, unit in written.units.items()),
        *(panels.override(name, mappings=[texts(given)]) for name, given in written.texts.items()),
    ]
    return made


def steps(alarm_above: float | None) -> Panel:
    """Blue, and orange above a limit."""
    above = [] if alarm_above is None else [{"color": panels.ORANGE, "value": alarm_above}]
    return {"mode": "absolute", "steps": [{"color": panels.BLUE, "value": None}, *above]}


def texts(words: Mapping[str, str]) -> Panel:
    """Words in place of numbers."""
    return {
        "type": "value",
        "options": {number: {"text": text, "index": i} for i, (number, text) in enumerate(words.items())},
    }


def frame(written: View, windows: tuple[str, ...]) -> Panel:
    """Everything of a dashboard but its panels."""
    alerts = 'ALERTS{alertname=~"Outcome.+", alertstate="firing", job=~"$job", team=~"$team|"}'
    built_in = {"type": "grafana", "uid": "-- Grafana --"}
    return {
        "id": None,
        "uid": written.uid,
        "title": written.title,
        "description": written.description,
        "tags": ["outcome"],
        "editable": False,
        "schemaVersion": 42,
        "refresh": "5m",
        "timezone": "browser",
        "graphTooltip": 1,
        "time": {"from": "now-30d", "to": "now"},
        "links": [
            {
                "type": "dashboards",
                "title": "Outcome dashboards",
                "tags": ["outcome"],
                "asDropdown": True,
                "icon": "external link",
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
                "tooltip": "",
                "url": "",
            }
        ],
        "annotations": {
            "list": [
                {
                    "builtIn": 1,
                    "datasource": built_in,
                    "enable": True,
                    "hide": True,
                    "name": "Annotations & Alerts",
                    "iconColor": "rgba(0, 211, 255, 1)",
                    "type": "dashboard",
                },
                {
                    "datasource": DATASOURCE,
                    "enable": True,
                    "iconColor": panels.ORANGE,
                    "name": "Alerts",
                    "expr": alerts,
                    "step": "5m",
                    "titleFormat": "{{alertname}}",
                    "tagKeys": "team,severity",
                },
            ]
        },
        "templating": {"list": variables(windows) + (of_any_kpi() if written.any_kpi else [])},
    }


def variables(windows: tuple[str, ...]) -> list[Panel]:
    """Data source, job, team, window, basis."""

    def asked(name: str, query: str) -> Panel:
        return {
            "type": "query",
            "name": name,
            "label": name.title(),
            "datasource": DATASOURCE,
            "query": query,
            "definition": query,
            "refresh": 2,
            "includeAll": True,
            "multi": True,
            "allValue": ".+",
            "sort": 1,
            "current": {"text": ["All"], "value": ["$__all"]},
        }

    figures = '{__name__=~"outcome_(.+_denominator|backlog|requests|incidents)", job=~"$job"}'

    def chosen(name: str, values: Sequence[str], first: str) -> Panel:
        return {
            "type": "custom",
            "name": name,
            "label": name.title(),
            "query": ",".join(values),
            "current": {"text": first, "value": first},
            "options": [{"text": value, "value": value, "selected": value == first} for value in values],
        }

    return [
        {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus"},
        asked("job", "label_values(outcome_exporter_build_info, job)"),
        asked("team", f"label_values({figures}, team)"),
        chosen("window", windows, "7d" if "7d" in windows else windows[0]),
        chosen("basis", BASES, BASES[0]),
    ]


def of_any_kpi() -> list[Panel]:
    """The KPI that is shown; and, out of sight, the stem of its series, which leaves out the _ratio of its name."""
    query = 'label_values(outcome_kpi_info{job=~"$job"}, kpi)'
    common = {"type": "query", "datasource": DATASOURCE, "refresh": 2, "includeAll": False, "multi": False, "sort": 1}
    of_it = 'label_values(outcome_kpi_info{job=~"$job", kpi="$kpi"}, kpi)'
    return [
        common | {"name": "kpi", "label": "KPI", "query": query, "definition": query},
        common | {"name": "stem", "query": of_it, "definition": of_it, "hide": 2, "regex": "/^(.+?)(?:_ratio)?$/"},
    ]


def queries(shown: Mapping[str, Any], variables: Mapping[str, str]) -> list[tuple[str, str]]:
    """(panel title, PromQL) of every query of a dashboard, `$name`, `${name}` and `${name:format}` replaced."""
    known = {"__rate_interval": "5m", "__interval": "1m", "__range": "30d"} | dict(variables)

    def filled(expr: str) -> str:
        return re.sub(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))", lambda match: known[match[1] or match[2]], expr)

    return [(panel["title"], filled(target["expr"])) for panel in every_panel(shown) for target in panel["targets"]]


def every_panel(shown: Mapping[str, Any]) -> Iterator[Panel]:
    """All panels with queries, those in closed rows too."""
    for panel in shown["panels"]:
        yield from (every_panel(panel) if panel["type"] == "row" else (panel,))
