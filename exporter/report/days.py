"""Whether a change is beyond what days differ by: records of one day, or of one person on it, share what befalls it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import inf, sqrt
from zoneinfo import ZoneInfo

from exporter.base.clock import DAY
from exporter.baselines.compare import Total
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation, Figure, Key
from exporter.evaluation.plan import Period, Plan
from exporter.insight.difference import WEEK, Day, Estimate, estimate, of_count, of_ratio
from exporter.insight.sides import ONE_DAY, Course, course
from exporter.report import since
from exporter.report.change import student
from exporter.report.comparison import Pair, groups, of_share, side, summed
from exporter.report.content import Side, Since
from exporter.store.status import SourceStatus

Periods = tuple[Period, Period]
FEWEST_FREE = 2
"""Degrees of freedom below which days do not say how they vary."""
NOTHING = Estimate(0.0)


@dataclass(frozen=True)
class Days:
    """What some KPIs came to on each day of two periods."""

    sides: tuple[Course, Course]

    def p(self, pair: Pair, of: Key, segment: Key = ()) -> float:
        """The p value of the change of a KPI, or of a segment of it.

        What changed within one of the periods makes its days differ, so a step on any day counts, too; it is one of two
        tests, so each takes twice as much.
        """
        before, now = self._series(pair, of, segment)
        share, every = of_share(pair.kpi), self._days(before, now)
        of_periods = p_value(before, now, share=share)
        amounts = all(day.denominator is None for day in every)
        sides = [self._whole(each, pair) for each in (before, now)]
        # Lengths of time are too uneven: two bad days in a row look like a step.
        if not (share or amounts) or not self._contiguous or not all(sides):
            return of_periods
        first, second = (each.value for each in sides if each)
        return min(1.0, 2 * min(of_periods, since.p_value(every, share=share, rise=second > first)))

    def beside(self, total: Total, pair: Pair, of: Key, *, both: bool) -> float:
        """The p value of a value and its baseline being the same, if that one varied by day as this one does.

        `both`: the value is of both periods.
        """
        before, now = self._series(pair, of, ())
        return beside(total, [*before, *now] if both else now)

    def since(self, pair: Pair, of: Key, segment: Key, zone: ZoneInfo) -> Since | None:
        """The day since which a KPI, or a segment of it, is another one; None where days do not tell it."""
        if not self._contiguous:
            return None
        first, second = (side.period for side in self.sides)
        before, now = self._series(pair, of, segment)
        every, days = [*before, *now], self._days(before, now)
        amounts = all(day.denominator is None for day in days)
        found = since.step(days, share=of_share(pair.kpi))
        if found is None:
            return None
        k = found.first
        midnight = first.begins_at + k * ONE_DAY if k < len(before) else second.begins_at + (k - len(before)) * ONE_DAY
        sides = [None if amounts else self._whole(each, pair) for each in (every[:k], every[k:])]
        return Since(
            day=(midnight + ONE_DAY / 2).astimezone(zone).date(), about=found.about, boundary=k == len(before),
            before=sides[0], now=sides[1],
        )  # fmt: skip

    @property
    def _contiguous(self) -> bool:
        first, second = (side.period for side in self.sides)
        return second.begins_at - first.ends_at < ONE_DAY

    @staticmethod
    def _days(before: Sequence[Figure | None], now: Sequence[Figure | None]) -> list[Day]:
        every = [*before, *now]
        none = Day(0.0, 0.0 if any(f.denominator is not None for f in every if f) else None)
        return [Day(f.numerator, f.denominator) if f else none for f in every]

    def _series(self, pair: Pair, of: Key, segment: Key) -> tuple[list[Figure | None], list[Figure | None]]:
        labels = [label for label, _ in segment]

        def sums(evaluation: Evaluation) -> Figure | None:
            mine = groups((f for f in evaluation.figures if f.kpi == pair.kpi.name), pair.setting).get(of, ())
            return summed(mine, labels, pair.setting).get(segment)

        before, now = ([sums(each) for each in side.days] for side in self.sides)
        return before, now

    def _whole(self, figures: Sequence[Figure | None], pair: Pair) -> Side | None:
        sums = summed([f for f in figures if f], (), pair.setting).get(())
        return side(sums, pair.kpi, pair.plan) if sums else None


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


def beside(total: Total, days: Sequence[Figure | None]) -> float:
    """The p value of a share and its baseline being the same; 1 where days are too few to say.

    What a baseline came to on each of its days is not kept, so it is taken to scatter as the days beside it do.
    """
    above, below = total.then.numerator, total.then.denominator
    if not total.now.denominator or above is None or not below:
        return 1.0
    known = _quotient(days, share=True)
    sums = [sum(part) for part in zip(*((f.numerator, f.denominator or 0.0) for f in days if f), strict=True)]
    if known.variance is None or not sums:
        return 1.0
    scatter = known.variance / of_ratio(sums[0], sums[1])
    variance = scatter * (of_ratio(total.now.numerator, total.now.denominator) + of_ratio(above, below))
    gap = total.now.numerator / total.now.denominator - above / below
    return student(gap / sqrt(variance), known.freedom)


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
