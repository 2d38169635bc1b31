"""Whether a change is beyond what days differ by: records of one day, or of one person on it, share what befalls it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import inf, sqrt

from exporter.base.clock import DAY
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation, Figure, Key
from exporter.evaluation.plan import Period, Plan
from exporter.insight.difference import WEEK, Day, Estimate, estimate, of_count, of_ratio
from exporter.insight.sides import Course, course
from exporter.report.change import student
from exporter.report.comparison import Pair, SegmentKey, groups, of_share, summed
from exporter.store.status import SourceStatus

Periods = tuple[Period, Period]
FEWEST_FREE = 2
"""Degrees of freedom below which days do not say how they vary."""
NOTHING = Estimate(0.0)


@dataclass(frozen=True)
class Days:
    """What some KPIs came to on each day of two periods."""

    sides: tuple[Course, Course]

    def whole(self, pair: Pair, of: Key) -> float:
        """The p value of the change of a KPI."""
        return self._p(pair, of, (), ())

    def segment(self, pair: Pair, of: Key, key: SegmentKey) -> float:
        """That of a segment of it."""
        _, label, value = key
        return self._p(pair, of, (label,), ((label, value),))

    def _p(self, pair: Pair, of: Key, labels: Sequence[str], segment: Key) -> float:
        def sums(evaluation: Evaluation) -> Figure | None:
            mine = groups((f for f in evaluation.figures if f.kpi == pair.kpi.name), pair.setting).get(of, ())
            return summed(mine, labels, pair.setting).get(segment)

        before, now = ([sums(each) for each in side.days] for side in self.sides)
        return p_value(before, now, share=of_share(pair.kpi))


def daily(
    connection: Connection, plan: Plan, names: Sequence[str], periods: Periods, sources: Sequence[SourceStatus]
) -> Days:
    """The days of two periods; of one that is not over, those that are."""
    first, second = (course(connection, plan, names, _whole_days(each), sources) for each in periods)
    return Days((first, second))


def _whole_days(period: Period) -> Period:
    days = int((period.ends_at - period.begins_at).total_seconds()) // DAY
    return Period(begins_at=period.begins_at, ends_at=period.begins_at + timedelta(days=days))


def p_value(before: Sequence[Figure | None], now: Sequence[Figure | None], *, share: bool = False) -> float:
    """The p value of the days of two periods having the same law; 1 where they are too few to say.

    Amounts are compared per day. Those of less than two weeks are paired, each day with the same one of the period
    before: that there are weekends is no chance. `share`: of values from 0 to 1, which vary even if all days are alike.
    """
    if any(f.denominator is not None for f in (*before, *now) if f):
        return of_difference([_quotient(each, share=share) for each in (before, now)])
    amounts = [[f.numerator if f else 0.0 for f in side] for side in (before, now)]
    if len(before) == len(now) < 2 * WEEK:
        return of_difference([Estimate(0.0, 0.0), _paired(*amounts)])
    return of_difference([_per_day(each, sum(each)) for each in amounts])


def of_difference(sides: Sequence[Estimate]) -> float:
    """The p value of two estimates being of the same."""
    first, second = sides
    if first.variance is None or second.variance is None:
        return 1.0
    gap, variance = second.value - first.value, first.variance + second.variance
    if not variance:
        return 0.0 if gap else 1.0
    # Welch and Satterthwaite: how many degrees of freedom the sum of two variances has.
    parts = sum(each.variance**2 / each.freedom for each in sides if each.variance)
    return student(gap / sqrt(variance), variance**2 / parts if parts else inf)


def _paired(before: Sequence[float], now: Sequence[float]) -> Estimate:
    """The difference of two sums; it varies by how much each day departs from the pace of its whole period."""
    first, second, count = sum(before), sum(now), len(now)
    if count <= FEWEST_FREE or not first + second:
        return NOTHING
    middle = (first + second) / 2
    rest = [(later * first - earlier * second) / middle for earlier, later in zip(before, now, strict=True)]
    varied = sum(each**2 for each in rest) * count / (count - 1)
    return Estimate(second - first, max(varied, of_count(first + second)), count - 1)


def _quotient(days: Sequence[Figure | None], *, share: bool) -> Estimate:
    known = [Day(f.numerator, f.denominator or 0.0) if f else Day(0.0, 0.0) for f in days]
    above, below = sum(day.numerator for day in known), sum(day.denominator or 0.0 for day in known)
    return estimate(above, below, known, least_variance=of_ratio(above, below) if share else 0.0) if below else NOTHING


def _per_day(amounts: Sequence[float], records: float) -> Estimate:
    count = len(amounts)
    days = [Day(each / count, None) for each in amounts]
    return estimate(sum(amounts) / count, None, days, least_variance=of_count(records) / count**2) if count else NOTHING
