"""Panels that a view spells out, as they stand in its file."""

from collections.abc import Mapping
from typing import Any

from exporter.render import panels
from exporter.render.panels import Panel
from exporter.render.view import Written


def written_panel(written: Written) -> Panel:
    """A panel as the view spells it out."""
    kind, tabular = written.type, written.type == "table"
    instant = kind not in ("timeseries", "bars", "timeline")
    targets = [
        panels.target(query.expr, query.legend, i, instant=instant, table=tabular)
        for i, query in enumerate(written.queries)
    ]
    title, text = written.title, written.description
    common: dict[str, Any] = {"unit": written.unit, "noValue": written.no_value}
    if tabular:
        made = panels.table(title, text, targets, written.columns, **common)
        if written.sort:
            by = {"displayName": written.sort.removeprefix("-"), "desc": written.sort.startswith("-")}
            made["options"]["sortBy"] = [by]
    elif kind == "stat":
        above = [] if written.alarm_above is None else [(written.alarm_above, panels.ORANGE)]
        made = panels.stat(title, text, targets, size=24, **common, thresholds=panels.steps(*above))
    elif kind == "timeline":
        states = {
            value: {"text": text, "color": colour, "index": i}
            for i, (value, (text, colour)) in enumerate(written.states.items())
        }
        made = panels.timeline(title, text, targets, states)
        made["fieldConfig"]["defaults"]["noValue"] = written.no_value
    elif kind == "bargauge":
        made = panels.bars(title, text, targets, **common, color=panels.fixed(panels.BLUE))
    else:
        custom = {"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "stacking": {"mode": "normal", "group": "A"}}
        shades = {"mode": "shades", "fixedColor": panels.BLUE}
        made = panels.timeseries(title, text, targets, **common, color=shades, custom=custom if kind == "bars" else {})
    made["fieldConfig"]["overrides"] = list(overrides(written))
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
    found += [panels.override(name, unit=unit, custom__align="right") for name, unit in written.units.items()]
    found += [panels.override(name, mappings=[texts(given)]) for name, given in written.texts.items()]
    for name, given in written.colours.items():
        levels = sorted(given.items())
        coloured = {
            "thresholds": panels.steps(*levels[1:], base=levels[0][1]),
            "custom__cellOptions": {"type": "color-text"},
        }
        found.append(panels.override(name, **coloured))
    return found


def texts(words: Mapping[str, str]) -> Panel:
    """Words in place of numbers."""
    return {
        "type": "value",
        "options": {number: {"text": text, "index": i} for i, (number, text) in enumerate(words.items())},
    }
