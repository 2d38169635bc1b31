"""The Grafana panels of which views are made, as dicts in the classic form that Grafana 10 to 13 read."""

from collections.abc import Mapping, Sequence
from typing import Any

Panel = dict[str, Any]

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
BLUE, ORANGE, RED, GREY, QUIET = "blue", "orange", "red", "text", "#8e8e8e"
TEAMS = {"mode": "continuous-BlPu", "seriesBy": "last"}
"""Of lines within their target: blue to purple by value, so that no line looks like a warning."""
STATES = {
    "0": {"text": "Within target", "color": BLUE, "index": 0},
    "1": {"text": "Beyond target, may be chance", "color": "super-light-blue", "index": 1},
    "2": {"text": "Warning", "color": ORANGE, "index": 2},
    "3": {"text": "Critical", "color": RED, "index": 3},
}
"""How many of these hold: value beyond warning; surely beyond warning; surely beyond critical. Read without colour."""
NO_VALUE = {"type": "special", "options": {"match": "nan", "result": {"text": "-", "color": QUIET}}}
DASHED = {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [10, 10]}}
VALUE_SIZE, TITLE_SIZE, DETAIL_SIZE, SENTENCE_SIZE = 36, 14, 16, 24
"""One size for each role, in pixels: Grafana otherwise chooses another one for every tile."""
GAP = 24 * 3600 * 1000
"""The longest gap, in ms, over which a line is drawn: a history may have a sample every 6 hours, or one a night."""


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
        "fieldConfig": {"defaults": {"noValue": "no values in this time range", **defaults}, "overrides": []},
    }


def hidden(name: str) -> Panel:
    """A field that only links use. A table of Grafana 12 or later hides it by the second of these."""
    return override(name, custom__hidden=True, custom__hideFrom={"viz": True, "legend": False, "tooltip": False})


def override(name: str, **properties: Any) -> Panel:
    """Properties of one field, by its name; `__` in a key stands for a dot."""
    return {"matcher": {"id": "byName", "options": name}, "properties": listed(properties)}


def of_query(index: int, *more: Panel, **properties: Any) -> Panel:
    """Properties of whatever one query answers."""
    matcher = {"id": "byFrameRefID", "options": chr(ord("A") + index)}
    return {"matcher": matcher, "properties": [*listed(properties), *more]}


def listed(properties: Mapping[str, Any]) -> list[Panel]:
    return [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]


def fixed(colour: str) -> Panel:
    """One colour, whatever the value."""
    return {"mode": "fixed", "fixedColor": colour}


def steps(*above: tuple[float, str], base: str = BLUE) -> Panel:
    """A colour, and another from each limit on."""
    return {
        "mode": "absolute",
        "steps": [{"color": base, "value": None}, *({"color": colour, "value": value} for value, colour in above)],
    }


def stat(title: str, description: str, targets: Sequence[Panel], *, size: int = VALUE_SIZE, **defaults: Any) -> Panel:
    """Values as they are now, beside each other, in a size that does not depend on the room."""
    made = panel("stat", title, description, targets, **defaults)
    made["options"] = {
        "reduceOptions": {"calcs": ["last"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "vertical",
        "text": {"valueSize": size, "titleSize": TITLE_SIZE},
        "textMode": "value_and_name",
        "wideLayout": False,
    }
    return made


def coloured(made: Panel, expr: str) -> None:
    """Gives all values of a panel the colour that a label `color` names, and the unit of a label `shown`."""
    made["targets"].append(target(expr, "", index := len(made["targets"]), instant=True, table=True))
    mappings = [{"fieldName": "color", "handlerKey": "color"}, {"fieldName": "shown", "handlerKey": "unit"}]
    options = {"configRefId": chr(ord("A") + index), "mappings": mappings, "applyTo": {"id": "numeric"}}
    made["transformations"] = [{"id": "configFromData", "options": options}, *made.get("transformations", [])]


def timeseries(
    title: str, description: str, targets: Sequence[Panel], *, rising: bool = True, **defaults: Any
) -> Panel:
    """Lines over time, the legend a table of last values, the worst first."""
    custom = {
        "drawStyle": "line",
        "lineWidth": 2,
        "fillOpacity": 0,
        "spanNulls": GAP,
        "showPoints": "never",
        "axisSoftMin": 0,
    }
    made = panel("timeseries", title, description, targets, custom=custom | defaults.pop("custom", {}), **defaults)
    made["options"] = {
        "legend": {
            "displayMode": "table",
            "placement": "right",
            "showLegend": True,
            "calcs": ["lastNotNull"],
            "sortBy": "Last *",
            "sortDesc": rising,
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return made


def timeline(title: str, description: str, targets: Sequence[Panel], states: Mapping[str, Any]) -> Panel:
    """Which state held when; a gap is a time without one."""
    made = panel(
        "state-timeline",
        title,
        description,
        targets,
        unit="short",
        noValue="no value",
        color=fixed(QUIET),
        mappings=[{"type": "value", "options": dict(states)}],
        custom={"fillOpacity": 85, "lineWidth": 0, "spanNulls": GAP},
    )
    made["options"] = {
        "mergeValues": True,
        "showValue": "never",
        "alignValue": "left",
        "rowHeight": 0.85,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return made


def bars(title: str, description: str, targets: Sequence[Panel], **defaults: Any) -> Panel:
    """Segments side by side, the largest first."""
    made = panel("bargauge", title, description, targets, min=0, **defaults)
    made["options"] = {
        "reduceOptions": {"calcs": ["last"], "fields": "", "values": False},
        "displayMode": "basic",
        "orientation": "horizontal",
        "showUnfilled": True,
        "minVizHeight": 16,
        "minVizWidth": 8,
        "valueMode": "text",
        "text": {"valueSize": DETAIL_SIZE, "titleSize": TITLE_SIZE},
    }
    return made


def table(title: str, description: str, targets: Sequence[Panel], columns: Mapping[str, str], **defaults: Any) -> Panel:
    """Rows as they are now. `columns`: field as it comes -> heading, in the order shown; an empty heading hides it."""
    custom = {"align": "left", "filterable": False, "cellOptions": {"type": "auto"}}
    made = panel("table", title, description, targets, custom=custom, **{"color": fixed(GREY)} | defaults)
    made["options"] = {"showHeader": True, "cellHeight": "sm"}
    made["transformations"] = [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {"Time": True} | {name: True for name, heading in columns.items() if not heading},
                "indexByName": {name: i for i, name in enumerate(columns)},
                "renameByName": {name: heading for name, heading in columns.items() if heading},
            },
        },
    ]
    return made


def text(content: str) -> Panel:
    """A few sentences."""
    return {
        "type": "text",
        "title": "",
        "description": "",
        "transparent": True,
        "options": {"mode": "markdown", "content": content},
    }
