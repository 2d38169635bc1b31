"""Reads dashboards/views/*.yaml. A view has rows of panels, most of which show a KPI in one form."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from exporter.base import strict_yaml
from exporter.catalogue.kpi import Kpi


class ViewModel(BaseModel):
    """A part of a view that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Query(ViewModel):
    """One expression of a written panel."""

    expr: str
    legend: str = ""
    unit: str = ""  # instead of the panel's
    dashed: bool = False  # a limit rather than a figure


class Written(ViewModel):
    """A panel that shows no KPI, written out in the view."""

    type: Literal["stat", "table", "timeseries"]
    title: str
    description: str
    unit: str
    no_value: str
    queries: tuple[Query, ...]
    columns: Mapping[str, str] = {}
    units: Mapping[str, str] = {}  # by the name of a field
    texts: Mapping[str, Mapping[str, str]] = {}  # by the name of a field: value -> text
    alarm_above: float | None = None


class Shown(ViewModel):
    """One place on a view: a KPI in one form, or a written panel."""

    width: int
    height: int
    headline: str | None = None
    trend: str | None = None
    spread: str | None = None
    segments: str | None = None
    by_team: tuple[str, ...] | None = None
    breaches: Literal["every KPI with thresholds"] | None = None
    panel: Written | None = None


class PanelRow(ViewModel):
    """Panels under one heading. A closed row shows its panels when it is opened."""

    title: str
    closed: bool = False
    panels: tuple[Shown, ...]


class View(ViewModel):
    """A dashboard as it is written."""

    uid: str
    title: str
    description: str
    rows: tuple[PanelRow, ...]
    any_kpi: bool = False  # the reader chooses a KPI: $kpi, and $stem, what its parts are named after


VIEW: TypeAdapter[View] = TypeAdapter(View)
FORMS = ("headline", "trend", "spread", "segments", "by_team", "breaches", "panel")


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
    forms = shown.model_fields_set & set(FORMS)
    if len(forms) != 1:
        yield f"a place shows exactly one of {', '.join(FORMS)}; this one shows {', '.join(sorted(forms)) or 'none'}"
    for name in (shown.headline, shown.trend, shown.spread, shown.segments, *(shown.by_team or ())):
        if name and name not in kpis:
            yield f"{name!r} is no KPI of the catalogue"
