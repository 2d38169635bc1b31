"""Panels that a view spells out, as they stand in its file."""

import re
from collections.abc import Mapping
from typing import Any

from exporter.catalogue.kpi import Kpi
from exporter.render import panels
from exporter.render.figures import JOB, TITLES, Figure
from exporter.render.panels import Panel
from exporter.render.view import Written
from exporter.render.words import REASONS, labelled

UNSCRAPED = "not known: the exporter is not scraped"

GIVEN = {"job": JOB, "titles": TITLES}
VALUE = re.compile(r"<(\w+)(?:\.(numerator|denominator))?(?: by ([^<>]+?))?(?: over (\w+))?(?: of ([^<>]+?))?>")


def expanded(expr: str, kpis: Mapping[str, Kpi], segment: str, *, over_time: bool) -> str:
    """The expression with PromQL in place of `<KPI.part by labels over window of label=value>`."""

    def value(match: re.Match[str]) -> str:
        name, part, by, window, chosen = match.groups(default="")
        if name in GIVEN:
            return GIVEN[name]
        pairs = (pair.partition("=") for pair in chosen.split(", ") if pair)
        where = tuple((label, wanted) for label, _, wanted in pairs)
        figure = Figure(kpis[name], kpis, segment, where, over_time)
        made = figure.summed(f"{figure.kpi.stem}_{part}", by) if part else figure.value(by)
        return "(" + (made.replace('window="$window"', f'window="{window}"') if window else made) + ")"

    return VALUE.sub(value, expr)


def written_panel(written: Written, kpis: Mapping[str, Kpi], segment: str) -> Panel:
    """A panel as the view spells it out."""
    kind, tabular = written.type, written.type == "table"
    instant = kind not in ("timeseries", "bars", "timeline")
    targets = [
        panels.target(
            expanded(query.expr, kpis, segment, over_time=not instant), query.legend, i, instant=instant, table=tabular
        )
        for i, query in enumerate(written.queries)
    ]
    if tabular:  # an empty table says that all is well, which nobody knows of an exporter that is not scraped
        first = next((name for name in written.columns if not name.startswith("Value")), "note")
        unscraped = labelled(f"absent(outcome_exporter_build_info{{{JOB}}})", first, UNSCRAPED)
        targets[0]["expr"] += f"\nor on () {unscraped}"
    title, text = written.title, written.description
    common: dict[str, Any] = {"unit": written.unit, "noValue": written.no_value}
    common |= {"decimals": 0} if written.unit == "locale" else {}
    if tabular:
        made = panels.table(title, text, targets, written.columns, **common)
        if written.sort:
            by = {"displayName": written.sort.removeprefix("-"), "desc": written.sort.startswith("-")}
            made["options"]["sortBy"] = [by]
    elif kind == "stat":
        common["color"], common["mappings"] = panels.fixed(panels.GREY), [panels.NO_VALUE]
        made = panels.stat(title, text, targets, size=24, **common)
        if written.colour:
            panels.coloured(made, expanded(written.colour, kpis, segment, over_time=False))
    elif kind == "timeline":
        states = {
            value: {"text": text, "color": colour, "index": i}
            for i, (value, (text, colour)) in enumerate(written.states.items())
        }
        made = panels.timeline(title, text, targets, states)
    elif kind == "bargauge":
        made = panels.bars(title, text, targets, **common, color=panels.fixed(panels.BLUE))
    else:
        custom = {"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "stacking": {"mode": "normal", "group": "A"}}
        shades = panels.TEAMS
        made = panels.timeseries(title, text, targets, **common, color=shades, custom=custom if kind == "bars" else {})
    made["fieldConfig"]["overrides"] = list(overrides(written))
    if page := written.links.get(""):
        made["fieldConfig"]["defaults"]["links"] = [linked(page)]
    if written.step:
        made["interval"] = written.step
    if written.range:
        made["timeFrom"] = written.range
    return made


def overrides(written: Written) -> list[Panel]:
    """What holds for single queries and fields."""
    found = []
    for i, query in enumerate(written.queries):
        more: list[Panel] = [panels.DASHED] if query.dashed else []
        if query.dashed and written.type == "bars":
            more += panels.listed(
                {"custom.drawStyle": "line", "custom.stacking": {"mode": "none"}, "custom.lineWidth": 2}
            )
            more += panels.listed({"custom.fillOpacity": 0})
        properties: dict[str, Any] = {"unit": query.unit} if query.unit else {}
        properties |= {"color": panels.fixed(query.colour)} if query.colour else {}
        if more or properties:
            found.append(panels.of_query(i, *more, **properties))
    for name, unit in written.units.items():
        places = 0 if unit == "locale" else 1
        found.append(panels.override(name, unit=unit, decimals=places, custom__align="right"))
    for name, words in written.texts.items():
        found.append(panels.override(name, mappings=[texts(REASONS if words == "reasons" else words)]))
    for name, given in written.colours.items():
        levels = sorted(given.items())
        coloured: dict[str, Any] = {"color": {"mode": "thresholds"}}
        coloured |= {
            "thresholds": panels.steps(*levels[1:], base=levels[0][1]),
            "custom__cellOptions": {"type": "color-text"},
        }
        found.append(panels.override(name, **coloured))
    found += [panels.override(name, color=panels.fixed(colour)) for name, colour in written.palette.items()]
    found += [panels.override(name, links=[linked(page)]) for name, page in written.links.items() if name]
    found += map(panels.hidden, written.hidden)
    return found


def linked(page: str) -> Panel:
    """A link to a page of the exporter."""
    return {"title": "Explain", "url": "${explain}/" + page, "targetBlank": True}


def texts(words: Mapping[str, str]) -> Panel:
    """Words in place of numbers."""
    return {
        "type": "value",
        "options": {number: {"text": text, "index": i} for i, (number, text) in enumerate(words.items())},
    }
