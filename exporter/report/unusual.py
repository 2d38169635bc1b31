"""Which days of a period were unlike the same weekday of the eight weeks before them."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from exporter.base.clock import DAY
from exporter.baselines.compare import FEWEST_DAYS
from exporter.baselines.frozen import INSTANT, reach
from exporter.baselines.lookback import WEEKS, without_medians
from exporter.baselines.weekdays import WEEK, of_day
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation, Weekdays
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Plan
from exporter.evaluation.range import Instants, evaluations
from exporter.explain import unusual
from exporter.insight.anomaly import Anomaly, judged
from exporter.report.content import Unusual
from exporter.report.period import Span
from exporter.store.status import SourceStatus

ONE_DAY, HALF_A_DAY = timedelta(days=1), timedelta(hours=12)


def anomalies(
    connection: Connection,
    plan: Plan,
    span: Span,
    at: datetime,
    sources: Sequence[SourceStatus],
    kpis: Collection[str],
) -> Iterator[Anomaly]:
    """Every day of a period, KPI and team that can be compared with its weekday, unusual or not. `at`: the present."""
    days = [each for each in days_of(span) if each <= at]
    first = span.until - FEWEST_DAYS * WEEK
    names = frozenset(name for name in kpis if reach(plan, name, sources) <= first)
    fresh = [replace(source, stale=False) for source in sources]
    names &= recorded(connection, plan, first, names, fresh)
    if not names or not days:
        return
    one_day = replace(plan, windows=[("1d", DAY)])
    begin = days[0] - WEEKS * WEEK
    instants = Instants(first=begin - INSTANT, step=ONE_DAY, count=(days[-1] - begin).days + 1)
    every = evaluations(connection, without_medians(one_day, names), instants, lambda _: fresh)
    known = dict(zip(instants, every, strict=True))

    def earlier(at: datetime, _: frozenset[str]) -> Evaluation:
        return known[at]

    for day in days:
        (last, absent_none), *before = (
            of_day(connection, one_day, day, weeks, names, sources, earlier) for weeks in range(WEEKS + 1)
        )
        weekdays = Weekdays(day, last, tuple(figures for figures, _ in before), absent_none)
        yield from judged(weekdays, {s.kpi.name: s for s in plan.settings})


def recorded(
    connection: Connection, plan: Plan, at: datetime, names: Collection[str], sources: Sequence[SourceStatus]
) -> frozenset[str]:
    """The KPIs with records in the weeks without which too few days would have a value; asked once, that is cheap."""
    if not names:
        return frozenset()
    weeks = replace(without_medians(plan, names), windows=[("weeks", FEWEST_DAYS * 7 * DAY)])
    return frozenset(f.kpi for f in evaluate(connection, weeks, at + WEEK, sources).figures)


def days_of(span: Span) -> Iterator[datetime]:
    """The end of each day (UTC) of a period; a day belongs to the period in which its noon lies."""
    ends_at = (span.begins_at + HALF_A_DAY - INSTANT).replace(hour=0, minute=0, second=0, microsecond=0) + ONE_DAY
    while ends_at <= span.until + HALF_A_DAY:
        yield ends_at
        ends_at += ONE_DAY


def grouped(every: Iterable[Anomaly], plan: Plan) -> tuple[Unusual, ...]:
    """What was unusual, by KPI, team and side, the furthest from usual first."""
    groups: dict[tuple[object, ...], list[Anomaly]] = {}
    for each in every:
        if each.unusual:
            groups.setdefault((each.kpi, each.segment, each.score > 0), []).append(each)
    found = [_told(mine, plan) for mine in groups.values()]
    return tuple(sorted(found, key=lambda each: -abs(each.worst.score)))


def _told(mine: Sequence[Anomaly], plan: Plan) -> Unusual:
    worst = max(mine, key=lambda each: abs(each.score))
    days = tuple(unusual.day(each) for each in mine)
    text = unusual.sentence(worst, plan.kpis[worst.kpi], plan.person_day_seconds)
    others = [day for day in days if day != unusual.day(worst)]
    if others:
        text += f" {len(others)} more {'day was' if len(others) == 1 else 'days were'} unusual, too: {listed(others)}."
    return Unusual(worst=worst, days=days, text=text)


def listed(days: Sequence[date]) -> str:
    """`16 and 18 to 20 March and 1 April`: three or more in a row are drawn together, the month is said once."""
    rows: list[list[date]] = []
    for day in days:
        if rows and day - rows[-1][-1] == ONE_DAY:
            rows[-1].append(day)
        else:
            rows.append([day])
    ends = [(row[0], row[-1]) for row in rows if len(row) > 2]
    ends += [(day, day) for row in rows if len(row) <= 2 for day in row]
    ends.sort()
    texts = []
    for i, (first, last) in enumerate(ends):
        same = i + 1 < len(ends) and ends[i + 1][0].month == ends[i + 1][1].month == first.month == last.month
        end = f"{last:%-d}" if same else f"{last:%-d %B}"
        begin = f"{first:%-d}" if first.month == last.month else f"{first:%-d %B}"
        texts.append(end if first == last else f"{begin} to {end}")
    return " and ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))
