"""dashboards/views/*.yaml + the catalogue -> dashboards/*.json, in the classic form that Grafana 10 to 13 read."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from exporter.catalogue.kpi import Kpi
from exporter.render import overview, panels, roles
from exporter.render.compared import compared
from exporter.render.figures import Figure
from exporter.render.frame import frame
from exporter.render.panels import Panel
from exporter.render.view import PanelRow, Shown, View
from exporter.render.written import written_panel

COLUMNS = 24


def dashboard(written: View, kpis: Mapping[str, Kpi], *, windows: tuple[str, ...], explain: str = "") -> str:
    """The text of a dashboard's JSON file."""
    placed: list[Panel] = []
    top, ids = 0, iter(range(1, 1000))
    for row in written.rows:
        if row.title:
            heading = {"id": next(ids), "type": "row", "title": row.title, "collapsed": row.closed, "panels": []}
            placed.append(heading | {"gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top}})
            top += 1
        row_panels, bottom = laid_out(row, top, written, kpis)
        row_panels = [{"id": next(ids)} | panel for panel in row_panels]
        if row.closed:
            placed[-1]["panels"] = row_panels
        else:
            placed += row_panels
            top = bottom
    made = frame(written, kpis, windows, explain) | {"panels": placed}
    return json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def laid_out(row: PanelRow, top: int, written: View, kpis: Mapping[str, Kpi]) -> tuple[list[Panel], int]:
    """The panels of a row from left to right, line by line; and where the next row begins."""
    placed: list[Panel] = []
    x = height = 0
    for shown in row.panels:
        w, h = shown.size
        if x + w > COLUMNS:
            top, x, height = top + height, 0, 0
        made = list(panels_of(shown, written, kpis))
        y = top
        for i, panel in enumerate(made):
            # Only a headline is made of two: its second is the line of details.
            own = h if len(made) == 1 else (h - roles.DETAILS, roles.DETAILS)[i]
            placed.append(panel | {"gridPos": {"h": own, "w": w, "x": x, "y": y}})
            y += own
        x, height = x + w, max(height, h)
    return placed, top + height


def panels_of(shown: Shown, written: View, kpis: Mapping[str, Kpi]) -> Iterator[Panel]:
    """What a place on a view shows."""
    segment = "$split" if written.segment else ""
    where, by = tuple(shown.where.items()), shown.by

    def of(name: str) -> Figure:
        return Figure(kpis[name], kpis, segment, where)

    one = next(filter(None, (shown.headline, shown.small, shown.lines, shown.ranked, shown.spread, shown.segments)), "")
    several = [of(name) for name in shown.kpis]
    named = by.replace("_", " ")
    made: Mapping[str, Callable[[], Panel | Iterable[Panel]]] = {
        "headline": lambda: roles.headline(of(one), shown.title),
        "small": lambda: roles.small(of(one), shown.title),
        "lines": lambda: roles.lines(of(one), by, shown.title),
        "ranked": lambda: roles.ranked(of(one), by, shown.title),
        "spread": lambda: roles.spread(of(one)),
        "segments": lambda: roles.segments(of(one)),
        "matrix": lambda: overview.matrix(several, by, shown.title or f"By {named}", written.uid),
        "timeline": lambda: overview.statuses(several, by, shown.title or f"Status of each {named}"),
        "compared": lambda: compared(several),
        "breaches": lambda: overview.breaches(kpis, segment),
        "sentence": lambda: said(shown.sentence or "", kpis, segment),
        "text": lambda: panels.text(shown.text or ""),
        "panel": lambda: written_panel(shown.panel, kpis, segment) if shown.panel else [],
    }
    found = made[shown.role]()
    yield from [found] if isinstance(found, dict) else found


def said(sentence: str, kpis: Mapping[str, Kpi], segment: str) -> Panel:
    """One of the sentences there are."""
    if sentence == "freshness":
        return overview.freshness()
    return overview.verdict(kpis, segment, money="money" in sentence)


def queries(shown: Mapping[str, Any], variables: Mapping[str, str]) -> list[tuple[str, str]]:
    """(title or id of the panel, PromQL) of every query, with `$name`, `${name}` and `${name:format}` replaced."""
    known = {"__rate_interval": "5m", "__interval": "5m", "__range": "30d"} | dict(variables)

    def filled(expr: str) -> str:
        return re.sub(r"\$(?:\{([a-z_]\w*)(?::\w+)?\}|([a-z_]\w*))", lambda match: known[match[1] or match[2]], expr)

    return [
        (panel["title"] or f"panel {panel['id']}", filled(target["expr"]))
        for panel in every_panel(shown)
        for target in panel.get("targets", ())
    ]


def every_panel(shown: Mapping[str, Any]) -> Iterator[Panel]:
    """All panels, those in closed rows too."""
    for panel in shown["panels"]:
        yield from (every_panel(panel) if panel["type"] == "row" else (panel,))
