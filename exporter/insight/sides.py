"""What KPIs came to in a period and on each of its days, in some segments: what comparisons over time are made of."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from exporter.base.clock import DAY
from exporter.baselines.compare import reduced
from exporter.baselines.frozen import INSTANT
from exporter.catalogue.kpi import Kpi, non_additive
from exporter.evaluation.add import merge
from exporter.evaluation.breach import MIN_RECORDS
from exporter.evaluation.compiled import compile_plan, narrowed
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation, Figure, Key, additive_within
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Period, Plan, Setting
from exporter.evaluation.range import Instants, evaluations
from exporter.insight.difference import Day, Estimate, estimate, of_count, of_ratio
from exporter.store.status import SourceStatus

ONE_DAY = timedelta(days=1)
FEWEST_RECORDS = 20
"""A mean over fewer records is not judged: what one of them does, the mean does."""
FEWEST_DAYS = 5
"""Of how many days an amount must be for its days to say how it varies."""
Chosen = Callable[[Key], bool]
"""Whether a segment is one of those looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A KPI in a period. `value`: in its unit. `n`: its denominator, None for an amount. `days`: those with a value.

    `estimate`: the same with its variance; without one where there is too little to judge it, or where it is of the
    present and not of records in a time, so that one day is not independent of the next.
    """

    value: float
    n: float | None
    days: int
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Course:
    """The evaluations of a period: as a whole, and of each of its days."""

    period: Period
    whole: Evaluation
    days: Sequence[Evaluation]


def course(
    connection: Connection,
    plan: Plan,
    names: Collection[str],
    period: Period,
    sources: Sequence[SourceStatus],
    daily: Collection[str] | None = None,
) -> Course:
    """Some KPIs over a period of whole days, and on each of them; each day is as it was known at its end.

    `daily`: those of them of which each day is asked for; None: all.
    """
    mine = replace(narrowed(plan, names), medians=False)
    # Whether a source is fresh is a question of now.
    fresh = [replace(source, stale=False) for source in sources]
    length = int((period.ends_at - period.begins_at).total_seconds())
    whole = evaluate(connection, replace(mine, windows=[("period", length)]), period.ends_at - INSTANT, fresh)
    instants = Instants(first=period.begins_at + ONE_DAY - INSTANT, step=ONE_DAY, count=length // DAY)
    # What is of the present, or a maximum, is never judged by its days.
    kpis = compile_plan(mine).settings
    wanted = names if daily is None else {*names} & {*daily}
    by_day = {name for name in wanted if kpis[name].kpi.windowed and kpis[name].kpi.aggregate != "max"}
    if not by_day:
        return Course(period, whole, [])
    one_day = replace(narrowed(mine, by_day), windows=[("1d", DAY)])
    return Course(period, whole, [*evaluations(connection, one_day, instants, lambda _at: fresh)])


def splits(evaluation: Evaluation, setting: Setting) -> list[Key]:
    """The values of the labels over which a KPI is never added up, such as currencies; [()] if it has none."""
    own = {*non_additive(setting.kpi)}
    keys = {
        tuple(pair for pair in f.segment if pair[0] in own) for f in evaluation.figures if f.kpi == setting.kpi.name
    }
    return sorted(key for key in keys if dict(key).get("basis", setting.basis) == setting.basis)


def side(of: Course, plan: Plan, name: str, split: Key, chosen: Chosen, labels: Collection[str]) -> Side | None:
    """A KPI in the chosen segments of a period; None where it has no value. `labels`: those the choice looks at."""
    settings = compile_plan(plan).settings
    kpi = settings[name].kpi
    figure = added(of.whole.figures, settings, name, split, chosen, labels)
    if figure is None or figure.partial or figure.denominator == 0:
        return None
    days = []
    for each in of.days:
        if each.absent.get(name, "no_records") == "no_records":
            found = added(each.figures, settings, name, split, chosen, labels)
            days.append(found and Day(found.numerator, found.denominator))
    known = [day or Day(0.0, None if figure.denominator is None else 0.0) for day in days]
    n = figure.denominator
    value = figure.numerator if n is None else figure.numerator / n
    with_value = sum(1 for day in days if day and (day.denominator is None or day.denominator > 0))
    judged = estimate(figure.numerator, n, known, least_variance=least_variance(kpi, figure))
    if not judgeable(kpi, figure, with_value, len(of.days)):
        judged = Estimate(value)
    return Side(value=value, n=n, days=with_value, estimate=judged)


def added(
    figures: Iterable[Figure],
    settings: Mapping[str, Setting],
    name: str,
    split: Key,
    chosen: Chosen,
    labels: Collection[str],
) -> Figure | None:
    """The sum of the figures of a KPI in the chosen segments; None if there are none."""
    own = {*split}
    mine = [f for f in figures if f.kpi == name and own <= {*f.segment}]
    parts = [reduced(f, ()) for f in additive_within(mine, labels) if chosen(f.segment)]
    return merge(parts, settings)[0] if parts else None


def least_variance(kpi: Kpi, figure: Figure) -> float:
    """What a value varies by if each of its records is independent of the others; 0 where it is not of records."""
    if kpi.kind == "ratio" and not kpi.weight and figure.denominator:
        return of_ratio(figure.numerator, figure.denominator)
    return of_count(figure.numerator) if kpi.kind == "count" and not kpi.per else 0.0


def judgeable(kpi: Kpi, figure: Figure, days: int, length: int) -> bool:
    """Whether there is enough of a value to say how it varies. `days`: how many of its `length` in days have one."""
    if figure.window is None or kpi.aggregate == "max":
        return False
    if figure.denominator is None:
        return (length if kpi.kind == "count" else days) >= FEWEST_DAYS
    if kpi.kind == "ratio":
        return figure.denominator >= MIN_RECORDS
    return days >= FEWEST_DAYS and (kpi.kind == "derived" or figure.denominator >= FEWEST_RECORDS)
