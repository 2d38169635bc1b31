"""Everything of a dashboard but its panels: variables, links, annotations."""

from collections.abc import Iterator, Mapping, Sequence

from exporter.catalogue.kpi import BASELINES, BASES, Kpi
from exporter.records.labels import LABEL_NAMES
from exporter.render import panels
from exporter.render.figures import JOB, Figure
from exporter.render.panels import DATASOURCE, Panel
from exporter.render.view import View

EXPLAIN_URL = "http://localhost:10042"
"""The exporter as people reach it on one machine; `render --explain-url` sets another one, and so does the view."""


def frame(written: View, kpis: Mapping[str, Kpi], windows: tuple[str, ...], explain: str) -> Panel:
    """A dashboard without its panels."""
    # One region for a KPI, and only of what is critical, or the worst incident would hide its own line.
    alerts = (
        f'max by (alertname, kpi) (ALERTS{{alertstate="firing", severity="critical", kpi!="", {JOB}, team=~"$team|"}})'
    )
    built_in = {"type": "grafana", "uid": "-- Grafana --"}
    return {
        "id": None,
        "uid": written.uid,
        "title": written.title,
        "description": written.description,
        "tags": ["outcome"],
        "editable": False,
        "schemaVersion": 39,
        "refresh": "5m",
        "timezone": "browser",
        "graphTooltip": 1,
        "time": {"from": f"now-{written.range}", "to": "now"},
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
                    "enable": False,
                    "iconColor": panels.ORANGE,
                    "name": "Alerts",
                    "expr": alerts,
                    "step": "5m",
                    "titleFormat": "{{alertname}}",
                    "tagKeys": "kpi",
                },
                {
                    "datasource": DATASOURCE,
                    "enable": True,
                    "hide": True,
                    "iconColor": panels.BLUE,
                    "name": "Interventions",
                    "expr": f"max by (intervention, place) (outcome_intervention_timestamp_seconds{{{JOB}}}) * 1000",
                    "step": "1h",
                    "titleFormat": "{{intervention}}",
                    "textFormat": "{{place}}",
                    "tagKeys": "",
                    "useValueForTime": True,
                },
            ]
        },
        "templating": {"list": list(variables(written, kpis, windows, explain))},
    }


def variables(written: View, kpis: Mapping[str, Kpi], windows: tuple[str, ...], explain: str) -> Iterator[Panel]:
    """Data source, job, window, team, the view's own segment, basis, currency, where explanations are."""
    default = {"text": "default", "value": "default"}
    yield {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "current": default,
    }
    yield several("job", "Job", "label_values(outcome_exporter_build_info, job)")
    yield chosen("window", "Window", windows, written.window if written.window in windows else windows[0])
    figures = f'{{__name__=~"outcome_(.+_denominator|backlog|requests|incidents|runs)", {JOB}}}'
    yield several("team", "Team", f"label_values({figures}, team)")
    if written.segment:
        labels = "|".join(LABEL_NAMES.get(label, label) for label in written.segment)
        yield one("split", "label_names()", label="By", regex=f"/^({labels})$/")
        yield several("segment", "Segment", f"label_values({figures}, $split)")
    shown = [Figure(kpis[name], kpis) for name in written.kpis]
    yield chosen("basis", "Basis", BASES, BASES[0]) | hidden(not any(each.kpi.business for each in shown))
    if any(shown.compared for row in written.rows for shown in row.panels):
        yield chosen("baseline", "Compared with", [name for name in BASELINES if name != "weekday_median"], "previous")
    prices = f'label_values({{__name__=~"outcome_(spend|automation_spend|value)", {JOB}}}, currency)'
    yield one("currency", prices) | hidden(not any(each.monetary for each in shown))
    yield from of_any_kpi(kpis.get(written.any_kpi) or next(iter(kpis.values()))) if written.any_kpi else ()
    url = explain or EXPLAIN_URL
    yield {
        "type": "textbox",
        "name": "explain",
        "label": "Explain",
        "query": url,
        "current": {"text": url, "value": url},
        "options": [{"text": url, "value": url, "selected": True}],
    }


def hidden(out_of_sight: bool) -> Panel:
    """A variable that queries need and nobody chooses."""
    return {"hide": 2} if out_of_sight else {}


def several(name: str, label: str, query: str) -> Panel:
    """A variable with what there is to choose from, as many as one likes."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": DATASOURCE,
        "query": query,
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".+",
        "sort": 1,
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def one(name: str, query: str, **more: object) -> Panel:
    """A variable of which exactly one value holds."""
    common = {"type": "query", "datasource": DATASOURCE, "refresh": 2, "includeAll": False, "multi": False, "sort": 1}
    return common | {"name": name, "label": name.capitalize(), "query": query} | more


def chosen(name: str, label: str, values: Sequence[str], first: str) -> Panel:
    """A variable with given values."""
    return {
        "type": "custom",
        "name": name,
        "label": label,
        "query": ",".join(values),
        "current": {"text": first, "value": first},
        "options": [{"text": value, "value": value, "selected": value == first} for value in values],
    }


def of_any_kpi(first: Kpi) -> Iterator[Panel]:
    """The KPI that is shown; and, out of sight, the stem of its series, which leaves out the _ratio of its name."""
    # A sample a day is enough, as a history may be coarse.
    names = f"max by (kpi, title) (last_over_time(outcome_kpi_info{{{JOB}}}[1d]))"
    shown = {"text": first.title, "value": first.name}
    regex = '/kpi="(?<value>[^"]+)", *title="(?<text>[^"]+)"/'
    yield one("kpi", f"query_result({names})", label="KPI", regex=regex, current=shown)
    of_it = f'label_values(outcome_kpi_info{{{JOB}, kpi="$kpi"}}, kpi)'
    yield one("stem", of_it, hide=2, regex="/^(.+?)(?:_ratio)?$/")
