"""Forecasts how many series a config produces and what will give way, from what is stored or from an example."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice, pairwise, product

from exporter.base.clock import NEVER
from exporter.catalogue.kpi import BASES, BUCKETS
from exporter.evaluation.compiled import Measure, compile_plan
from exporter.evaluation.figure import Evaluation, Figure, Key
from exporter.evaluation.plan import Plan
from exporter.evaluation.readiness import unfits, with_configured
from exporter.evaluation.stats import Distribution
from exporter.publish.cardinality import BY_TEAM, TEAM, Limits, limited
from exporter.publish.families import beside
from exporter.records import RECORDS
from exporter.records.columns import COLUMNS
from exporter.records.unreadable import counted
from exporter.store.status import SourceStatus

EXAMPLE = {"team": 12, "category": 12, "workflow": 40, "service": 12, "tool": 5, "tier": 3, "environment": 3}
"""How many values a label has that nobody knows the values of; any other has MANY."""
MANY = 12
NON_ADDITIVE_COUNTS = {"currency": 1, "claim": 1, "week": 13}
OF_ONE_TEAM = ("workflow", "service")
STAGES = ("lead", "contacted", "booked", "attended", "qualified", "won")
MOST_SEGMENTS = 20_000
"""Of one KPI; more are not counted: by then all is said."""
WHOLE = Distribution(tuple((bound, 0) for bound in (*BUCKETS, float("inf"))), 0, 0.0)


@dataclass(frozen=True, slots=True)
class Forecast:
    """`whole`: series if nothing gave way. `published`: what the limits leave of them.

    `folded`: (record, label) -> values without a name. `shortened`: KPI -> how little of its distribution there is.
    """

    whole: int
    published: int
    folded: Mapping[tuple[str, str], int]
    shortened: Mapping[str, int]
    limits: Limits

    def lines(self, of: str) -> Iterator[str]:
        """The forecast as lines for people. `of`: what it is based on."""
        if not self.folded and not self.shortened:
            yield f"series: up to {self.whole:,} {of}; limits.series is {self.limits.series:,}, so nothing gives way"
            return
        yield f"series: {self.whole:,} with all values and distributions {of}; the limits allow {self.published:,}"
        if self.shortened:
            by_team = sum(level == BY_TEAM for level in self.shortened.values())
            many = f"distributions of {len(self.shortened)} KPIs, published only for the window of their alert"
            yield f"series: gives way: {many}" + (f", and of {by_team} of them only by team" if by_team else "")
        for record, folded in groupby(sorted(self.folded.items()), key=lambda each: each[0][0]):
            values = ", ".join(f"{counted(count, 'value')} of {label}" for (_, label), count in folded)
            yield f"series: gives way: of {record}, {values} become `other`"
        if self.published > self.limits.series:
            yield (
                f"series: more than limits.series, {self.limits.series:,}: up to {self.limits.teams} teams keep their "
                "names; raise it, configure fewer labels, or lower limits.teams"
            )


def forecast(evaluation: Evaluation, plan: Plan, limits: Limits) -> Forecast:
    """The series that an evaluation needs, and those that it gets within the limits."""
    around = sum(family.size for family in beside(evaluation, plan))
    fitted = limited(evaluation.figures, plan, limits, limits.series - around).values()
    by_name = compile_plan(plan).by_name
    folded: dict[tuple[str, str], int] = {}
    for (kpi, label), count in sorted(pair for each in fitted for pair in each.left_out.items()):
        place = by_name[kpi].kpi.record, label
        folded[place] = max(count, folded.get(place, 0))
    needed, published = around + sum(each.whole for each in fitted), around + sum(each.count for each in fitted)
    shortened = {kpi: level for each in fitted for kpi, level in each.spread_levels.items() if level}
    return Forecast(needed, published, folded, shortened, limits)


def example(plan: Plan, sources: Sequence[SourceStatus]) -> list[Figure]:
    """Figures of every KPI that the sources of a config can have, in all segments that an example organisation has."""
    absent = unfits(plan, NEVER, with_configured(plan, sources))
    return [
        figure
        for name, measure in compile_plan(plan).by_name.items()
        if name not in absent
        for figure in figures_of(measure, plan)
    ]


def figures_of(measure: Measure, plan: Plan) -> Iterator[Figure]:
    """An empty figure of a KPI in each segment."""
    kpi = measure.kpi
    fixed: tuple[Key, ...] = ((),)
    if kpi.business:
        fixed = tuple((("basis", basis),) for basis in (BASES if plan.calendars else BASES[:1]))
    split = [values_of(label, kpi.record, plan) for label in kpi.numerator_labels]
    by = tuple((tuple(zip(kpi.numerator_labels, values, strict=True)), 0.0) for values in product(*split) if split)
    window = plan.windows[-1][0] if kpi.windowed else None
    spread = WHOLE if kpi.kind == "duration" else None
    segments = product(segments_of(measure.labels, kpi.record, plan), fixed)
    for segment, more in islice(segments, MOST_SEGMENTS):
        below, deducted = 0.0 if kpi.divided else None, 0.0 if kpi.shows_gross else None
        yield Figure(kpi.name, window, (*segment, *more), 0.0, below, spread, by, deducted=deducted)


def segments_of(labels: Sequence[str], record: str, plan: Plan) -> Iterator[Key]:
    """Every segment there may be: an automation or a service is of one team, and a stage leads to the next."""
    values = [values_of(label, record, plan) for label in labels]
    teams = values_of(TEAM, record, plan)
    owned = {label: of for label, of in zip(labels, values, strict=True) if label in OF_ONE_TEAM}
    after = dict(pairwise(STAGES))
    for each in product(*values):
        segment = dict(zip(labels, each, strict=True))
        if "to" in segment and after.get(segment.get("from", "")) != segment["to"]:
            continue
        places = [of.index(segment[label]) for label, of in owned.items()]
        if TEAM in segment and any(teams[place % len(teams)] != segment[TEAM] for place in places):
            continue
        yield tuple(segment.items())


def values_of(label: str, record: str, plan: Plan) -> tuple[str, ...]:
    """The values of a label: those that it can have, those configured, or so many as an example has."""
    if label in ("from", "to"):
        return STAGES
    known = {"team": plan.teams, "workflow": plan.workflows, "service": plan.services}
    if known.get(label):
        return tuple(known[label])
    of_record = [record, *RECORDS] if record in RECORDS else [*RECORDS]
    words = next((words_here for name in of_record if (words_here := words_of(name, label))), ())
    return words or tuple(f"{label}{i}" for i in range({**EXAMPLE, **NON_ADDITIVE_COUNTS}.get(label, MANY)))


def words_of(record: str, label: str) -> tuple[str, ...]:
    """The words that a column can have, where they are known."""
    column = COLUMNS[RECORDS[record]].get(label)
    return tuple(sorted(column.words)) if column else ()


def assumed(plan: Plan, figures: Sequence[Figure]) -> str:
    """The size of the example, in words."""
    values: dict[str, set[str]] = {}
    for label, value in (pair for segment in {figure.segment for figure in figures} for pair in segment):
        values.setdefault(label, set()).add(value)
    of_labels = [(len(values[label]), label) for label in EXAMPLE if label in values]
    texts = [f"{count}{'' if number else ' values'} of {label}" for number, (count, label) in enumerate(of_labels)]
    configured = [label for label, of in (("team", plan.teams), ("workflow", plan.workflows)) if of and label in values]
    example = f"for an example with {', '.join(texts)}" if texts else "for an example"
    return example + (f" ({' and '.join(configured)} as configured)" if configured else "")
