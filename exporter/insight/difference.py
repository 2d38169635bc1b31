"""Differences of estimates, with 95 % intervals: pure statistics."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

from exporter.evaluation.stats import Z95

WEEK = 7


@dataclass(frozen=True, slots=True)
class Day:
    """What a KPI came to on one day: its numerator, and its denominator (None: it has none)."""

    numerator: float
    denominator: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its variance (None: not known) and the degrees of freedom behind that variance."""

    value: float
    variance: float | None = None
    freedom: float = inf


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference in the unit of the KPI; its 95 % interval, None if it is not known, with its degrees of freedom."""

    value: float
    lower: float | None = None
    upper: float | None = None
    freedom: float = inf

    @property
    def beyond_chance(self) -> bool | None:
        """Whether its interval lies wholly on one side of 0; None where there is no interval."""
        if self.lower is None or self.upper is None:
            return None
        return self.lower > 0 or self.upper < 0


def estimate(
    numerator: float, denominator: float | None, days: Sequence[Day], *, least_variance: float = 0.0
) -> Estimate:
    """The value of a period, and how much it varies: by how much its days do, but never less than its records alone.

    Days are taken as they come, records of one day are not: what happens to one of them happens to others of that day.
    From two weeks on each day is compared with the same weekday, so that weekends are no chance. The days say how the
    value varies and not what it is: they are scaled to the period, for what is counted once a period (people) is not
    the sum of its days. `least_variance`: that of its records (see `of_ratio`). Needs a denominator that is not 0.
    """
    value = numerator if denominator is None else numerator / denominator
    groups = WEEK if len(days) >= 2 * WEEK else 1
    freedom = len(days) - groups
    if freedom < 2:
        return Estimate(value)
    above = _scaled([day.numerator for day in days], numerator)
    below = _scaled([day.denominator or 0.0 for day in days], denominator or 0.0)
    rest = above if denominator is None else [n - value * d for n, d in zip(above, below, strict=True)]
    squares = 0.0
    for weekday in range(groups):
        mine = rest[weekday::groups]
        mean = sum(mine) / len(mine)
        squares += sum((each - mean) ** 2 for each in mine)
    varied = squares * len(days) / freedom / (denominator or 1.0) ** 2
    if varied <= least_variance:
        return Estimate(value, least_variance or None)
    return Estimate(value, varied, freedom)


def _scaled(parts: Sequence[float], whole: float) -> list[float]:
    total = sum(parts)
    return [part * whole / total for part in parts] if total else [*parts]


def of_ratio(numerator: float, denominator: float) -> float:
    """The variance of a share of independent records. One success and one failure are added, so that 0 of 9 varies.

    Source: A. Agresti and B. Caffo, Simple and effective confidence intervals for proportions (2000).
    """
    share = (numerator + 1) / (denominator + 2)
    return share * (1 - share) / (denominator + 2)


def of_count(count: float) -> float:
    """The variance of a number of independent records, which is that number; of none, that of one."""
    return max(count, 1.0)


def difference(then: Estimate, now: Estimate) -> Difference:
    """`now` less `then`."""
    return combined(now.value - then.value, [(1.0, then), (1.0, now)])


def difference_in_differences(
    then: Estimate, now: Estimate, control_then: Estimate, control_now: Estimate
) -> Difference:
    """How much more a value changed than that of a control group: what is left if both would have changed alike."""
    value = (now.value - then.value) - (control_now.value - control_then.value)
    return combined(value, [(1.0, each) for each in (then, now, control_then, control_now)])


def difference_from_growth(
    then: Estimate, now: Estimate, control_then: Estimate, control_now: Estimate
) -> Difference | None:
    """The same of amounts, which grow by a factor: `now` less what `then` would be had it grown as the control group.

    None where the control group had nothing.
    """
    if control_then.value <= 0:
        return None
    growth = control_now.value / control_then.value
    of_control = then.value / control_then.value
    parts = [(1.0, now), (growth, then), (of_control, control_now), (of_control * growth, control_then)]
    return combined(now.value - then.value * growth, parts)


def combined(value: float, parts: Sequence[tuple[float, Estimate]]) -> Difference:
    """A sum of independent estimates, each times a factor, with the interval of their variances.

    With as many degrees of freedom as the part that has fewest: more would be allowed (Welch), but values are skewed.
    """
    total = 0.0
    for factor, each in parts:
        if each.variance is None:
            return Difference(value)
        total += factor**2 * each.variance
    if not total:
        return Difference(value)
    freedom = min(each.freedom for _, each in parts)
    margin = student(freedom) * sqrt(total)
    return Difference(value, value - margin, value + margin, freedom)


def student(freedom: float) -> float:
    """The two-sided 95 % quantile of Student's t, to a thousandth from 4 degrees on; `inf`: that of the normal.

    Source: M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    z = Z95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))
