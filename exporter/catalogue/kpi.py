"""What a KPI is, and the catalogue of them: every file in exporter/kpis/, checked and frozen."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from exporter.base import strict_yaml
from exporter.catalogue.group import Group, Indicator, Tier

HERE = Path(__file__).parents[1]
KpiKind = Literal["ratio", "mean", "duration", "count", "sum", "state", "derived"]
Severity = Literal["warning", "critical"]
Basis = Literal["calendar", "business", "calendar_active", "business_active"]
"""What a duration is measured in: all the time there is, or the hours in which somebody works on it; each also without
the time on hold."""
BASES: tuple[Basis, ...] = get_args(Basis)
BASELINES = ("fixed", "previous", "control", "weekday_median")
"""What a KPI can be compared with."""

BUCKETS = (60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0, 172800.0, 604800.0, 2592000.0)
"""Upper bounds of duration distributions, in seconds: a minute to 30 days."""

NON_ADDITIVE = ("currency", "claim", "basis", "from", "to", "week")
"""The labels over which no KPI is added up."""
PARTS = ("numerator", "minus", "denominator")
"""The keys that say what a derived KPI is made of."""
EVERY_HAS = ("group", "tier", "indicator", "guard")
"""The keys that every shipped KPI has; one of a config may leave them out."""
COUNTED = "{counted}"
"""Stands for the rows that a KPI counts."""
MIN_COVERAGE = 0.5
"""On which share of records a field that a KPI needs must be filled, unless the config says otherwise."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    "ratio": ("numerator", "denominator"),
    "mean": ("value",),
    "duration": ("value",),
    "count": ("where",),
    "sum": ("value",),
    "state": (),
    "derived": ("numerator",),
}
"""Kind of KPI -> what its declaration must say."""


class Declaration(BaseModel):
    """A declaration that refuses unknown keys and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)  # built once, within what holds it


class Param(Declaration):
    """A parameter of a KPI that the config may set; its predicates contain it as `{name}`."""

    type: Literal["duration", "predicate", "number"]
    default: str | float | None = None


class Threshold(Declaration):
    """The values beyond which a KPI is worth a ticket (warning) or waking somebody (critical)."""

    warning: float | None = None
    critical: float | None = None


class Spike(Declaration):
    """How far a day must exceed its usual weekday: by this factor, and also by this much."""

    factor: Annotated[float, Field(gt=1)]
    rise: Annotated[float, Field(gt=0)]


class Needed(Declaration):
    """A column without which KPIs would be wrong: the rows that should have it, and the condition that they do."""

    record: str  # its facts, which are those of a record
    name: str
    column: str = ""  # of the record; where it is not called like the field
    among: str = "true"
    has: str = ""  # default: the column is not null
    placed_by: str | None = None  # without one, how it is filled is a figure of now
    fallback: str | None = None  # the column used where it is missing: then nothing is withdrawn, only reported
    bases: tuple[Basis, ...] = ()  # of a duration: the bases that need it; its absence withdraws those only

    @property
    def filled(self) -> str:
        """The predicate of rows that have it."""
        return self.has or f"{self.source_column} is not null"

    @property
    def source_column(self) -> str:
        """The column to fill, as a connector or the config calls it."""
        return self.column or self.name


class Unattributed(Declaration):
    """The rows that no rule could attribute. `among`: the rows of which this is a share, by default those counted."""

    where: str
    among: str = COUNTED
    placed_by: str | None = None
    weight: str | None = None
    signed: bool = False  # whether a row may take back what another has counted: then its weight is below zero


class Kpi(Declaration):
    """One KPI as declared in exporter/kpis/. Predicates and values are SQL over the columns of its facts."""

    name: str
    facts: str
    needs: tuple[str, ...]  # records without which there is no figure
    uses: tuple[str, ...] = ()  # records that make the figure better where they are fed
    alternative_records: tuple[str, ...] = ()  # any of these will do where no source feeds those it needs
    title: str
    alert_says: str = ""  # how its alert begins, where the title does not do: {value}, and labels by name
    help: str  # what it is, in one or two sentences
    details: str = ""  # the exact definition: what is counted, what is left out, how late data counts
    kind: KpiKind
    placed_by: str | None = None  # the timestamp that puts a row into windows; without one the figure is of now
    numerator_placed_by: str | None = None  # of a ratio whose denominator is of now: puts its numerator into windows
    numerator: str | None = None  # of a derived KPI: another KPI, or `kpi.numerator` / `kpi.denominator`
    minus: str | None = None  # of a derived KPI: what is taken off the numerator
    denominator: str | None = None
    value: str | None = None
    business: tuple[str, str] | None = None  # of a duration people need: the columns of its two ends, for `basis`
    on_hold: bool = False  # of a duration with `business`: all time on hold lies within it, and can be taken off
    weight: str | None = None  # of a mean or ratio: what each row counts for, where that is not 1
    signed: bool = False  # of a weight: below zero is no fault
    where: str = "true"
    # Of a count: per day of the window. Of a derived KPI: per 100 of its denominator, or per second of its window.
    per: Literal["day", 100, "second"] | None = None
    aggregate: Literal["sum", "max"] = "sum"
    labels: tuple[str, ...] = ()  # beside those configured for the record
    # Labels configured for its record that its rows cannot have.
    missing_labels: Annotated[tuple[str, ...], Field(alias="lacks")] = ()
    numerator_labels: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()  # labels of a derived KPI's parts that are summed away
    # Labels over which it is never added up, beside NON_ADDITIVE.
    non_additive_labels: Annotated[tuple[str, ...], Field(alias="apart")] = ()
    several: str | None = None  # the label of which a row may have several values: it is not added up over that one
    segmented: bool = True  # by the labels configured for its record
    # Of a derived KPI: whether it is left out of segments that have no denominator.
    only_matched_segments: Annotated[bool, Field(alias="matched")] = False
    params: Mapping[str, Param] = {}
    fields: tuple[Needed, ...] = ()  # those without which it is wrong; not those whose absence is the figure
    unattributed: Unattributed | None = None
    unit: str = ""
    working_time: bool = False  # of a sum of seconds: the working time of people, which is shown in their days, too
    better: Literal["higher", "lower", "none"]
    group: Group | None = None  # shipped KPIs have all three, a user's at least its group
    tier: Tier | None = None
    indicator: Indicator | None = None
    guard: tuple[str, ...] = ()
    upper: str | None = None  # the KPI that is the same at the upper end of a range of manual time
    threshold: Threshold = Threshold()  # {}: no default is sensible, but a rule waits for one from the config
    baselines: tuple[Literal["previous", "control", "weekday_median"], ...] = ()  # also where none are configured
    spike: Spike | None = None  # an alert, against the baseline weekday_median, which comes with it
    window: str = "7d"  # the window that alerts look at
    for_: Annotated[str, Field(alias="for")] = "1h"
    owner: str = "unassigned"
    escalation: str = "none"
    cadence: str = "weekly"
    written: Mapping[str, str] = {}  # of a user's KPI: key -> its SQL as written, where the key holds it as checked

    @model_validator(mode="after")
    def _says_what_its_kind_needs(self) -> "Kpi":
        missing = [key for key in NEEDED[self.kind] if getattr(self, key) is None or key not in self.model_fields_set]
        if missing:
            raise ValueError(f"a KPI of kind {self.kind} needs {', '.join(missing)}")
        if self.business and self.kind != "duration":
            raise ValueError("only a duration has `business`")
        if self.on_hold and not self.business:
            raise ValueError("`on_hold` is taken off what has `business`")
        if self.spike and (self.kind != "ratio" or self.better != "lower" or not self.windowed):
            raise ValueError("only a ratio with windows that is better when lower has `spike`")
        return self

    @property
    def alerts(self) -> bool:
        """Whether there is an alert rule for it: it declares thresholds, possibly empty until the config sets some."""
        return "threshold" in self.model_fields_set and self.better != "none"

    @property
    def divided(self) -> bool:
        """Whether its values have a denominator."""
        return self.kind in ("ratio", "mean", "duration") or bool(self.denominator)

    @property
    def shows_gross(self) -> bool:
        """Whether gross and overhead are published beside it: of a difference in money, where cost may be all that is
        known of a segment."""
        return self.minus is not None and not self.denominator and self.unit == "currency"

    @property
    def record(self) -> str:
        """The record whose configured labels its series carry."""
        return self.needs[0]

    @property
    def fed_by(self) -> frozenset[str]:
        """All record types from which it is computed."""
        return frozenset((*self.needs, *self.alternative_records, *self.uses))

    @property
    def stem(self) -> str:
        """The stem of its parts' names: outcome_no_show for no_show_ratio, outcome_mttr_seconds for mttr_seconds."""
        return "outcome_" + (self.name.removesuffix("_ratio") if self.kind in ("ratio", "mean") else self.name)

    @property
    def metric(self) -> str:
        """The name of its main series."""
        return f"outcome_{self.name}"

    @property
    def series(self) -> tuple[str, ...]:
        """The names of all its series without thresholds and baselines; the main one comes first."""
        parts = {
            "ratio": (
                f"{self.stem}_numerator",
                f"{self.stem}_denominator",
                f"{self.metric}_lower",
                f"{self.metric}_upper",
            ),
            "mean": (f"{self.stem}_numerator", f"{self.stem}_denominator"),
            "duration": (
                f"{self.stem}_numerator",
                f"{self.stem}_denominator",
                f"{self.metric}_median",
                f"{self.stem}_distribution",
            ),
            "derived": (f"{self.stem}_numerator", f"{self.stem}_denominator")
            if self.denominator
            else (f"{self.metric}_gross", f"{self.metric}_overhead")
            if self.shows_gross
            else (),
        }
        return (self.metric, *parts.get(self.kind, ()))

    @property
    def wholes(self) -> Mapping[str, str]:
        """Series that is added up -> the same without the label `several`, where every row counts once."""
        if not self.several:
            return {}
        if not self.divided:
            return {self.metric: f"{self.metric}_overall"}
        parts = ("numerator", "denominator", *(("distribution",) if self.kind == "duration" else ()))
        return {f"{self.stem}_{part}": f"{self.stem}_overall_{part}" for part in parts}

    @property
    def compared_with(self) -> frozenset[str]:
        """The baselines it has if the config sets none."""
        return frozenset((*self.baselines, *(("weekday_median",) if self.spike else ())))

    @property
    def all_series(self) -> frozenset[str]:
        """Every name that may be published for it, including thresholds and baselines."""
        published = (*self.series, *self.wholes.values())
        buckets = (f"{name}_bucket" for name in published if "distribution" in name)
        levels = (f"{self.metric}_{each}" for each in ("threshold", "target", "day", "usual_lower", "usual_upper"))
        return frozenset((*published, *self.compared, *levels, *buckets))

    @property
    def compared(self) -> tuple[str, ...]:
        """The names of its baselines' series."""
        parts = (f"{self.stem}_baseline_numerator", f"{self.stem}_baseline_denominator") if self.divided else ()
        return (f"{self.metric}_baseline", *parts)

    @property
    def windowed(self) -> bool:
        """Whether its series have the label `window`; a KPI without a time that places rows describes the present."""
        return bool(self.placed_by or self.numerator_placed_by) or self.kind == "derived"


def load(folder: Path = HERE / "kpis") -> dict[str, Kpi]:
    """Every KPI declared in a folder, by name. Raises Mistakes, which name file, line and fault."""
    kpis: dict[str, Kpi] = {}
    mistakes: list[strict_yaml.Mistake] = []
    documents = [strict_yaml.shipped(path) for path in sorted(folder.glob("*.yaml"))]
    declared: dict[str, Any] = {}
    for document in documents:
        facts = document.data["facts"]
        for name, body in document.data.get("fields", {}).items():
            declared[f"{facts}.{name}"] = {"record": facts, "name": name, **body}
    for document in documents:
        shared = {key: value for key, value in document.data.items() if key not in ("kpis", "fields")}
        for name, body in document.data["kpis"].items():
            where = ("kpis", name)
            try:
                kpis[name] = KPI.validate_python(with_fields({"name": name, **shared, **body}, declared))
            except ValidationError as error:
                mistakes += [_mistake(document, where, item) for item in error.errors()]
    mistakes += _loose_ends(folder, kpis)
    if mistakes:
        raise strict_yaml.Mistakes(mistakes)
    return kpis


def with_fields(body: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, Any]:
    """A declaration whose names of fields are replaced by their declarations; `record.field` is one of other facts."""
    names = body.get("fields", ())
    known = [name if "." in name else f"{body['facts']}.{name}" for name in names]
    # One that is not declared stays as it is and is refused as no field.
    return {**body} | ({"fields": [declared.get(name, name) for name in known]} if "fields" in body else {})


def _mistake(document: strict_yaml.Document, where: tuple[str, ...], item: Mapping[str, Any]) -> strict_yaml.Mistake:
    path = (*where, *(str(part) for part in item["loc"]))
    return strict_yaml.Mistake(document.file, document.line(path), ".".join(path), str(item["msg"]))


def key_of(name: str) -> str:
    """The key under which a field of a KPI is written in YAML."""
    return Kpi.model_fields[name].alias or name


def _loose_ends(folder: Path, kpis: Mapping[str, Kpi]) -> list[strict_yaml.Mistake]:
    """Mistakes: guards and parts that are not KPIs, and KPIs without what every shipped one has."""
    lacking = ((name, key) for name, kpi in kpis.items() for key in EVERY_HAS if not getattr(kpi, key))
    bare = [strict_yaml.Mistake(str(folder), 0, name, f"has no {key}") for name, key in lacking]
    named = {name: (*kpi.guard, *part_names(kpi)) for name, kpi in kpis.items()}
    return bare + [
        strict_yaml.Mistake(str(folder), 0, name, f"names {other!r}, which is not a KPI")
        for name, others in named.items()
        for other in others
        if other not in kpis
    ]


class Reference(NamedTuple):
    """A part of a derived KPI: `mttr_seconds`, or `mttr_seconds.denominator`. Without `part` it is the numerator."""

    kpi: str
    part: str

    def __str__(self) -> str:
        return f"{self.kpi}.{self.part}" if self.part else self.kpi


def reference(text: str) -> Reference:
    """Parses the name of a part of a derived KPI."""
    name, _, part = text.partition(".")
    return Reference(name, part)


def parts(kpi: Kpi) -> Mapping[str, Reference]:
    """The parts of a derived KPI by key (numerator, minus, denominator); empty for any other KPI."""
    texts = {key: getattr(kpi, key) for key in PARTS if kpi.kind == "derived"}
    return {key: reference(text) for key, text in texts.items() if text}


def part_names(kpi: Kpi) -> tuple[str, ...]:
    """The names of the KPIs from which a derived KPI is computed."""
    return tuple(part.kpi for part in parts(kpi).values())


def bases_of(kpi: Kpi, calendars: bool) -> Iterator[Basis]:
    """The bases in which a duration is measured, with or without configured calendars; none for other KPIs."""
    if kpi.business:
        yield "calendar"
        if calendars:
            yield "business"
        if kpi.on_hold:
            yield "calendar_active"
            if calendars:
                yield "business_active"


def listed(label: str) -> str:
    """The column that lists all values of a label of which a row may have several: `services` for `service`."""
    return f"{label}s"


def non_additive(kpi: Kpi) -> tuple[str, ...]:
    """The labels over which a KPI is never added up."""
    return (*NON_ADDITIVE, *kpi.non_additive_labels)


def labels_of(kpi: Kpi, configured: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The columns that segment a KPI that is not derived: those configured for its record, then its own."""
    of_record = [label for label in configured.get(kpi.record, ()) if kpi.segmented and label not in kpi.missing_labels]
    return tuple(dict.fromkeys((*of_record, *kpi.labels)))


def value_labels(kpi: Kpi, kpis: Mapping[str, Kpi], configured: Mapping[str, Sequence[str]] = {}) -> tuple[str, ...]:
    """The labels of a KPI's values. A derived KPI has those that both its parts have, and those of its numerator alone.

    A label that is only configured for the record of the numerator is summed away: it would take the whole
    denominator once for each of its values.
    """
    if kpi.kind != "derived":
        return labels_of(kpi, configured)

    of = {key: value_labels(kpis[part.kpi], kpis, configured) for key, part in parts(kpi).items()}
    over, own = of["numerator"], value_labels(kpis[parts(kpi)["numerator"].kpi], kpis)
    if "minus" in of:
        over = tuple(label for label in over if label in of["minus"] and label not in kpi.drop)
    if "denominator" not in of:
        return tuple(label for label in over if label not in kpi.drop)
    under = of["denominator"]
    return tuple(label for label in over if label in under or (label in own and label not in kpi.drop))


KPI: TypeAdapter[Kpi] = TypeAdapter(Kpi)


@cache
def catalogue() -> Mapping[str, Kpi]:
    """The KPIs shipped with the exporter."""
    return load()
