"""Before and after: what KPIs were in the time before an intervention and in an equally long time since."""

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from exporter.base.clock import BEGINNING
from exporter.baselines.compare import CONTROL
from exporter.baselines.frozen import reach
from exporter.catalogue.kpi import Kpi
from exporter.evaluation.compiled import compile_plan
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Key
from exporter.evaluation.plan import Intervention, Period, Plan
from exporter.insight.difference import Difference, difference, difference_from_growth, difference_in_differences
from exporter.insight.sides import Chosen, Course, Side, course, side, splits
from exporter.store.status import SourceStatus

ONE_DAY = timedelta(days=1)
WEEK = timedelta(weeks=1)
LONGEST = 13 * WEEK
"""Later than so long after it, what changes is hardly its doing."""
FEWEST_DAYS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The same two periods elsewhere. `kind`: cohort (the segments of cohort control) or others (all others)."""

    kind: str
    before: Side
    after: Side
    change: Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A KPI before and after an intervention, in the unit of the KPI; an amount is the total of its period.

    `split`: the values of labels that make no sum, such as a currency. `labels`: those of the intervention's `where`
    that the KPI has: by any other it is not told apart. `net`: the change less that of the control group, of an amount
    in proportion. `overlaps`: other interventions in these periods that concern the KPI.
    `absent`: why there is nothing to compare: too_recent (fewer than three whole days since), no_history (records do
    not reach so far back), initial_sync, or no_records (before or after).
    """

    intervention: Intervention
    kpi: str
    split: Key = ()
    labels: tuple[str, ...] = ()
    periods: tuple[Period, Period] | None = None
    before: Side | None = None
    after: Side | None = None
    change: Difference | None = None
    control: Control | None = None
    net: Difference | None = None
    overlaps: tuple[Intervention, ...] = ()
    absent: str | None = None

    @property
    def judged(self) -> Difference | None:
        """What is judged: the net change, where there is a control group."""
        return self.net or self.change

    def verdict(self, kpi: Kpi) -> str:
        """better, worse, changed (of a KPI that has no better), no_change (not beyond chance), or unknown."""
        beyond = self.judged.beyond_chance if self.judged else None
        if beyond is None or self.judged is None:
            return "unknown"
        if not beyond:
            return "no_change"
        if kpi.better == "none":
            return "changed"
        return "better" if (self.judged.value > 0) == (kpi.better == "higher") else "worse"


def effects(
    connection: Connection,
    plan: Plan,
    at: datetime,
    sources: Sequence[SourceStatus],
    interventions: Sequence[Intervention] | None = None,
    kpis: Collection[str] | None = None,
) -> list[Effect]:
    """Before and after of some interventions that have begun (None: all), for those of some KPIs that they concern."""
    found: list[Effect] = []
    for each in plan.interventions if interventions is None else interventions:
        if each.at < at:
            names = each.kpis if kpis is None else each.kpis & {*kpis}
            found += _of(connection, plan, at, sources, each, [name for name in plan.kpis if name in names])
    return found


def periods(began_at: datetime, at: datetime, since: datetime = BEGINNING) -> tuple[Period, Period] | None:
    """Equally long periods of whole days before and after a day; None if there are fewer than three days for them.

    From a week on both are whole weeks, so that each has as many weekends: the later one ends with the last midnight,
    or 13 weeks after the intervention. Within the first week the earlier one has the same weekdays, of the week before.
    `since`: from when on there are records; where they do not reach back for longer periods, these are shorter.
    """
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    passed, known = midnight - began_at, began_at - since
    if passed >= WEEK and known >= WEEK:
        length = min(passed // WEEK * WEEK, known // WEEK * WEEK, LONGEST)
        end = min(midnight, began_at + LONGEST)
        return Period(begins_at=began_at - length, ends_at=began_at), Period(begins_at=end - length, ends_at=end)
    length = min(passed // ONE_DAY * ONE_DAY, WEEK - ONE_DAY)
    if length < FEWEST_DAYS * ONE_DAY or known < WEEK:
        return None
    after = Period(begins_at=began_at, ends_at=began_at + length)
    return Period(begins_at=began_at - WEEK, ends_at=began_at - WEEK + length), after


def _of(
    connection: Connection,
    plan: Plan,
    at: datetime,
    sources: Sequence[SourceStatus],
    intervention: Intervention,
    names: Sequence[str],
) -> Iterator[Effect]:
    compiled = compile_plan(plan)
    by_periods: dict[tuple[datetime, datetime], tuple[tuple[Period, Period], list[str]]] = {}
    for name in names:
        records = compiled.by_name[name].records
        found = periods(intervention.at, at, reach(plan, name, sources))
        if any(not source.complete for source in sources if source.records & records):
            yield Effect(intervention=intervention, kpi=name, absent="initial_sync")
        elif found is None:
            recent = periods(intervention.at, at) is None
            yield Effect(intervention=intervention, kpi=name, absent="too_recent" if recent else "no_history")
        else:
            by_periods.setdefault((found[0].begins_at, found[1].ends_at), (found, []))[1].append(name)
    for both, mine in by_periods.values():
        before, after = (course(connection, plan, mine, period, sources) for period in both)
        for name in mine:
            yield from compared(plan, intervention, name, before, after)


def compared(plan: Plan, intervention: Intervention, name: str, before: Course, after: Course) -> Iterator[Effect]:
    """The effects on one KPI: one for each of its splits."""
    measure = compile_plan(plan).by_name[name]
    labels = tuple(label for label in intervention.where if label in measure.labels)
    both = before.period, after.period
    overlaps = tuple(
        other
        for other in plan.interventions
        if other != intervention and name in other.kpis and both[0].begins_at < other.at < both[1].ends_at
    )
    keys = {*splits(before.whole, measure.setting), *splits(after.whole, measure.setting)}
    for split in sorted(keys):
        yield _effect(plan, intervention, name, split, labels, (before, after), overlaps)
    if not keys:
        yield Effect(intervention=intervention, kpi=name, labels=labels, periods=both, absent="no_records")


def _effect(
    plan: Plan,
    intervention: Intervention,
    name: str,
    split: Key,
    labels: tuple[str, ...],
    courses: tuple[Course, Course],
    overlaps: tuple[Intervention, ...],
) -> Effect:
    wanted = {(label, intervention.where[label]) for label in labels}
    controlled = any(("cohort", CONTROL) in f.segment for of in courses for f in of.whole.figures if f.kpi == name)
    by_cohort = controlled and "cohort" not in labels

    def inside(segment: Key) -> bool:
        return wanted <= {*segment} and not (by_cohort and ("cohort", CONTROL) in segment)

    def outside(segment: Key) -> bool:
        return ("cohort", CONTROL) in segment if by_cohort else not wanted <= {*segment}

    def both(chosen: Chosen) -> tuple[Side | None, Side | None]:
        looked_at = {*labels, "cohort"} if by_cohort else {*labels}
        then, now = (side(of, plan, name, split, chosen, looked_at) for of in courses)
        return then, now

    (then, now), (control_then, control_now) = both(inside), both(outside) if by_cohort or labels else (None, None)
    of_all = Effect(
        intervention=intervention,
        kpi=name,
        split=split,
        labels=labels,
        periods=(courses[0].period, courses[1].period),
        before=then,
        after=now,
        overlaps=overlaps,
        absent=None if then and now else "no_records",
    )
    if then is None or now is None:
        return of_all
    change = difference(then.estimate, now.estimate)
    if control_then is None or control_now is None:
        return dataclasses.replace(of_all, change=change)
    change_there = difference(control_then.estimate, control_now.estimate)
    parts = then.estimate, now.estimate, control_then.estimate, control_now.estimate
    return dataclasses.replace(
        of_all,
        change=change,
        control=Control(
            kind="cohort" if by_cohort else "others", before=control_then, after=control_now, change=change_there
        ),
        net=difference_from_growth(*parts) if then.n is None else difference_in_differences(*parts),
    )
