"""One KPI -> one Grafana panel: headline, trend, spread; many KPIs -> one table. Classic dashboard JSON as dicts."""

from collections.abc import Mapping, Sequence
from typing import Any

from exporter.catalogue.kpi import Kpi
from exporter.evaluation.breach import least
from exporter.render.promql import alert_name, counted_once, kept, lenient, ratio, worse

Panel = dict[str, Any]

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
BLUE, ORANGE, RED, GREY = "blue", "orange", "red", "text"
STATES = {
    "0": {"text": "Within target", "color": BLUE, "index": 0},
    "1": {"text": "Over, may be chance", "color": GREY, "index": 1},
    "2": {"text": "Warning", "color": ORANGE, "index": 2},
    "3": {"text": "Critical", "color": RED, "index": 3},
}
"""How many of these hold: value beyond warning; surely beyond warning; surely beyond critical. Read without colour."""


def selector(kpi: Kpi, *more: str, by: str = "") -> str:
    """What is chosen on the dashboard; `window` is pinned, and `basis` unless kept: they must never be added up."""
    window = ('window="$window"',) if kpi.windowed else ()
    basis = ('basis="$basis"',) if kpi.business and "basis" not in by else ()
    return "{" + ", ".join(('job=~"$job"', 'team=~"$team"', *window, *basis, *more)) + "}"


def count(kpi: Kpi, by: str = "") -> str:
    """The number of records behind a figure."""
    return counted_once(kpi, f"{kpi.stem}_denominator", selector(kpi, by=by), by)


def value(kpi: Kpi, by: str = "") -> str:
    """A figure over everything chosen: its parts summed, then divided; a state or a count is only summed."""
    if kpi.divided:
        return ratio(counted_once(kpi, f"{kpi.stem}_numerator", selector(kpi, by=by), by), count(kpi, by))
    return counted_once(kpi, kpi.metric, selector(kpi), by, function=kpi.aggregate)


def threshold(kpi: Kpi, severity: str, by: str = "") -> str:
    """The threshold that holds for everything chosen; where segments differ, the one hardest to breach."""
    grouping = f" by ({by})" if by else ""
    chosen = selector(kpi, f'severity="{severity}"')
    return f"{lenient(kpi)}{grouping} ({kpi.metric}_threshold{chosen})"


def surely(kpi: Kpi, kpis: Mapping[str, Kpi], likely: str, n: str, level: str, *, by: str = "", of: str = "") -> str:
    """Whether a figure is beyond a level by more than chance: the very condition of the alert.

    Of a ratio: that the level lies outside its 95 % Wilson interval, which is where |p - t| > 1.96 sqrt(t (1 - t) / n)
    holds; the interval is made by solving that for t. It needs each sum once. `by` and `of` match levels to figures.
    """
    if kpi.kind != "ratio":
        compared, enough = f"({likely} {worse(kpi)}{by} {level})", least(kpi, kpis)
        return compared if enough is None else f"{compared} and{of} ({n} >= {enough:g})"
    distance = f"{likely} -{by} {level}" if kpi.better == "lower" else f"0 - ({likely} -{by} {level})"
    return f"{distance} > 1.96 * sqrt({level} * (1 - {level}) /{of} ({n} > 0))"


def state(kpi: Kpi, kpis: Mapping[str, Kpi]) -> str:
    """0 to 3, as STATES says; from the published thresholds, so it cannot differ from the alerts."""
    likely, n = f"({value(kpi)})", count(kpi)
    levels = [threshold(kpi, severity) for severity in ("warning", "critical")]
    beyond = f"({likely} {worse(kpi)} bool {levels[0]})"
    sure = [f"(({surely(kpi, kpis, likely, n, level)}) * 0 + 1 or {likely} * 0)" for level in levels]
    return "\n+ ".join([beyond, *sure])


def unit(kpi: Kpi) -> str:
    """The Grafana unit of a KPI."""
    if kpi.name.endswith("_seconds"):
        return "s"
    return "percentunit" if kpi.name.endswith("_ratio") else "short"


def target(expr: str, legend: str, index: int = 0, *, instant: bool = False, table: bool = False) -> Panel:
    """One query."""
    return {
        "refId": chr(ord("A") + index),
        "datasource": DATASOURCE,
        "expr": expr,
        "legendFormat": legend,
        "instant": instant,
        "range": not instant,
        "format": "table" if table else "time_series",
    }


def panel(kind: str, title: str, description: str, targets: Sequence[Panel], **defaults: Any) -> Panel:
    """What all panels have."""
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "targets": list(targets),
        "fieldConfig": {"defaults": {"noValue": "no data", **defaults}, "overrides": []},
    }


def override(name: str, **properties: Any) -> Panel:
    """Properties of one field, by its name; `__` in a key stands for a dot."""
    listed = [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": listed}


def stat(title: str, description: str, targets: Sequence[Panel], **defaults: Any) -> Panel:
    """Figures as they are now, one below the other."""
    made = panel("stat", title, description, targets, **defaults)
    made["options"] = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "orientation": "horizontal",
        "textMode": "value_and_name" if len(targets) > 1 else "value",
    }
    return made


def headline(kpi: Kpi, kpis: Mapping[str, Kpi], runbook: str) -> Panel:
    """A figure now, whether it is within its target, the number of records behind it, and its guards."""
    guards = [kpis[name] for name in kpi.guard]
    name = "mean" if kpi.kind == "duration" else "rate"
    shown: list[tuple[str, str]] = [(name, value(kpi))]
    if kpi.alerts:
        shown.append(("target", state(kpi, kpis)))
    shown += [("n", count(kpi)), *((guard.title, value(guard)) for guard in guards)]
    targets = [target(expr, legend, i, instant=True) for i, (legend, expr) in enumerate(shown)]
    made = stat(
        kpi.title,
        f"{kpi.help} n: the records it is taken over. Beside it: {', '.join(guard.title for guard in guards)}.",
        targets,
        unit=unit(kpi),
        decimals=1,
        noValue="no records",
        color={"mode": "fixed", "fixedColor": GREY},
    )
    if kpi.alerts:
        made["fieldConfig"]["defaults"]["links"] = [
            {"title": "Runbook", "url": f"{runbook}#{alert_name(kpi).lower()}", "targetBlank": True}
        ]
    made["fieldConfig"]["overrides"] = [
        override("n", unit="short", decimals=0),
        override("target", unit="short", mappings=[{"type": "value", "options": STATES}]),
        *(override(guard.title, unit=unit(guard)) for guard in guards),
    ]
    return made


def timeseries(title: str, description: str, targets: Sequence[Panel], **defaults: Any) -> Panel:
    """Lines over time, gaps left as gaps, the legend a table of last values."""
    custom = {"drawStyle": "line", "lineWidth": 2, "fillOpacity": 0, "spanNulls": False, "showPoints": "never"}
    made = panel("timeseries", title, description, targets, custom=custom | {"axisSoftMin": 0}, **defaults)
    made["options"] = {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return made


def trend(kpi: Kpi) -> Panel:
    """A figure over time, its thresholds dashed."""
    targets, overrides = [target(value(kpi), kpi.title)], [color(kpi.title, BLUE)]
    for severity, colour in (("warning", ORANGE), ("critical", RED)) if kpi.alerts else ():
        targets.append(target(threshold(kpi, severity), f"{severity} threshold", len(targets)))
        overrides.append(color(f"{severity} threshold", colour, dashed=True))
    made = timeseries(
        f"{kpi.title} over time",
        f"{kpi.help} Each point is the value of the whole window before it. Dashed: thresholds as configured; "
        "where the chosen teams differ, the one hardest to breach.",
        targets,
        unit=unit(kpi),
        noValue="no records",
    )
    made["fieldConfig"]["overrides"] = overrides
    return made


def color(name: str, fixed: str, *, dashed: bool = False) -> Panel:
    """The colour of one line; thresholds are dashed, so that they are told apart without colour."""
    colored = override(name, color={"mode": "fixed", "fixedColor": fixed})
    if dashed:
        colored["properties"].append({"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [10, 10]}})
    return colored


def of_query(index: int, unit: str, *, dashed: bool) -> Panel:
    """Properties of whatever one query answers."""
    properties: list[Panel] = [{"id": "unit", "value": unit}] if unit else []
    properties += [{"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [10, 10]}}] if dashed else []
    return {"matcher": {"id": "byFrameRefID", "options": chr(ord("A") + index)}, "properties": properties}


def spread(kpi: Kpi) -> Panel:
    """The median and the 90th percentile of a duration, for a mean hides both."""
    name = f"{kpi.stem}_distribution_bucket"
    buckets, shown = counted_once(kpi, name, selector(kpi), "le"), ""
    if kpi.windowed:
        # Where series are saved, there is only that of the alert; never for a window in which nothing happened.
        alone = counted_once(kpi, name, selector(kpi).replace("$window", kpi.window), "le")
        buckets = f"(\n{buckets}\nor\n{alone} and on () {count(kpi)} > 0\n)"
        shown = f" Where the exporter saves series, they are of {kpi.window}, whatever window is chosen."
    lines = [("p50", 0.5, BLUE, False), ("p90", 0.9, ORANGE, True)]
    targets = [target(f"histogram_quantile({q}, {buckets})", line, i) for i, (line, q, _, _) in enumerate(lines)]
    made = timeseries(
        f"{kpi.title}: p50 and p90",
        f"{kpi.help} Half of the records take no longer than p50, nine in ten no longer than p90; "
        f"estimated within buckets of a minute to 30 days.{shown}",
        targets,
        unit=unit(kpi),
        noValue="no records",
    )
    made["fieldConfig"]["overrides"] = [color(line, fixed, dashed=dash) for line, _, fixed, dash in lines]
    return made


def table(title: str, description: str, targets: Sequence[Panel], columns: Mapping[str, str], **defaults: Any) -> Panel:
    """Rows as they are now. `columns`: field as it comes -> heading, in the order shown; Time is left out."""
    made = panel("table", title, description, targets, custom={"align": "auto", "filterable": True}, **defaults)
    made["options"] = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": [], "fields": ""}}
    made["transformations"] = [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {"Time": True},
                "indexByName": {name: i for i, name in enumerate(columns)},
                "renameByName": dict(columns),
            },
        },
    ]
    return made


def beyond(kpi: Kpi, kpis: Mapping[str, Kpi]) -> str:
    """By how much of a threshold each team is beyond it, on whichever basis has one; only teams that surely are."""
    on = ", ".join(("team", *kept(kpi, kpis)))
    figure, n, join = f"({value(kpi, on)})", count(kpi, on), f" on ({on}) group_right ()"
    level = f"({lenient(kpi)} by ({on}, severity) ({kpi.metric}_threshold{selector(kpi, by=on)}) > 0)"
    of = f" on ({on}) group_left ()" if kpi.kind == "ratio" else f" on ({on})"
    sure = surely(kpi, kpis, figure, n, level, by=join, of=of)
    share = f"{figure} /{join} {level}"
    return f"({share} - 1 and {sure})" if kpi.better == "lower" else f"(1 - {share} and {sure})"


def breaches(kpis: Mapping[str, Kpi], link: str) -> Panel:
    """Every team surely beyond a threshold, by severity, the furthest first."""
    ruled = [kpi for kpi in kpis.values() if kpi.alerts]
    rows = [f'label_replace({beyond(kpi, kpis)}, "kpi", "{kpi.title}", "", "")' for kpi in ruled]
    made = table(
        "Beyond a threshold",
        "Teams whose value is beyond a threshold by more than chance (95 %; a mean of 5 records or more): "
        "the condition of the alerts, in the chosen window. A rate of 0.30 is 50 % beyond a threshold of 0.20. "
        "A team beyond the critical threshold has a row for the warning too.",
        [target("\nor\n".join(rows), "", instant=True, table=True)],
        {"severity": "Severity", "kpi": "KPI", "team": "Team"}
        | {label: label.title() for kpi in ruled for label in kept(kpi, kpis)}
        | {"Value": "Beyond the threshold by"},
        unit="percentunit",
        decimals=0,
        noValue="All within target",
        links=[{"title": "This team", "url": link, "targetBlank": False}],
    )
    made["options"]["sortBy"] = [
        {"displayName": "Severity", "desc": False},
        {"displayName": "Beyond the threshold by", "desc": True},
    ]
    return made


def segments(kpi: Kpi) -> Panel:
    """A row for each segment, whatever labels are configured: where to look when a team stands out."""
    dropped = ", ".join(("job", "instance", "pod", "window", *["basis"] * bool(kpi.business), *kpi.numerator_labels))
    parts = [
        f"sum without ({dropped}) (max without (instance, pod) ({kpi.stem}_{part}{selector(kpi)}))"
        for part in ("numerator", "denominator")
    ]
    targets = [
        target(expr, "", i, instant=True, table=True) for i, expr in enumerate((ratio(parts[0], parts[1]), parts[1]))
    ]
    heading, n = kpi.title, "n"
    made = table(
        f"{kpi.title} by segment",
        f"{kpi.help} A row for each combination of the labels configured for it, those with most records first.",
        targets,
        {"Value #A": heading, "Value #B": n},
        unit="short",
        decimals=0,
        noValue="no records",
    )
    # The other columns are the labels, which the config chooses: they come first.
    made["transformations"][1]["options"]["indexByName"] = {"Value #A": 98, "Value #B": 99}
    made["options"]["sortBy"] = [{"displayName": n, "desc": True}]
    made["fieldConfig"]["overrides"] = [override(heading, unit=unit(kpi), decimals=1)]
    return made


def by_team(kpis: Sequence[Kpi], link: str) -> Panel:
    """A row for each team: every figure with the number of records behind it."""
    shown = [
        pair
        for kpi in kpis
        for pair in ((kpi.title, value(kpi, "team"), unit(kpi), 1), (f"n {kpi.title}", count(kpi, "team"), "short", 0))
    ]
    targets = [target(expr, "", i, instant=True, table=True) for i, (_, expr, _, _) in enumerate(shown)]
    columns = {"team": "Team"} | {f"Value #{chr(ord('A') + i)}": name for i, (name, *_) in enumerate(shown)}
    made = table(
        "By team",
        "Each value beside the number of records behind it. An empty cell: no records in the window.",
        targets,
        columns,
        noValue="",
        unit="short",
        links=[{"title": "This team", "url": link, "targetBlank": False}],
    )
    made["fieldConfig"]["overrides"] = [override(name, unit=form, decimals=places) for name, _, form, places in shown]
    return made
