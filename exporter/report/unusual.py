"""Which days of a period were unlike the same weekday of the eight weeks before them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cache
from math import pi, sqrt

from exporter.base.clock import DAY
from exporter.baselines.compare import FEWEST_DAYS
from exporter.baselines.frozen import INSTANT, reach
from exporter.baselines.lookback import WEEKS, without_medians
from exporter.baselines.weekdays import WEEK, of_day
from exporter.catalogue.kpi import Kpi
from exporter.evaluation.add import value_of
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Figure, Key, Weekdays
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Plan, Setting
from exporter.evaluation.range import Instants, evaluations
from exporter.evaluation.stats import middle
from exporter.explain import unusual
from exporter.insight.anomaly import LEAST, NORMAL, Anomaly, judged
from exporter.insight.difference import of_count, of_ratio
from exporter.report.change import LEVEL, certain, student
from exporter.report.content import Unusual
from exporter.report.period import Span
from exporter.store.status import SourceStatus

ONE_DAY, HALF_A_DAY = timedelta(days=1), timedelta(hours=12)
A_WEEK = 7
FREEDOM = 20.0
"""Degrees of freedom of a median absolute deviation of 56 days: it takes 37 % of what a standard deviation would."""
OF_MEDIAN = pi / 2 / WEEKS
"""The variance of a median of eight days, in variances of one."""


def anomalies(
    connection: Connection,
    plan: Plan,
    span: Span,
    at: datetime,
    sources: Sequence[SourceStatus],
    kpis: Collection[str],
) -> tuple[list[Anomaly], int]:
    """(days of a period that were surely unusual, how many values could be compared). `at`: the present."""
    days = [each for each in days_of(span) if each <= at]
    first = span.until - FEWEST_DAYS * WEEK
    names = frozenset(name for name in kpis if reach(plan, name, sources) <= first)
    fresh = [replace(source, stale=False) for source in sources]
    names &= recorded(connection, plan, first, names, fresh)
    if not names or not days:
        return [], 0
    one_day = replace(plan, windows=[("1d", DAY)])
    begin = days[0] - WEEKS * WEEK
    instants = Instants(first=begin - INSTANT, step=ONE_DAY, count=(days[-1] - begin).days + 1)
    every = evaluations(connection, without_medians(one_day, names), instants, lambda _: fresh)
    known = dict(zip(instants, every, strict=True))

    @cache
    def of(at: datetime) -> tuple[tuple[Figure, ...], frozenset[str]]:
        return of_day(connection, one_day, at, 0, names, sources, lambda at, _: known[at])

    weekdays = [
        Weekdays(day, of(day)[0], tuple(of(day - weeks * WEEK)[0] for weeks in range(1, WEEKS + 1)), of(day)[1])
        for day in days
    ]
    return surely(weekdays, {s.kpi.name: s for s in plan.settings})


def surely(days: Sequence[Weekdays], settings: Mapping[str, Setting]) -> tuple[list[Anomaly], int]:
    """(what was unusual beside all that was looked at, how many values could be compared).

    Eight weekdays hardly say how days differ, and a quarter of many KPIs and teams has thousands of days. So how far
    they differ is read from all days of the eight weeks, and what is unusual has to hold beside all others (Holm).
    """
    every = [each for day in days for each in judged(day, settings)]
    scatters = _scatters(days[:A_WEEK], settings)
    p_values = {i: _p(each, settings[each.kpi].kpi, scatters[each.kpi, each.segment]) for i, each in enumerate(every)}
    sure = certain(p_values, LEVEL)
    return [each for i, each in enumerate(every) if each.unusual and i in sure], len(every)


def _scatters(days: Sequence[Weekdays], settings: Mapping[str, Setting]) -> dict[tuple[str, Key], float]:
    """How many times more days differ from the median of their weekday than their records give, by KPI and team."""
    rests: dict[tuple[str, Key], list[float]] = {}
    for day in days:
        of: dict[tuple[str, Key], list[tuple[float, float | None]]] = {}
        for f in (f for figures in day.earlier for f in figures):
            value = value_of(f)
            if value is not None:
                of.setdefault((f.kpi, f.segment), []).append((value, f.denominator))
        for place, values in of.items():
            usual = middle(value for value, _ in values)
            deviations = ((value - usual, _least(settings[place[0]].kpi, usual, n)) for value, n in values)
            rests.setdefault(place, []).extend(abs(rest) / least for rest, least in deviations if least)
    return defaultdict(
        lambda: 1.0, {place: max(1.0, NORMAL * middle(found)) for place, found in rests.items() if found}
    )


def _p(of: Anomaly, kpi: Kpi, scatter: float) -> float:
    least = _least(kpi, of.usual, of.n)
    return student((of.value - of.usual) / (least * scatter * sqrt(1 + OF_MEDIAN)), FREEDOM) if least else 1.0


def _least(kpi: Kpi, usual: float, n: float | None) -> float:
    """By how much a day differs by chance."""
    if kpi.kind == "ratio" and not kpi.weight and n:
        return sqrt(of_ratio(usual * n, n))
    return sqrt(of_count(usual)) if kpi.kind == "count" and not kpi.per else LEAST * abs(usual)


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
    """Unusual days by KPI, team and side, the furthest from usual first."""
    groups: dict[tuple[object, ...], list[Anomaly]] = {}
    for each in every:
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
