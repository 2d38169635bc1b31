"""Reads dashboards/views/*.yaml. A view has rows of panels, most of which show a KPI in one role."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from exporter.base import strict_yaml
from exporter.catalogue.kpi import Kpi
from exporter.render.figures import Figure


class ViewModel(BaseModel):
    """A part of a view that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Query(ViewModel):
    """One expression of a written panel."""

    expr: str
    legend: str = ""
    unit: str = ""  # instead of the panel's
    dashed: bool = False  # a limit rather than a value
    colour: str = ""


class Written(ViewModel):
    """A panel that shows no KPI, written out in the view."""

    # In its queries <backlog by team> is the value of a KPI, <no_show_ratio.denominator over 1d> a part of one.
    type: Literal["stat", "table", "timeseries", "bars", "timeline", "bargauge"]
    title: str
    description: str
    unit: str = "short"
    no_value: str
    queries: tuple[Query, ...]
    columns: Mapping[str, str] = {}
    sort: str = ""  # a heading; with a minus before it the largest come first
    links: Mapping[str, str] = {}  # by the name of a field, or "" for any value: a page of the exporter
    hidden: tuple[str, ...] = ()  # fields that only links use
    units: Mapping[str, str] = {}  # by the name of a field
    texts: Mapping[str, Mapping[str, str] | Literal["reasons"]] = {}  # by the name of a field: value -> text
    colours: Mapping[str, Mapping[float, str]] = {}  # by the name of a field: from this value on
    palette: Mapping[str, str] = {}  # by the name of a line: its colour
    states: Mapping[str, tuple[str, str]] = {}  # of a timeline: value -> text and colour
    colour: str = ""  # of a stat: PromQL of which the label `color` is its colour
    step: str = ""  # the least time from one point to the next
    range: str = ""  # a time range of its own


class Shown(ViewModel):
    """One place on a view: one or several KPIs in one role, or a written panel."""

    width: int | None = None
    height: int | None = None
    title: str = ""
    by: str = "team"
    where: Mapping[str, str] = {}
    headline: str | None = None
    small: str | None = None
    lines: str | None = None
    ranked: str | None = None
    spread: str | None = None
    segments: str | None = None
    matrix: tuple[str, ...] | None = None
    timeline: tuple[str, ...] | None = None
    compared: tuple[str, ...] | None = None
    breaches: Literal["every KPI with thresholds"] | None = None
    sentence: Literal["breaches", "breaches and money", "freshness"] | None = None
    text: str | None = None
    panel: Written | None = None

    @property
    def role(self) -> str:
        """Which one it is in."""
        return next(role for role in ROLES if role in self.model_fields_set)

    @property
    def kpis(self) -> tuple[str, ...]:
        """What it shows."""
        one = (self.headline, self.small, self.lines, self.ranked, self.spread, self.segments)
        return (*filter(None, one), *(self.matrix or ()), *(self.timeline or ()), *(self.compared or ()))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height: those of its role unless it has its own."""
        width, height = ROLES[self.role]
        return self.width or width, self.height or height


ROLES = {
    "headline": (4, 7),
    "small": (3, 5),
    "lines": (8, 8),
    "ranked": (8, 8),
    "spread": (8, 8),
    "segments": (12, 9),
    "matrix": (24, 9),
    "timeline": (12, 8),
    "compared": (24, 9),
    "breaches": (24, 8),
    "sentence": (24, 2),
    "text": (24, 3),
    "panel": (8, 8),
}
"""Role -> its width and height; a view is 24 wide."""


class PanelRow(ViewModel):
    """Panels under one heading. A closed row shows its panels when it is opened; the first may have no heading."""

    title: str = ""
    closed: bool = False
    panels: tuple[Shown, ...]


class View(ViewModel):
    """A dashboard as it is written."""

    uid: str
    title: str
    description: str
    segment: tuple[str, ...] = ()  # labels by one of which one may choose and split, beside team: $split
    window: str = "7d"
    range: str = "30d"
    rows: tuple[PanelRow, ...]
    any_kpi: str = ""  # the KPI shown until the reader chooses one: $kpi, and $stem, what its parts are named after

    @property
    def kpis(self) -> frozenset[str]:
        """Everything shown in some role."""
        return frozenset(name for row in self.rows for shown in row.panels for name in shown.kpis)


VIEW: TypeAdapter[View] = TypeAdapter(View)


def view(path: Path, kpis: Mapping[str, Kpi]) -> View:
    """A view, or strict.Mistakes naming file, line and fault."""
    document = strict_yaml.load(path)
    try:
        found = VIEW.validate_python(document.data)
    except ValidationError as error:
        listed = [document.mistake(tuple(item["loc"]), str(item["msg"])) for item in error.errors()]
        raise strict_yaml.Mistakes(listed) from None
    mistakes = [
        document.mistake(("rows", i, "panels", j), fault)
        for i, row in enumerate(found.rows)
        for j, shown in enumerate(row.panels)
        for fault in faults(shown, kpis)
    ]
    if mistakes:
        raise strict_yaml.Mistakes(mistakes)
    return found


def faults(shown: Shown, kpis: Mapping[str, Kpi]) -> Iterator[str]:
    """What is wrong with a place on a view."""
    roles = shown.model_fields_set & set(ROLES)
    if len(roles) != 1:
        yield f"a place shows exactly one of {', '.join(ROLES)}; this one shows {', '.join(sorted(roles)) or 'none'}"
        return
    by = () if shown.role in ("headline", "small", "spread") else shown.by.split(", ")
    for name in shown.kpis:
        if name not in kpis:
            yield f"{name!r} is no KPI of the catalogue"
            continue
        apart = [each for each in Figure(kpis[name], kpis, "", tuple(shown.where.items())).apart if each not in by]
        if apart and shown.role not in ("segments", "compared"):
            yield f"{name} is never added up over {', '.join(apart)}: name one value under where, or show it by that"
